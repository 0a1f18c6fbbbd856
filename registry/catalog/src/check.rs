//! From bytes to an index that holds, or to everything that is wrong with it.
//!
//! One read, one parse, one validation. Entries are independent until the last step, so all cores share them.

mod again;

use std::{collections::HashSet, num::NonZero, ops::Range, path::Path, thread};

use self::again::Change;
use crate::{
    document::{Document, ENTRY_DEPTH, Kind, Node, Slots},
    entry::Entry,
    flaw::{FLAWS_MAX, Flaw, Report, Severity},
    glance::{Source, glance},
    hashed::{Hashed, HashedText},
    index::{Index, Listed},
    rules::{self, Across, Parts},
    schema::Contract,
    watch::{ReadError, glance_index_file, read_index_file},
};

/// The most entries that are looked at. A file at its size limit has no room for so many good ones.
pub(crate) const ENTRIES_MAX: usize = 500_000;

/// A look at what changed pays if that is no more than this part of the text: for the whole all cores are at work.
const SHORT_SHARE: usize = 4;

/// What a text turned out to be.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The index, if it holds.
    pub index: Option<Index>,
    /// What was found on the way.
    pub report: Report,
}

/// Validates a text and keeps nothing but the report.
pub fn validate(bytes: &[u8], contract: &Contract) -> Report {
    match count_plain(bytes, contract) {
        Some(models) => Report { models, ..Report::default() },
        None => examine_text(bytes, contract),
    }
}

/// Validates an index file and keeps nothing but the report, and the text if there is something to show in it.
///
/// A file with nothing wrong in it is never in memory as a whole.
pub fn validate_file(path: &Path, contract: &Contract) -> Result<(Report, Vec<u8>), ReadError> {
    if let Some(models) = glance_index_file(path, |file| count_plain(file, contract))? {
        return Ok((Report { models, ..Report::default() }, Vec::new()));
    }
    let bytes = read_index_file(path)?;
    Ok((examine_text(&bytes, contract), bytes))
}

/// Counts the entries of an index in which there is nothing to report.
fn count_plain(source: &(impl Source + ?Sized), contract: &Contract) -> Option<usize> {
    glance(source, contract, |_, _| Some(())).map(|it| it.len())
}

pub(crate) fn examine_text(bytes: &[u8], contract: &Contract) -> Report {
    match Document::parse(bytes) {
        Ok(document) => examine(&document, contract).report(bytes),
        Err(errors) => Report::new(bytes, errors.into_iter().map(Flaw::from).collect()),
    }
}

/// Validates a text and, if it holds, turns it into an index.
pub fn check(bytes: &[u8], contract: &Contract) -> Checked {
    check_again(Hashed::of(bytes.to_vec()), contract, None)
}

/// Validates a text of which an earlier version may have held: then most of it need not be looked at again, and entries
/// that did not change are the same ones in both indexes. What comes out is what [`check`] makes of the text alone.
pub fn check_again(found: Hashed, contract: &Contract, previous: Option<&Checked>) -> Checked {
    let text = match found.into_text() {
        Ok(text) => text,
        Err(found) => return Checked { index: None, report: examine_text(found.bytes(), contract) },
    };
    match previous.and_then(|it| Some((it.index.as_ref()?, &it.report))) {
        Some((index, report)) => {
            let change = Change::between(index, &text.text);
            let small = change.length() <= text.text.len() / SHORT_SHARE;
            match small.then(|| change.check(contract, report)).flatten() {
                Some((revision, report)) => Checked { index: Some(index.revised(text, revision)), report },
                None => check_whole(text, contract),
            }
        }
        None => check_whole(text, contract),
    }
}

fn check_whole(text: HashedText, contract: &Contract) -> Checked {
    let bytes = text.text.as_bytes();
    if let Some(listed) = plain_entries(bytes, contract) {
        let report = Report { models: listed.len(), ..Report::default() };
        return Checked { index: Some(Index::new(text, listed)), report };
    }
    let document = match Document::parse(bytes) {
        Ok(document) => document,
        Err(errors) => {
            let report = Report::new(bytes, errors.into_iter().map(Flaw::from).collect());
            return Checked { index: None, report };
        }
    };
    let mut examined = examine(&document, contract);
    let read = if contract.is_ours() { Entry::read_ours } else { Entry::read_other };
    let mut listed = Vec::with_capacity(examined.entries.len());
    if examined.flaws.iter().all(|it| it.severity != Severity::Error) {
        for (node, is_stub) in &examined.entries {
            match read(*node) {
                Ok(entry) => listed.push((Listed { entry, is_stub: *is_stub }, node.span())),
                // Schema and types are tested to agree; should they ever not, the index is refused and says where.
                Err(error) => examined.flaws.push(Flaw::error("type", *node, error.to_string())),
            }
        }
    }
    let report = examined.report(bytes);
    drop(document);
    let index = report.holds(false).then(|| Index::new(text, listed));
    Checked { index, report }
}

/// Returns the entries, each with its place, if there is nothing to report.
fn plain_entries(bytes: &[u8], contract: &Contract) -> Option<Vec<(Listed, Range<usize>)>> {
    glance(bytes, contract, |text, place| {
        let place = usize::try_from(place).ok()?;
        let (document, _) = Document::first(text.as_bytes(), ENTRY_DEPTH, &mut Slots::default())?;
        let listed = Listed { entry: Entry::read_ours(document.root()).ok()?, is_stub: false };
        Some((listed, place..place + text.len()))
    })
}

