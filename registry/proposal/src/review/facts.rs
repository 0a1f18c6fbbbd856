//! The facts of an entry beside those of the one before it.

use std::collections::BTreeMap;

use catalog::{
    Entry,
    entry::{Companion, Dataset, Taxonomy, Training},
};
use serde_json::Value;

use super::{
    escape::{code, link},
    table::table,
};

/// Files, licence and where they come from.
pub(super) fn files(entry: &Entry, old: Option<&Entry>) -> String {
    let mut rows = Vec::new();
    let artifact = &entry.artifact;
    let mut row = |name: &str, of: &dyn Fn(&Entry) -> Option<String>| {
        rows.extend(compared(name, entry, old, of));
    };
    row("file", &|it| Some(code(it.artifact.filename.as_str())));
    row("sha256", &|it| Some(code(&it.artifact.sha256.to_string())));
    row("size", &|it| Some(size(it.artifact.size_bytes.get())));
    row("format", &|it| it.artifact.format.as_ref().map(|it| code(it.as_str())));
    row("from", &|it| it.artifact.download_url.as_ref().map(|it| link(it.as_str())));
    row("revision", &|it| it.artifact.revision.map(|it| code(&it.to_string())));
    row("licence", &|it| Some(code(it.license.as_str())));
    let mut text = facts(&rows, old);
    if !artifact.files.is_empty() {
        let before = |file: &Companion| {
            let found = old?.artifact.files.iter().find(|it| it.path == file.path)?;
            Some(found.sha256 == file.sha256)
        };
        let rows = artifact.files.iter().map(|it| {
            let news = match (old, before(it)) {
                (None, _) => "",
                (_, Some(true)) => "as before",
                (_, Some(false)) => "**changed**",
                (_, None) => "**new**",
            };
            let bytes = size(it.size_bytes.get());
            vec![code(it.path.as_str()), code(&it.sha256.to_string()), bytes, news.to_owned()]
        });
        text.push('\n');
        text.push_str(&table(&["companion", "sha256", "size", ""], rows));
    }
    text
}

/// Who made it, from what, in which run.
pub(super) fn training(entry: &Entry, source: &str, old: Option<&Entry>) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &str, of: &dyn Fn(&Entry) -> Option<String>| {
        rows.extend(compared(name, entry, old, of));
    };
    row("run", &|it| Some(code(it.provenance.run_id.as_str())));
    row("made at", &|it| it.provenance.timestamp.as_ref().map(|it| code(it.as_str())));
    row("made by", &|it| it.provenance.creator.as_deref().map(code));
    row("dataset", &|it| dataset(it).map(|it| code(it.id.as_str())));
    row("… at commit", &|it| dataset(it)?.commit.as_ref().map(|it| code(it.as_str())));
    row("… from", &|it| dataset(it).map(|it| link(it.url.as_str())));
    row("code", &|it| trained(it).map(|it| link(it.repo.as_str())));
    row("… at commit", &|it| trained(it)?.commit.as_ref().map(|it| code(it.as_str())));
    if !was_clean(source) {
        let mut cells =
            vec!["… as committed".to_owned(), "**no**: files were changed and not committed".to_owned()];
        cells.extend(old.map(|_| "–".to_owned()));
        rows.push(cells);
    }
    let mut row = |name: &str, of: &dyn Fn(&Entry) -> Option<String>| {
        rows.extend(compared(name, entry, old, of));
    };
    row("command", &|it| trained(it).map(|it| code(it.command.as_str())));
    row("duration", &|it| trained(it)?.duration.as_deref().map(code));
    row("hardware", &|it| trained(it)?.hardware.as_deref().map(code));
    let repeat = |it: &Entry| it.provenance.reproducibility.clone();
    row("seed", &|it| repeat(it)?.seed.map(|it| code(&serde_json::Number::from(it).to_string())));
    row("environment", &|it| repeat(it)?.environment.as_deref().map(code));
    facts(&rows, old)
}

/// Says whether the training code was as its commit has it, as far as the entry says.
fn was_clean(source: &str) -> bool {
    let entry = serde_json::from_str::<Value>(source).unwrap_or_default();
    entry.pointer("/training/treeClean") != Some(&Value::Bool(false))
}

