//! File names: each stays inside its model's folder, and no two of a model meet there.

use std::borrow::Cow;

use base::EntryPath;
use memchr::memchr_iter;

use super::{Artifact, Facts};
use crate::{
    document::Node,
    flaw::Flaw,
    schema::{data_path, plain_in_url},
};

/// So many names are compared each with each.
const NAMES_COMPARED_MAX: usize = 16;

pub(super) fn check(files: &[Artifact<'_>], flaws: &mut Vec<Flaw>) {
    let names = files.iter().filter_map(|it| it.name);
    let names = names.filter_map(|node| Some((node, node.as_str()?))).collect::<Vec<_>>();
    flaws.extend(names.iter().filter_map(|(node, name)| leaves(*node, name)));
    let texts = names.iter().map(|it| it.1.as_ref()).collect::<Vec<_>>();
    if !surely_apart(&texts) {
        collisions(&names, flaws);
    }
}

/// Says that [`check`] has nothing to report.
pub(super) fn surely_kept(facts: &Facts<'_>) -> bool {
    let names = facts.files().filter_map(|it| it.name);
    let (mut few, mut count) = ([""; NAMES_COMPARED_MAX], 0);
    for name in names {
        if count == NAMES_COMPARED_MAX || !surely_stays(name) {
            return false;
        }
        few[count] = name;
        count += 1;
    }
    surely_apart(&few[..count])
}

/// Says that a few plain names do not meet. If it does not say so, they still may not.
fn surely_apart(names: &[impl AsRef<str>]) -> bool {
    let few = names.len() <= NAMES_COMPARED_MAX && names.iter().all(|it| it.as_ref().is_ascii());
    let meet = |one: &[u8], other: &[u8]| {
        let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
        let (start, rest) = long.split_at(short.len());
        rest.first().is_none_or(|it| *it == b'/') && start.eq_ignore_ascii_case(short)
    };
    let apart = |one: &str, other: &str| !meet(one.as_bytes(), other.as_bytes());
    few && names
        .iter()
        .enumerate()
        .all(|(at, one)| names[..at].iter().all(|other| apart(one.as_ref(), other.as_ref())))
}

fn leaves(node: Node<'_>, path: &str) -> Option<Flaw> {
    if surely_stays(path) {
        return None;
    }
    let wrong = EntryPath::check(path).err()?;
    // An empty name is the schema's to report.
    if path.is_empty() {
        return None;
    }
    let message = format!("{} should stay inside the model's folder", data_path(node));
    let flaw = Flaw::error("path", node, message).found(wrong.to_string());
    Some(flaw.help("write a relative path with / between its parts, such as onnx/model.onnx"))
}

/// Says that a plain path stays in its folder. If it does not say so, it may still do.
fn surely_stays(path: &str) -> bool {
    let bytes = path.as_bytes();
    let plain = !path.is_empty() && path.len() <= 255 && plain_in_url(path);
    // A part is empty, or begins with a dot, where a slash or the path itself is followed by one of these.
    let odd = |it: &u8| matches!(it, b'/' | b'.');
    let behind_slash = |at: usize| bytes.get(at + 1);
    plain && !odd(&bytes[0]) && memchr_iter(b'/', bytes).all(|it| behind_slash(it).is_some_and(|it| !odd(it)))
}

/// Reports names that are equal, that differ in case only, or of which one would be the other's folder.
fn collisions(names: &[(Node<'_>, Cow<'_, str>)], flaws: &mut Vec<Flaw>) {
    let mut sorted = names.iter().map(|(node, name)| (name.to_lowercase(), name, *node)).collect::<Vec<_>>();
    // With the separator first in the order, a folder stands right before what is in it.
    let key = |it: &str| it.split('/').map(str::to_owned).collect::<Vec<_>>();
    sorted.sort_by_cached_key(|(lower, _, node)| (key(lower), node.span().start));
    for pair in sorted.windows(2) {
        let [(lower_one, one, first), (lower_other, other, second)] = pair else { continue };
        let inside = lower_other.strip_prefix(lower_one.as_str()).is_some_and(|it| it.starts_with('/'));
        if lower_one != lower_other && !inside {
            continue;
        }
        let (first, second) =
            if first.span().start < second.span().start { (first, second) } else { (second, first) };
        let flaw = if one == other {
            Flaw::error("path-unique", *second, format!("two files of the model have the path '{other}'"))
        } else if inside {
            Flaw::error(
                "path-unique",
                *second,
                format!("'{one}' is a file and the folder of '{other}' at once"),
            )
        } else {
            let message = format!("'{one}' and '{other}' are one file where case does not count");
            Flaw::warning("path-case", *second, message)
        };
        flaws.push(flaw.see(*first, "the other one").help("give each file a path of its own"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_path_that_surely_stays_is_one_that_stays(path in "[a./~é]{0,8}") {
            prop_assert!(!surely_stays(&path) || EntryPath::check(&path).is_ok(), "{}", path);
        }
    }
}
