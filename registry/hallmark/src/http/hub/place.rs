//! What a path of the hub names: a repository, a revision, a file. Pure.
//!
//! Each part is percent-decoded once, after the path was split: what hides a slash or a dot in an escape gets a name
//! that no file has. No name is ever taken to the disk.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A file in a repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FilePlace<'p> {
    pub(super) repo: Cow<'p, str>,
    pub(super) revision: Cow<'p, str>,
    pub(super) path: Cow<'p, str>,
}

/// What is asked about a repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Question<'p> {
    Info,
    Refs,
    Revision(Cow<'p, str>),
    Tree { revision: Cow<'p, str>, folder: Cow<'p, str> },
    Paths(Cow<'p, str>),
}

/// Why a path names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unclear {
    /// It has not the form of any page.
    Form,
    /// Its escapes are not those of UTF-8.
    Encoding,
}

/// Reads `/{repository}/resolve/{revision}/{path}`.
pub(super) fn file(raw: &str) -> Result<FilePlace<'_>, Unclear> {
    let (repo, tail) = split(raw.strip_prefix('/').ok_or(Unclear::Form)?, &["resolve"]);
    let tail = tail.and_then(|it| it.strip_prefix("resolve/")).ok_or(Unclear::Form)?;
    let (revision, path) = tail.split_once('/').ok_or(Unclear::Form)?;
    Ok(FilePlace { repo: decode(repo)?, revision: decode(revision)?, path: decode(path)? })
}

/// Reads what follows `/api/models/`: a repository, and what is asked about it.
pub(super) fn question(raw: &str) -> Result<(Cow<'_, str>, Question<'_>), Unclear> {
    let (repo, tail) = split(raw, &["refs", "revision", "tree", "paths-info"]);
    let Some(tail) = tail else { return Ok((decode(repo)?, Question::Info)) };
    let (kind, rest) = tail.split_once('/').unwrap_or((tail, ""));
    let question = match (kind, rest) {
        ("refs", "") => Question::Refs,
        // Nothing follows the revision here, so it may have slashes.
        ("revision", revision) if !revision.is_empty() => Question::Revision(decode(revision)?),
        ("paths-info", revision) if !revision.is_empty() => Question::Paths(decode(revision)?),
        ("tree", rest) if !rest.is_empty() => {
            let (revision, folder) = rest.split_once('/').unwrap_or((rest, ""));
            let folder = folder.strip_suffix('/').unwrap_or(folder);
            Question::Tree { revision: decode(revision)?, folder: decode(folder)? }
        }
        _ => return Err(Unclear::Form),
    };
    Ok((decode(repo)?, question))
}

/// Splits a repository of one or two parts from what follows it, which begins with one of these words.
fn split<'r>(raw: &'r str, words: &[&str]) -> (&'r str, Option<&'r str>) {
    let begins = |it: &str| words.contains(&it.split('/').next().unwrap_or_default());
    let Some((one, after)) = raw.split_once('/') else { return (raw, None) };
    if let Some((two, tail)) = after.split_once('/')
        && begins(tail)
    {
        return (&raw[..one.len() + 1 + two.len()], Some(tail));
    }
    if begins(after) { (one, Some(after)) } else { (raw, None) }
}

fn decode(part: &str) -> Result<Cow<'_, str>, Unclear> {
    percent_decode_str(part).decode_utf8().map_err(|_| Unclear::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_names_a_repository_a_revision_and_a_file() {
        let check = |raw: &str, repo: &str, revision: &str, path: &str| {
            let place = FilePlace { repo: repo.into(), revision: revision.into(), path: path.into() };
            assert_eq!(file(raw), Ok(place), "{raw}");
        };
        check("/org/name/resolve/main/model.bin", "org/name", "main", "model.bin");
        check("/org/name/resolve/main/a/b.json", "org/name", "main", "a/b.json");
        check("/gpt2/resolve/main/model.bin", "gpt2", "main", "model.bin");
        check("/org/resolve/resolve/main/x", "org/resolve", "main", "x");
        check("/org/name/resolve/refs%2Fheads%2Fmain/x", "org/name", "refs/heads/main", "x");
        check("/org/name/resolve/main/a%20b%2Fc", "org/name", "main", "a b/c");
        // Decoded once: what is left is no path of any file.
        check("/org/name/resolve/main/%252e%252e%252fx", "org/name", "main", "%2e%2e%2fx");
        check("/org/name/resolve/main/..%2f..%2fetc", "org/name", "main", "../../etc");
        check("/org/name/resolve/main//x", "org/name", "main", "/x");
        check("/org/name/resolve/main/", "org/name", "main", "");
        check("//resolve/main/x", "", "main", "x");
    }

    #[test]
    fn what_names_no_file_is_told_from_what_cannot_be_read() {
        let check = |raw: &str, expected: Unclear| assert_eq!(file(raw), Err(expected), "{raw}");
        check("/org/name/resolve/main", Unclear::Form);
        check("/org/name/blob/main/x", Unclear::Form);
        check("/a/b/c/resolve/main/x", Unclear::Form);
        check("", Unclear::Form);
        check("/org/name/resolve/main/%ff", Unclear::Encoding);
        check("/org/name/resolve/%C3%28/x", Unclear::Encoding);
    }

    #[test]
    fn questions_about_a_repository() {
        let check = |raw: &str, repo: &str, expected: Question<'_>| {
            assert_eq!(question(raw), Ok((repo.into(), expected)), "{raw}");
        };
        let tree = |revision: &'static str, folder: &'static str| Question::Tree {
            revision: revision.into(),
            folder: folder.into(),
        };
        check("org/name", "org/name", Question::Info);
        check("gpt2", "gpt2", Question::Info);
        check("org/name/refs", "org/name", Question::Refs);
        check("gpt2/refs", "gpt2", Question::Refs);
        check("org/name/revision/main", "org/name", Question::Revision("main".into()));
        check("gpt2/revision/main", "gpt2", Question::Revision("main".into()));
        check("org/name/revision/refs/heads/main", "org/name", Question::Revision("refs/heads/main".into()));
        check("org/name/tree/main", "org/name", tree("main", ""));
        check("org/name/tree/main/", "org/name", tree("main", ""));
        check("org/name/tree/main/a/b", "org/name", tree("main", "a/b"));
        check("org/name/tree/a%2Fb/c%2Fd", "org/name", tree("a/b", "c/d"));
        check("gpt2/tree/main/tree", "gpt2", tree("main", "tree"));
        check("org/name/paths-info/main", "org/name", Question::Paths("main".into()));
        for raw in ["org/name/tree", "org/name/revision/", "org/name/refs/x"] {
            assert_eq!(question(raw), Err(Unclear::Form), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn no_path_panics(raw in "[a-z/%0-9.]{0,40}(resolve|tree|refs)?[a-z/%0-9.]{0,20}") {
            drop(file(&raw));
            drop(question(&raw));
        }
    }
}