/// What was measured, and how much it changed.
pub(super) fn metrics(entry: &Entry, old: Option<&Entry>) -> String {
    let (new, before) = (measured(entry), old.map(measured).unwrap_or_default());
    let mut names = new.keys().chain(before.keys()).collect::<Vec<_>>();
    // The ones that every model has come first.
    let rank =
        |it: &str| ["loss", "accuracy", "perplexity"].iter().position(|known| *known == it).unwrap_or(3);
    names.sort_by(|one, other| (rank(one), one).cmp(&(rank(other), other)));
    names.dedup();
    if names.is_empty() {
        return "None are given.".to_owned();
    }
    let shown = |it: Option<&Value>| it.map_or_else(|| "–".to_owned(), |it| code(&text(it)));
    let rows = names.into_iter().map(|name| {
        let (now, then) = (new.get(name), before.get(name));
        let mut cells = vec![code(name), shown(now)];
        if old.is_some() {
            cells.extend([shown(then), difference(now, then)]);
        }
        cells
    });
    let heads: &[&str] =
        if old.is_some() { &["metric", "new", "before", "change"] } else { &["metric", "new"] };
    table(heads, rows)
}

fn measured(entry: &Entry) -> BTreeMap<String, Value> {
    let metrics = serde_json::to_value(&entry.provenance.metrics).unwrap_or_default();
    metrics.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn difference(now: Option<&Value>, then: Option<&Value>) -> String {
    let (Some(now), Some(then)) = (now.and_then(Value::as_f64), then.and_then(Value::as_f64)) else {
        return String::new();
    };
    let change = now - then;
    if change == 0.0 {
        return "±0".to_owned();
    }
    // Enough digits to see it, and no more than the figures have.
    let digits = (3.0 - change.abs().log10().floor()).clamp(0.0, 12.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 12")]
    let digits = digits as usize;
    let mut figure = format!("{:.digits$}", change.abs());
    if figure.contains('.') {
        figure.truncate(figure.trim_end_matches('0').trim_end_matches('.').len());
    }
    format!("{}{figure}", if change < 0.0 { "−" } else { "+" })
}

/// Makes a row of a fact, unless neither entry has it.
fn compared(
    name: &str,
    entry: &Entry,
    old: Option<&Entry>,
    of: &dyn Fn(&Entry) -> Option<String>,
) -> Option<Vec<String>> {
    let (new, before) = (of(entry), old.and_then(of));
    if new.is_none() && before.is_none() {
        return None;
    }
    let same = new == before;
    let shown = |it: Option<String>| it.unwrap_or_else(|| "–".to_owned());
    let mut cells = vec![name.to_owned(), shown(new)];
    cells.extend(old.map(|_| if same { "as before".to_owned() } else { shown(before) }));
    Some(cells)
}

fn facts(rows: &[Vec<String>], old: Option<&Entry>) -> String {
    let heads: &[&str] = if old.is_some() { &["", "new", "before"] } else { &["", "new"] };
    table(heads, rows.iter().cloned())
}

fn dataset(entry: &Entry) -> Option<&Dataset> {
    match &entry.taxonomy {
        Taxonomy::Ours(ours) => Some(&ours.dataset),
        Taxonomy::Other(_) => None,
    }
}

fn trained(entry: &Entry) -> Option<&Training> {
    match &entry.taxonomy {
        Taxonomy::Ours(ours) => Some(&ours.training),
        Taxonomy::Other(_) => None,
    }
}

/// Writes a size for people, and exactly.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1 << 10 {
        return format!("{bytes} bytes");
    }
    let unit = ((bytes.ilog2() / 10) as usize).min(UNITS.len());
    #[expect(clippy::cast_precision_loss, reason = "the exact figure stands beside it")]
    let figure = bytes as f64 / f64::from(1 << (10 * unit.min(3))) / if unit == 4 { 1024.0 } else { 1.0 };
    format!("{figure:.1} {} ({bytes} bytes)", UNITS[unit - 1])
}
