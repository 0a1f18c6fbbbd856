//! Numbers for the names of fields.

use std::{collections::BTreeMap, sync::Arc};

use crate::graph::lately::{Lately, Mixed};

/// Gives every field name a number.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    by_name: BTreeMap<Arc<str>, u32>,
    /// The names in the order of their numbers.
    names: Vec<Arc<str>>,
    lately: Lately,
}

impl Keys {
    /// Returns the number of a name, if any event has a field of that name.
    pub(crate) fn get(&self, name: &str) -> Option<u32> {
        let guess = self.lately.guess(Mixed::of(name.as_bytes())).filter(|it| self.is(*it, name));
        guess.or_else(|| self.by_name.get(name).copied())
    }

    /// Returns the number of a name, a new one if no event has it yet.
    pub(super) fn intern(&mut self, name: &str) -> u32 {
        let mixed = Mixed::of(name.as_bytes());
        if let Some(known) = self.lately.guess(mixed).filter(|it| self.is(*it, name)) {
            return known;
        }
        let key = self.by_name.get(name).copied().unwrap_or_else(|| self.add(name));
        self.lately.note(mixed, key);
        key
    }

    /// Returns how many names there are.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Forgets the names that came since there were so many.
    pub(super) fn forget_since(&mut self, length: usize) {
        for name in self.names.drain(length.min(self.names.len())..) {
            self.by_name.remove(&name);
        }
    }

    /// Returns the name of a number.
    #[cfg(test)]
    pub(super) fn name(&self, key: u32) -> &str {
        &self.names[key as usize]
    }

    fn is(&self, key: u32, name: &str) -> bool {
        self.names.get(key as usize).is_some_and(|it| **it == *name)
    }

    fn add(&mut self, name: &str) -> u32 {
        // A name takes more bytes than there are numbers of four, long before they end.
        let key = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.by_name.insert(name, key);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_that_is_another_names_is_not_taken() {
        let mut keys = Keys::default();
        // So many drive each other out.
        let names: Vec<String> = (0..5000).map(|it| format!("name {it}")).collect();
        for _ in 0..2 {
            let numbers: Vec<u32> = names.iter().map(|it| keys.intern(it)).collect();
            assert_eq!(numbers, (0..5000).collect::<Vec<_>>());
        }
        let found: Vec<Option<u32>> = names.iter().map(|it| keys.get(it)).collect();
        assert_eq!(found, (0..5000).map(Some).collect::<Vec<_>>());
        keys.forget_since(10);
        assert_eq!((keys.get("name 9"), keys.get("name 10"), keys.len()), (Some(9), None, 10));
        assert_eq!((keys.intern("new"), keys.intern("name 10")), (10, 11));
    }
}
