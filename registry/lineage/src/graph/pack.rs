//! Fields of events in a form that is walked without parsing.
//!
//! A value is one byte that says what it is, and what belongs to it. A number keeps the decimal it stands for, so
//! that nothing is converted when a million of them are summed. Only this module writes the form and only [`View`]
//! reads it; it is never stored or sent.

mod number;
mod view;

use std::collections::BTreeMap;

use number::{pack_number, pack_whole};
pub(crate) use view::{Values, View};

use crate::json::Json;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
/// A double too large to be a number here; its eight bytes follow.
const HUGE: u8 = 6;
/// A number whose text is its decimal. The lower bits say how many zeros follow the mantissa.
const EXACT: u8 = 0x20;
/// The same for a number that was rounded to nine places, so its double follows for its text.
const ROUNDED: u8 = 0x40;
const ZEROS: u8 = 0x1f;

/// Gives every field name a number.
#[derive(Debug, Default)]
pub(crate) struct Keys(BTreeMap<String, u32>);

impl Keys {
    /// Returns the number of a name, if any event has a field of that name.
    pub(crate) fn get(&self, name: &str) -> Option<u32> {
        self.0.get(name).copied()
    }

    fn intern(&mut self, name: &str) -> u32 {
        if let Some(known) = self.get(name) {
            return known;
        }
        let key = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.insert(name.to_owned(), key);
        key
    }
}

/// Appends a map.
pub(super) fn pack_map<'j>(
    keys: &mut Keys,
    out: &mut Vec<u8>,
    fields: impl ExactSizeIterator<Item = (&'j str, &'j Json)>,
) {
    let mut inner = Vec::new();
    for (name, value) in fields {
        pack_whole(u64::from(keys.intern(name)), &mut inner);
        pack(keys, value, &mut inner);
    }
    pack_block(MAP, &inner, out);
}

/// Appends what has no fields.
pub(super) fn pack_nothing(out: &mut Vec<u8>) {
    out.push(NULL);
}

fn pack(keys: &mut Keys, value: &Json, out: &mut Vec<u8>) {
    match value {
        Json::Null => out.push(NULL),
        Json::Bool(value) => out.push(if *value { TRUE } else { FALSE }),
        Json::Number(number) => pack_number(*number, out),
        Json::Text(text) => pack_block(TEXT, text.as_bytes(), out),
        Json::List(list) => {
            let mut inner = Vec::new();
            for it in list {
                pack(keys, it, &mut inner);
            }
            pack_block(LIST, &inner, out);
        }
        Json::Map(map) => pack_map(keys, out, map.iter().map(|(name, value)| (name.as_str(), value))),
    }
}

fn pack_block(what: u8, inner: &[u8], out: &mut Vec<u8>) {
    out.push(what);
    pack_whole(inner.len() as u64, out);
    out.extend_from_slice(inner);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{json::number_text, num::Num};
    use proptest::prelude::*;

    fn unpack(view: View<'_>, keys: &Keys) -> Json {
        let name = |key: u64| keys.0.iter().find(|it| u64::from(*it.1) == key).unwrap().0.clone();
        match view {
            View::Null => Json::Null,
            View::Bool(value) => Json::Bool(value),
            View::Exact(number) => Json::Number(number.to_string().parse().unwrap()),
            View::Double(_, double) => Json::Number(double),
            View::Text(text) => Json::Text(text.into_owned()),
            View::List(bytes) => Json::List(Values::of(bytes).map(|it| unpack(it, keys)).collect()),
            View::Map(bytes) => {
                let mut values = Values::of(bytes);
                let mut map = BTreeMap::new();
                while let Some(key) = values.whole() {
                    map.insert(name(key), unpack(values.next().unwrap(), keys));
                }
                Json::Map(map)
            }
        }
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let number = prop_oneof![
            any::<f64>().prop_filter("finite", |it| it.is_finite()),
            any::<i32>().prop_map(f64::from),
            (-1_000_000..1_000_000).prop_map(|it| f64::from(it) / 1000.0),
        ];
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            number.prop_map(Json::Number),
            ".{0,9}".prop_map(Json::Text),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::List),
                prop::collection::btree_map(".{0,3}", inner, 0..4).prop_map(Json::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_packed_is_what_is_viewed(value in any_json()) {
            let (mut keys, mut out) = (Keys::default(), Vec::new());
            pack(&mut keys, &value, &mut out);
            let view = Values::of(&out).next().unwrap();
            prop_assert_eq!(unpack(view.clone(), &keys).canonical(), value.canonical());
            if let Json::Number(number) = value {
                prop_assert_eq!(view.to_num(), Num::of_double(number));
                prop_assert_eq!(view.into_text().unwrap().into_owned(), number_text(number));
            }
        }
    }
}
