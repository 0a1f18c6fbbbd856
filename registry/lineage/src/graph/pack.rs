//! Fields of events in a form that is walked without parsing.
//!
//! A value is one byte that says what it is, and what belongs to it. A number keeps the decimal it stands for, so
//! that nothing is converted when a million of them are summed. Only this module writes the form and only [`View`]
//! reads it; it is never stored or sent. Tags and JSON are packed while they are read: there is no tree in between.

mod content;
mod keys;
mod number;
mod plain;
mod tags;
mod view;

use number::{pack_number, pack_whole};

pub(super) use self::{content::pack_content, tags::pack_tags};
pub(crate) use self::{
    keys::Keys,
    view::{Values, View},
};

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

fn pack_text(text: &str, out: &mut Vec<u8>) {
    out.push(TEXT);
    pack_whole(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// A list or a map that is being written.
struct Block {
    /// Where what is in it begins.
    start: usize,
}

impl Block {
    fn open(what: u8, out: &mut Vec<u8>) -> Self {
        // Most are so short that their length takes one byte.
        out.extend_from_slice(&[what, 0]);
        Self { start: out.len() }
    }

    /// Writes the length before what was written since.
    fn close(self, out: &mut Vec<u8>) {
        let end = out.len();
        pack_whole((end - self.start) as u64, out);
        let length_bytes = out.len() - end;
        if length_bytes == 1 {
            out[self.start - 1] = out[end];
            out.truncate(end);
        } else {
            // The length goes where its one byte stands, and what is in the block moves up by the rest.
            let mut length = [0; 10];
            length[..length_bytes].copy_from_slice(&out[end..]);
            out.truncate(end + length_bytes - 1);
            out.copy_within(self.start..end, self.start + length_bytes - 1);
            out[self.start - 1..][..length_bytes].copy_from_slice(&length[..length_bytes]);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        json::{Json, number_text},
        num::Num,
    };
    use proptest::prelude::*;

    /// Returns a packed value as the JSON that it was.
    pub(in crate::graph) fn unpack(view: View<'_>, keys: &Keys) -> Json {
        let name = |key: u64| keys.name(u32::try_from(key).unwrap()).to_owned();
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

    pub(in crate::graph) fn any_json() -> impl Strategy<Value = Json> {
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

    /// Packs a text as a content, and returns what is viewed then.
    fn viewed(keys: &mut Keys, text: &str) -> Json {
        let mut out = vec![7];
        pack_content(keys, &mut out, text);
        let mut values = Values::of(&out[1..]);
        let first = unpack(values.next().unwrap(), keys);
        assert!(values.next().is_none(), "{text}");
        first
    }

    /// What a content is by the rules of `json`.
    fn read(text: &str) -> Json {
        Json::parse(text).ok().filter(|it| matches!(it, Json::Map(_))).unwrap_or_default()
    }

    #[test]
    fn content_has_fields_only_if_it_is_strictly_an_object() {
        let check = |text: &str, has_fields: bool| {
            let mut keys = Keys::default();
            let found = viewed(&mut keys, text);
            assert_eq!((matches!(found, Json::Map(_)), keys.len() > 0), (has_fields, has_fields), "{text}");
            assert_eq!(found, read(text));
        };
        check(r#"{"a":1}"#, true);
        check("\t\r\n {\"a\":{}} ", true);
        check(r#"{"a":1,"a":2}"#, false);
        check(r#"{"a":1,"\u0061":2}"#, false);
        check(r#"{"b":{"a":1},"a":[{"a":1}]}"#, true);
        check(r#"{"a":[{"c":1,"b":2,"c":3}]}"#, false);
        check(r#"{"a":1e400}"#, false);
        check(r#"{"a":"\ud800"}"#, false);
        check(r#"{"a":1} {}"#, false);
        check("[1]", false);
        check("free text {", false);
        check("null", false);
        check("", false);
        check("\u{feff}{\"a\":1}", false);
        check("\u{a0}{\"a\":1}", false);
    }

    #[test]
    fn levels_are_those_of_json() {
        for (open, inner, close) in [
            ("[", "", "]"),
            (r#"{"a":"#, "{}", "}"),
            (r#"{"a":"#, "[]", "}"),
            (r#"{"a":"#, "1", "}"),
            ("[", "{}", "]"),
        ] {
            for levels in 60..68 {
                let text = format!(r#"{{"a":{}{inner}{}}}"#, open.repeat(levels), close.repeat(levels));
                assert_eq!(viewed(&mut Keys::default(), &text), read(&text), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_object_leaves_no_names_behind() {
        let mut keys = Keys::default();
        viewed(&mut keys, r#"{"a":1}"#);
        assert_eq!(viewed(&mut keys, r#"{"a":1,"b":2,"c":"#), Json::Null);
        assert_eq!(["a", "b", "c"].map(|it| keys.get(it)), [Some(0), None, None]);
        viewed(&mut keys, r#"{"c":1,"b":1,"a":1}"#);
        assert_eq!(["a", "b", "c"].map(|it| keys.get(it)), [Some(0), Some(2), Some(1)]);
    }

    proptest! {
        #[test]
        fn what_is_packed_is_what_is_viewed(value in any_json(), length in 0_usize..40_000) {
            let text = format!(r#"{{"value":{},"long":"{}"}}"#, value.canonical(), "x".repeat(length));
            let (mut keys, mut out) = (Keys::default(), vec![7]);
            pack_content(&mut keys, &mut out, &text);
            let view = Values::of(&out[1..]).next().unwrap();
            prop_assert_eq!(unpack(view.clone(), &keys).canonical(), Json::parse(&text).unwrap().canonical());
            if let Json::Number(number) = value {
                let view = view.field(keys.get("value").unwrap()).unwrap();
                prop_assert_eq!(view.to_num(), Num::of_double(number));
                prop_assert_eq!(view.into_text().unwrap().into_owned(), number_text(number));
            }
        }

        #[test]
        fn what_json_refuses_is_not_packed(
            value in any_json(),
            slips in prop::collection::vec((any::<prop::sample::Index>(), r#"[\[\]{}:,"\\a0-9eE.+ \t-]{0,2}"#), 0..3),
        ) {
            let mut text: Vec<char> = format!(r#"{{"a":{0},"b":{0}}}"#, value.canonical()).chars().collect();
            for (place, slip) in slips {
                let place = place.index(text.len());
                text.splice(place..=place, slip.chars());
                text.push(' ');
            }
            let text: String = text.into_iter().collect();
            prop_assert_eq!(viewed(&mut Keys::default(), &text), read(&text));
        }
    }
}
