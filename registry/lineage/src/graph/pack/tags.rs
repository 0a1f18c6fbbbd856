//! Packs tags: a name with one value, or with a list of all its values.

use super::{Block, Keys, LIST, MAP, pack_text, pack_whole};
use crate::event::{Fact, STRUCTURAL_TAGS};

/// How many values most events have at the most.
const VALUES_USUAL: usize = 24;

/// Appends the fields that the tags make.
pub(crate) fn pack_tags(keys: &mut Keys, out: &mut Vec<u8>, fact: &impl Fact) {
    // Of each tag its name alone, then its values: also a tag without any makes a field.
    let mut values: Vec<(u32, Option<&str>)> = Vec::with_capacity(VALUES_USUAL);
    for mut tag in fact.tags() {
        if let Some(name) = tag.next().filter(|it| !STRUCTURAL_TAGS.contains(it)) {
            let key = keys.intern(name);
            values.push((key, None));
            values.extend(tag.map(|it| (key, Some(it))));
        }
    }
    // Stable: the values of one name stay in the order of the tags.
    values.sort_by_key(|it| it.0);
    let map = Block::open(MAP, out);
    for field in values.chunk_by(|left, right| left.0 == right.0) {
        pack_whole(u64::from(field[0].0), out);
        let mut texts = field.iter().filter_map(|it| it.1);
        if let (Some(only), None) = (texts.next(), texts.next()) {
            pack_text(only, out);
        } else {
            let list = Block::open(LIST, out);
            field.iter().filter_map(|it| it.1).for_each(|it| pack_text(it, out));
            list.close(out);
        }
    }
    map.close(out);
}
