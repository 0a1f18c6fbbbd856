//! An entry that is being filled in, and where each field came from.

use catalog::schema::Field;
use serde::Serialize;
use serde_json::{Map, Value};

/// The fields so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Sheet {
    pub(super) entry: Map<String, Value>,
    pub(super) used: Vec<Used>,
    pub(super) remarks: Vec<String>,
}

/// A place that facts came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Used {
    /// Which place, for people.
    pub(crate) source: String,
    /// What it gave: pointers, seen from the entry.
    pub(crate) fields: Vec<String>,
}

impl Sheet {
    /// Returns a field's value.
    pub(super) fn get(&self, pointer: &str) -> Option<&Value> {
        let (first, rest) = split(pointer);
        let value = self.entry.get(&first)?;
        if rest.is_empty() { Some(value) } else { value.pointer(rest) }
    }

    /// Sets a field, whatever stood there.
    pub(super) fn set(&mut self, source: &str, pointer: &str, value: impl Into<Value>) {
        let value = value.into();
        let mut object = &mut self.entry;
        let (mut name, mut rest) = split(pointer);
        while !rest.is_empty() {
            let below = object.entry(name).or_insert_with(|| Map::new().into());
            if !below.is_object() {
                *below = Map::new().into();
            }
            // It is one: that was made sure of in the line above.
            let Some(next) = below.as_object_mut() else { return };
            object = next;
            (name, rest) = split(rest);
        }
        object.insert(name, value);
        self.note(source, pointer);
    }

    /// Sets a field that has no value yet. Says whether it did.
    pub(super) fn fill(&mut self, source: &str, pointer: &str, value: impl Into<Value>) -> bool {
        let free = self.get(pointer).is_none();
        if free {
            self.set(source, pointer, value);
        }
        free
    }

    /// Removes a field. Says whether there was one.
    pub(super) fn remove(&mut self, pointer: &str) -> bool {
        let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", pointer));
        let name = &name.replace("~1", "/").replace("~0", "~");
        let object = if parent.is_empty() {
            Some(&mut self.entry)
        } else {
            let (first, rest) = split(parent);
            self.entry.get_mut(&first).and_then(|it| it.pointer_mut(rest)).and_then(Value::as_object_mut)
        };
        object.is_some_and(|it| it.remove(name).is_some())
    }

    /// Removes a field, and what was noted about it.
    pub(super) fn drop_field(&mut self, pointer: &str) {
        self.remove(pointer);
        self.forget(pointer);
    }

    pub(super) fn remark(&mut self, remark: impl Into<String>) {
        self.remarks.push(remark.into());
    }

    fn forget(&mut self, pointer: &str) {
        for used in &mut self.used {
            used.fields.retain(|it| it != pointer);
        }
        self.used.retain(|it| !it.fields.is_empty());
    }

    fn note(&mut self, source: &str, pointer: &str) {
        self.forget(pointer);
        match self.used.iter_mut().find(|it| it.source == source) {
            Some(used) => used.fields.push(pointer.to_owned()),
            None => self.used.push(Used { source: source.to_owned(), fields: vec![pointer.to_owned()] }),
        }
    }
}

/// Takes the first name off a pointer.
fn split(pointer: &str) -> (String, &str) {
    let pointer = pointer.strip_prefix('/').unwrap_or(pointer);
    let end = pointer.find('/').unwrap_or(pointer.len());
    (pointer[..end].replace("~1", "/").replace("~0", "~"), &pointer[end..])
}

/// Writes a pointer as people write a field: `provenance.runId`.
pub(crate) fn plain(pointer: &str) -> String {
    let (description, choices) = (String::new(), Vec::new());
    let form = catalog::schema::Form::Any;
    Field { pointer: pointer.to_owned(), description, form, choices }.name()
}
