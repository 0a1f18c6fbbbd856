//! What a reviewer reads: what changes, what is known of the training, what was checked.
//!
//! Pure, and without time or place: the same proposal reads the same. All that comes from an entry is shown as text
//! that no forge takes for markup, a link to a person, or a command: see `escape`.

mod escape;
mod facts;
mod table;

use std::fmt::Write as _;

use base::ModelId;
use catalog::{Entry, Index};

use self::{
    escape::{code, prose},
    facts::{files, metrics, training},
};

/// How many files or metrics one table shows.
const ROWS_MAX: usize = 50;

/// A new or changed entry, and what was found out about it.
#[derive(Clone, Copy, Debug)]
pub struct Review<'r> {
    /// The entry as it shall be.
    pub entry: &'r Entry,
    /// The same as it stands in the index: it may say more than an entry has fields for.
    pub source: &'r str,
    /// What to compare it with.
    pub previous: Option<&'r Entry>,
    /// What was checked.
    pub checks: &'r [Check],
    /// The signed proposal, if there is to be one.
    pub vote: Option<&'r Vote>,
}

/// A proposal that is signed, and that others can vote on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Its name, which says what it is about: the model, its version, and the beginning of its digest.
    pub name: String,
    /// Who signs it.
    pub signer: String,
}

/// One check and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: String,
    /// What came of it.
    pub verdict: Verdict,
    /// What there is to say about it.
    pub detail: String,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed,
    /// It was not made.
    Skipped,
}

impl Check {
    /// Notes a check.
    pub fn new(name: impl Into<String>, verdict: Verdict, detail: impl Into<String>) -> Self {
        Self { name: name.into(), verdict, detail: detail.into() }
    }
}

/// Returns what an entry is to be compared with: the one with its id, or the highest version below it of the same model.
pub fn previous<'i>(index: &'i Index, id: &ModelId) -> Option<&'i Entry> {
    if let Some(same) = index.entry(id) {
        return Some(&same.entry);
    }
    let (family, major) = (family(id)?, id.major()?);
    let older = index.entries().map(|it| &it.entry).filter(|it| self::family(&it.id) == Some(family));
    older.filter(|it| it.id.major() < Some(major)).max_by_key(|it| it.id.major())
}

/// Returns an id without its version: `ajna-insight` of `ajna-insight-v2`.
fn family(id: &ModelId) -> Option<&str> {
    let major = id.major()?;
    let text = id.as_str();
    text.find(&format!("-v{major}")).map(|end| &text[..end])
}

/// Returns the title of the pull request that adds a model.
pub fn title(id: &ModelId) -> String {
    format!("Add model artifact: {id}")
}

/// Returns the branch that a model is proposed on.
pub fn branch(id: &ModelId) -> String {
    format!("ci/model-update-{id}")
}

/// Writes what a reviewer reads about one entry.
pub fn describe(review: &Review<'_>) -> String {
    let Review { entry, source, previous: old, checks, vote } = *review;
    let mut text = opening(entry, old);
    for (heading, table) in [
        ("Artifact", files(entry, old)),
        ("Training", training(entry, source, old)),
        ("Metrics", metrics(entry, old)),
    ] {
        section(&mut text, heading, &table);
    }
    section(&mut text, "Checks", &checked(checks));
    if let Some(vote) = vote {
        let (name, signer) = (code(&vote.name), code(&vote.signer));
        section(
            &mut text,
            "Vote",
            &format!("The signed proposal (30301) is called {name}, and its author is {signer}."),
        );
    }
    text
}

fn section(text: &mut String, heading: &str, body: &str) {
    // Writing to a string cannot fail.
    let _ = write!(text, "\n### {heading}\n\n{}\n", body.trim_end());
}

fn opening(entry: &Entry, old: Option<&Entry>) -> String {
    let (id, version) = (code(entry.id.as_str()), code(&entry.version.to_string()));
    let mut text = match old {
        None => format!("Adds {id} {version}. No earlier version of it is in the index.\n"),
        Some(old) if old.id == entry.id => {
            format!("Updates {id} from {} to {version}.\n", code(&old.version.to_string()))
        }
        Some(old) => {
            let shown = (code(old.id.as_str()), code(&old.version.to_string()));
            format!("Adds {id} {version}, after {} {}.\n", shown.0, shown.1)
        }
    };
    if let Some(about) = entry.description() {
        let _ = write!(text, "\n> {}\n", prose(about));
    }
    text
}

fn checked(checks: &[Check]) -> String {
    if checks.is_empty() {
        return "None ran.".to_owned();
    }
    let rows = checks.iter().map(|it| {
        let verdict = match it.verdict {
            Verdict::Passed => "✅ passed",
            Verdict::Failed => "❌ **failed**",
            Verdict::Skipped => "⚠️ **skipped**",
        };
        vec![prose(&it.name), verdict.to_owned(), prose(&it.detail)]
    });
    table::table(&["check", "outcome", "what was found"], rows)
}

#[cfg(test)]
mod tests;
