//! Says what was found, what was used, and what became of the index.

use std::fmt::Write as _;

use anyhow::Context as _;
use catalog::{
    Report,
    edit::{Change, Revision},
};
use serde_json::{Value, json};

use super::{Arguments, Draft, End, Put, sheet::plain};
use crate::{out::counted, validate};

/// Longer values are cut where people read them.
const VALUE_CHARACTERS_MAX: usize = 72;

pub(super) fn render(arguments: &Arguments, draft: &Draft, end: &End) -> anyhow::Result<String> {
    if arguments.json { as_json(arguments, draft, end) } else { Ok(as_text(arguments, draft, end)) }
}

fn as_json(arguments: &Arguments, draft: &Draft, end: &End) -> anyhow::Result<String> {
    let (change, written, report) = match end {
        End::Incomplete => (None, false, None),
        End::Put(Put::Refused(_, report)) => (None, false, Some(report)),
        End::Put(Put::Done(change, report)) => {
            (Some(change), !arguments.dry_run && *change != Change::Nothing, Some(report))
        }
    };
    let missing = draft.missing.iter().map(|it| {
        json!({ "field": it.name(), "pointer": it.pointer, "description": it.description, "form": it.form, "choices": it.choices })
    });
    let page = json!({
        "index": arguments.index,
        "id": draft.entry.get("id"),
        "written": written,
        "change": change.map(serde_json::to_value).transpose().context("write the change as JSON")?,
        "entry": draft.entry,
        "used": draft.used,
        "missing": missing.collect::<Vec<_>>(),
        "objections": draft.objections,
        "remarks": draft.remarks,
        "report": report,
    });
    Ok(serde_json::to_string_pretty(&page).context("write the result as JSON")? + "\n")
}

fn as_text(arguments: &Arguments, draft: &Draft, end: &End) -> String {
    let mut page = facts(draft);
    let index = arguments.index.display();
    match end {
        End::Incomplete => page += &incomplete(draft),
        End::Put(Put::Refused(text, report)) => {
            line(&mut page, &format!("\nWith this entry the index would not hold; {index} is as it was:\n"));
            page += &validate::text(&index.to_string(), text, report);
        }
        End::Put(Put::Done(change, report)) => page += &done(arguments, draft, change, report),
    }
    page
}

/// Lists where each field came from, with its value.
fn facts(draft: &Draft) -> String {
    let mut page = String::new();
    for used in &draft.used {
        line(&mut page, &used.source);
        for pointer in &used.fields {
            let value =
                draft.entry.get("id").and_then(|_| at(draft, pointer)).map_or_else(String::new, short);
            line(&mut page, &format!("  {}: {value}", plain(pointer)));
        }
    }
    for remark in &draft.remarks {
        line(&mut page, &format!("note: {remark}"));
    }
    page
}

/// Says what an entry lacks.
pub(crate) fn incomplete(draft: &Draft) -> String {
    let mut page = String::new();
    for objection in &draft.objections {
        line(&mut page, &format!("refused: {objection}"));
    }
    if !draft.missing.is_empty() {
        let count = counted(draft.missing.len() as u64, "field");
        line(
            &mut page,
            &format!("\n{count} missing; give each with --set, or use --interactive or --allow-stub:"),
        );
        for field in &draft.missing {
            line(&mut page, &format!("  {}: {}", field.name(), field.description));
            if !field.choices.is_empty() {
                line(&mut page, &format!("    one of {}", field.choices.join(", ")));
            }
        }
    }
    line(&mut page, "\nNothing was written.");
    page
}

fn done(arguments: &Arguments, draft: &Draft, change: &Change, report: &Report) -> String {
    let index = arguments.index.display();
    let text = |name: &str| draft.entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let (id, version) = (text("id"), text("version"));
    let (would, mut page) = (if arguments.dry_run { "would have " } else { "has " }, String::new());
    match change {
        Change::Nothing => line(&mut page, &format!("\n{index} says all of this already: {id} {version}.")),
        Change::Added => line(&mut page, &format!("\n{index} {would}a new entry: {id} {version}.")),
        Change::Revised(revisions) => {
            line(&mut page, &format!("\n{index} {would}a revised entry: {id} {version}."));
            for revision in revisions {
                line(&mut page, &revised(revision));
            }
        }
    }
    let own = report.flaws.iter().filter(|it| it.model.as_deref() == Some(id));
    for flaw in own {
        line(&mut page, &format!("warning: {}", flaw.message));
    }
    page
}

fn revised(revision: &Revision) -> String {
    let (before, after) = (revision.before.as_ref().map(short), revision.after.as_ref().map(short));
    let name = plain(&revision.pointer);
    match (before, after) {
        (Some(before), Some(after)) => format!("  {name}: {before} → {after}"),
        (None, Some(after)) => format!("  {name}: {after} (new)"),
        (before, None) => format!("  {name}: {} (removed)", before.unwrap_or_default()),
    }
}

fn at<'d>(draft: &'d Draft, pointer: &str) -> Option<&'d Value> {
    let mut tokens = pointer.split('/').skip(1).map(|it| it.replace("~1", "/").replace("~0", "~"));
    let first = draft.entry.get(&tokens.next()?)?;
    tokens.try_fold(first, |value, token| value.get(token))
}

/// Writes a value in one line that fits a terminal, without what would steer one.
fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(list) if list.iter().any(Value::is_object) => counted(list.len() as u64, "file"),
        other => other.to_string(),
    };
    let shown = text.chars().map(|it| if it.is_control() { ' ' } else { it });
    let cut = shown.clone().take(VALUE_CHARACTERS_MAX).collect::<String>();
    if shown.count() > VALUE_CHARACTERS_MAX { cut + "…" } else { cut }
}

fn line(page: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "{text}");
}
