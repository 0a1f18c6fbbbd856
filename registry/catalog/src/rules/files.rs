//! File names: each stays inside its model's folder, and no two of a model meet there.

use std::borrow::Cow;

use super::Artifact;
use crate::{document::Node, flaw::Flaw, schema::data_path};

/// Why a path may not name a file of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFlaw {
    /// Begins at the file system's root, or with a drive.
    #[error("is absolute")]
    Absolute,
    /// Has a part that leads out of the folder, or nowhere.
    #[error("has a part '{0}'")]
    Part(&'static str),
    /// Has a backslash, which some systems take for a separator.
    #[error("has a backslash")]
    Backslash,
    /// Has a character that cannot be seen.
    #[error("has a control character")]
    Control,
    /// Is longer than file systems take.
    #[error("is too long (255 bytes for a part, 1024 in all)")]
    Long,
}

/// Says what is wrong with a path inside a model's folder.
pub fn check_path(path: &str) -> Result<(), PathFlaw> {
    let drive = |it: &str| matches!(it.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    if path.starts_with('/') || drive(path) {
        return Err(PathFlaw::Absolute);
    }
    if path.contains('\\') {
        return Err(PathFlaw::Backslash);
    }
    if path.chars().any(char::is_control) {
        return Err(PathFlaw::Control);
    }
    if path.len() > 1024 || path.split('/').any(|it| it.len() > 255) {
        return Err(PathFlaw::Long);
    }
    match path.split('/').find(|it| matches!(*it, "" | "." | "..")) {
        Some("..") => Err(PathFlaw::Part("..")),
        Some(".") => Err(PathFlaw::Part(".")),
        Some(_) => Err(PathFlaw::Part("")),
        None => Ok(()),
    }
}

pub(super) fn check(files: &[Artifact<'_>], flaws: &mut Vec<Flaw>) {
    let names = files.iter().filter_map(|it| it.name);
    let names = names.filter_map(|node| Some((node, node.as_str()?))).collect::<Vec<_>>();
    flaws.extend(names.iter().filter_map(|(node, name)| leaves(*node, name)));
    if !surely_apart(&names) {
        collisions(&names, flaws);
    }
}

/// Says that a few plain names do not meet. If it does not say so, they still may not.
fn surely_apart(names: &[(Node<'_>, Cow<'_, str>)]) -> bool {
    let few = names.len() <= 16 && names.iter().all(|it| it.1.is_ascii());
    let meet = |one: &[u8], other: &[u8]| {
        let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
        let (start, rest) = long.split_at(short.len());
        rest.first().is_none_or(|it| *it == b'/') && start.eq_ignore_ascii_case(short)
    };
    few && names
        .iter()
        .enumerate()
        .all(|(at, (_, one))| names[..at].iter().all(|(_, other)| !meet(one.as_bytes(), other.as_bytes())))
}

fn leaves(node: Node<'_>, path: &str) -> Option<Flaw> {
    let wrong = check_path(path).err()?;
    // An empty name is the schema's to report.
    if path.is_empty() {
        return None;
    }
    let message = format!("{} should stay inside the model's folder", data_path(node));
    let flaw = Flaw::error("path", node, message).found(format!("the path {wrong}"));
    Some(flaw.help("write a relative path with / between its parts, such as onnx/model.onnx"))
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

    #[test]
    fn a_path_that_leaves_its_folder_is_refused_with_its_reason() {
        let check = |path: &str, wrong: PathFlaw| assert_eq!(check_path(path), Err(wrong), "{path:?}");
        check("/etc/passwd", PathFlaw::Absolute);
        check("C:/model.bin", PathFlaw::Absolute);
        check("../model.bin", PathFlaw::Part(".."));
        check("a/../../b", PathFlaw::Part(".."));
        check("a//b", PathFlaw::Part(""));
        check("a/", PathFlaw::Part(""));
        check("./a", PathFlaw::Part("."));
        check("..\\a", PathFlaw::Backslash);
        check("a\0b", PathFlaw::Control);
        check("a\nb", PathFlaw::Control);
        check(&"a".repeat(256), PathFlaw::Long);
        for fine in ["model.safetensors", "1_Pooling/config.json", ".gitattributes", "a..b", "ä/ö"] {
            assert_eq!(check_path(fine), Ok(()), "{fine}");
        }
    }

    proptest! {
        #[test]
        fn names_that_are_surely_apart_have_no_collision(names in proptest::collection::vec("[aAb/.é-]{1,5}", 0..5)) {
            let text = serde_json::to_string(&names).unwrap();
            let document = crate::document::Document::parse(text.as_bytes()).unwrap();
            let names = document.root().elements().map(|it| (it, it.as_str().unwrap())).collect::<Vec<_>>();
            let mut flaws = Vec::new();
            collisions(&names, &mut flaws);
            prop_assert!(flaws.is_empty() || !surely_apart(&names), "{:?}", names);
        }

        #[test]
        fn a_path_that_passes_stays_below_its_folder(path in "[a./\\\\:\0 é-]{0,12}") {
            use std::path::{Component, Path};
            if check_path(&path).is_ok() {
                let parts = Path::new(&path).components().collect::<Vec<_>>();
                prop_assert!(!parts.is_empty());
                prop_assert!(parts.iter().all(|it| matches!(it, Component::Normal(_))));
            }
        }
    }
}
