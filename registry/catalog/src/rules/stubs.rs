//! Placeholders: fine in a draft, never deployed.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::{Artifact, Facts, Parts};
use crate::{
    document::{Kind, Node},
    flaw::Flaw,
    schema::data_path,
};

/// The SHA-256 of no bytes at all.
const OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The mark that placeholders carry.
const MARK: &str = "TODO-STUB";

static FIND_MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARK));

/// Says that [`check`] finds no placeholder.
pub(super) fn surely_none(facts: &Facts<'_>, entry: &str) -> bool {
    let some = |text: Option<&str>| text.is_none_or(|it| it.bytes().any(|byte| byte != b'0'));
    // A number of digits, one of which is none of the zeros.
    let many =
        |digits: &str| digits.bytes().all(|it| it.is_ascii_digit()) && digits.bytes().any(|it| it != b'0');
    let full = facts.files().all(|it| some(it.sha256) && it.size_bytes.is_none_or(many));
    let commits = [facts.dataset_commit, facts.training_commit, facts.revision];
    full && commits.into_iter().all(some) && FIND_MARK.find(entry.as_bytes()).is_none()
}

pub(super) fn check(parts: &Parts<'_>, files: &[Artifact<'_>], flaws: &mut Vec<Flaw>) {
    for artifact in files {
        flaws.extend(artifact.sha256.and_then(|it| zeros(it, 64, "digest")));
        // A companion may really be empty, as some __init__.py are: then it has the digest of nothing.
        let honest = artifact.sha256.is_some_and(|it| it.is(OF_NOTHING));
        flaws.extend(artifact.size_bytes.filter(|_| !honest).and_then(empty));
    }
    let commits = [parts.dataset, parts.training].into_iter().flatten().filter_map(|it| it.get("commit"));
    for commit in commits.chain(parts.artifact.revision) {
        flaws.extend(zeros(commit, 7, "commit"));
    }
    // One look at the whole entry is enough nearly always.
    if FIND_MARK.find(parts.entry.source().as_bytes()).is_some() {
        marked(parts.entry, flaws);
    }
}

fn zeros(node: Node<'_>, digits_min: usize, what: &str) -> Option<Flaw> {
    let text = node.as_str()?;
    let zero = text.len() >= digits_min && text.bytes().all(|it| it == b'0');
    zero.then(|| placeholder(node, format!("an all-zero {what}")))
}

fn empty(node: Node<'_>) -> Option<Flaw> {
    let size = node.as_number()?.parse::<f64>().ok()?;
    (size == 0.0).then(|| placeholder(node, "no bytes at all".to_owned()))
}

fn marked(node: Node<'_>, flaws: &mut Vec<Flaw>) {
    match node.kind() {
        Kind::String | Kind::Escaped if node.as_str().is_some_and(|it| it.contains(MARK)) => {
            flaws.push(placeholder(node, format!("marked {MARK}")));
        }
        // The tree is no deeper than its parser lets it be.
        Kind::Object => node.members().for_each(|(_, value)| marked(value, flaws)),
        Kind::Array => node.elements().for_each(|element| marked(element, flaws)),
        _ => {}
    }
}

fn placeholder(node: Node<'_>, found: String) -> Flaw {
    let message = format!("{} is a placeholder, so this entry is a stub", data_path(node));
    let flaw = Flaw::warning("stub", node, message).found(found);
    flaw.help("replace it by the real value; until then the model is never deployed")
}