/// Says whether the typed structs alone take a text, without schema and rules. For tests of their agreement.
pub fn check_typed(bytes: &[u8]) -> bool {
    let Ok(document) = Document::parse(bytes) else { return false };
    let root = document.root();
    let known = |key: Node<'_>| ["$schema", "STUBS_TO_REVISIT", "models"].iter().any(|name| key.is(name));
    let schema_named = root.get("$schema").is_none_or(|it| it.as_str().is_some_and(|text| !text.is_empty()));
    let entries = root.get("models").filter(|it| it.kind() == Kind::Array);
    root.kind() == Kind::Object
        && root.members().all(|(key, _)| known(key))
        && schema_named
        && entries.is_some_and(|it| it.elements().all(|entry| Entry::read_ours(entry).is_ok()))
}

/// What a look at a document gave.
struct Examined<'d> {
    flaws: Vec<Flaw>,
    entries: Vec<(Node<'d>, bool)>,
    unexamined: usize,
    /// How many warnings more there are than a report lists.
    unlisted: usize,
}

impl Examined<'_> {
    fn report(self, bytes: &[u8]) -> Report {
        let stubs = self.entries.iter().filter(|it| it.1).count();
        let models = self.entries.len() + self.unexamined;
        let report = Report::new(bytes, self.flaws);
        let warnings = report.warnings + self.unlisted;
        Report { warnings, models, stubs, unexamined: self.unexamined, ..report }
    }
}

fn examine<'d>(document: &'d Document<'_>, contract: &Contract) -> Examined<'d> {
    let mut flaws = contract.check_frame(document);
    let models = document.root().get("models").filter(|it| it.kind() == Kind::Array);
    let mut nodes = models.into_iter().flat_map(Node::elements).take(ENTRIES_MAX + 1).collect::<Vec<_>>();
    if let Some(excess) = nodes.get(ENTRIES_MAX) {
        let message = format!("more than {ENTRIES_MAX} models");
        flaws.push(
            Flaw::error("too-many", *excess, message).help("split the index, or remove what is no entry"),
        );
        nodes.truncate(ENTRIES_MAX);
    }
    let mut entries = Vec::with_capacity(nodes.len());
    let mut across = Across::with_capacity(nodes.len());
    let mut unlisted = 0;
    for (parts, found, is_stub) in on_all_cores(&nodes, |chunk| examine_chunk(chunk, contract)) {
        let from = flaws.len();
        unlisted += found.unlisted;
        flaws.extend(found.flaws);
        across.check(&parts, &mut flaws);
        if flaws.len() > from {
            let id = parts.id.and_then(Node::as_str);
            flaws[from..].iter_mut().for_each(|flaw| flaw.model = id.as_deref().map(str::to_owned));
        }
        entries.push((parts.entry, is_stub));
    }
    if !contract.is_ours() {
        // Another organisation's schema is checked whole and ours beside it: what both say is said once.
        let mut seen = HashSet::new();
        flaws.retain(|it| seen.insert((it.pointer.clone(), it.message.clone())));
    }
    Examined { flaws, unexamined: nodes.len() - entries.len(), entries, unlisted }
}

/// What is wrong with one entry.
struct Found {
    flaws: Vec<Flaw>,
    unlisted: usize,
}

/// Examines entries until so many errors are found that nobody would read more. Warnings never end it, since an index
/// with warnings holds; those that no report has room for are counted.
fn examine_chunk<'d>(chunk: &[Node<'d>], contract: &Contract) -> Vec<(Parts<'d>, Found, bool)> {
    let mut examined = Vec::with_capacity(chunk.len());
    let (mut errors, mut warnings) = (0, 0);
    for entry in chunk {
        let mut flaws = contract.check_entry(*entry);
        let parts = Parts::of(*entry);
        let (found, is_stub) = rules::check(&parts);
        flaws.extend(found);
        let warned = warnings > FLAWS_MAX;
        let is_error = |it: &Flaw| it.severity == Severity::Error;
        let of_entry = flaws.iter().filter(|it| !is_error(it)).count();
        (errors, warnings) = (errors + flaws.len() - of_entry, warnings + of_entry);
        // All of an entry or none, since the first in the file are not the first to be found.
        flaws.retain(|it| is_error(it) || !warned);
        let unlisted = if warned { of_entry } else { 0 };
        examined.push((parts, Found { flaws, unlisted }, is_stub));
        if errors > FLAWS_MAX {
            break;
        }
    }
    examined
}

/// Maps chunks in order, on as many threads as there are cores; a short list is not worth one.
fn on_all_cores<T: Sync, R: Send>(items: &[T], map: impl Fn(&[T]) -> Vec<R> + Sync) -> Vec<R> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = items.len().div_ceil(cores).max(64);
    let mut chunks = items.chunks(share);
    let Some(mine) = chunks.next() else { return Vec::new() };
    thread::scope(|scope| {
        let others = chunks.map(|chunk| scope.spawn(|| map(chunk))).collect::<Vec<_>>();
        let mut results = map(mine);
        for other in others {
            match other.join() {
                Ok(more) => results.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}

#[cfg(test)]
mod tests;
