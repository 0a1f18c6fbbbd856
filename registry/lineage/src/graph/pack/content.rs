//! Packs a content while it is read: by the rules of [`crate::json`], and without its tree.
//!
//! What is not strictly an object has no fields, and leaves nothing behind.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{
    Block, FALSE, Keys, LIST, MAP, NULL, TRUE, pack_number, pack_text, pack_whole, plain::pack_plain,
};
use crate::json::{DEPTH_MAX, JSON_SPACE};

/// Appends the fields of an object, or that there are none.
pub(crate) fn pack_content(keys: &mut Keys, out: &mut Vec<u8>, text: &str) {
    if !attempt(keys, out, text, |keys, out| pack_plain(keys, out, text)) {
        pack_any(keys, out, text);
    }
}

/// Appends the same, however the object is written.
pub(super) fn pack_any(keys: &mut Keys, out: &mut Vec<u8>, text: &str) {
    let is_packed = attempt(keys, out, text, |keys, out| {
        let packer = Packer { keys, out, names: &mut Vec::new(), levels: DEPTH_MAX };
        let mut reader = serde_json::Deserializer::from_str(text);
        packer.deserialize(&mut reader).and_then(|()| reader.end()).ok()
    });
    if !is_packed {
        out.push(NULL);
    }
}

/// Tries to pack what may be an object, and says whether that was done. If not, nothing is left of it.
fn attempt(
    keys: &mut Keys,
    out: &mut Vec<u8>,
    text: &str,
    pack: impl FnOnce(&mut Keys, &mut Vec<u8>) -> Option<()>,
) -> bool {
    let (start, names) = (out.len(), keys.len());
    let is_packed = text.trim_start_matches(JSON_SPACE).starts_with('{') && pack(keys, out).is_some();
    if !is_packed {
        out.truncate(start);
        keys.forget_since(names);
    }
    is_packed
}

/// Packs a value that may hold so many levels of lists and maps.
struct Packer<'p> {
    keys: &'p mut Keys,
    out: &'p mut Vec<u8>,
    /// The names in the maps that are open, those of the innermost last.
    names: &'p mut Vec<u32>,
    levels: usize,
}

impl Packer<'_> {
    fn below<E: de::Error>(&mut self) -> Result<Packer<'_>, E> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| E::custom("too many levels"))?;
        Ok(Packer { keys: self.keys, out: self.out, names: self.names, levels })
    }
}

impl<'de> DeserializeSeed<'de> for Packer<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Packer<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.out.push(NULL);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.out.push(if value { TRUE } else { FALSE });
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "every number is the nearest double, as in `json`")]
    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        pack_number(value as f64, self.out);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "every number is the nearest double, as in `json`")]
    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        pack_number(value as f64, self.out);
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        if !value.is_finite() {
            return Err(E::custom("a number beyond a double"));
        }
        pack_number(value, self.out);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        pack_text(text, self.out);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut values: A) -> Result<(), A::Error> {
        let list = Block::open(LIST, self.out);
        while values.next_element_seed(self.below()?)?.is_some() {}
        list.close(self.out);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        let (map, outer) = (Block::open(MAP, self.out), self.names.len());
        while let Some(key) = entries.next_key_seed(Name(self.keys))? {
            pack_whole(u64::from(key), self.out);
            self.names.push(key);
            entries.next_value_seed(self.below()?)?;
        }
        let own = &mut self.names[outer..];
        own.sort_unstable();
        if own.windows(2).any(|it| it[0] == it[1]) {
            return Err(de::Error::custom("a key stands twice"));
        }
        self.names.truncate(outer);
        map.close(self.out);
        Ok(())
    }
}

/// Reads the name of a field.
struct Name<'k>(&'k mut Keys);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = u32;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<u32, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = u32;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<u32, E> {
        Ok(self.0.intern(name))
    }
}
