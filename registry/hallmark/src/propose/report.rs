//! What became of a proposal, for people and for programs.

use std::fmt::Write as _;

use anyhow::Context as _;
use base::CommitId;
use catalog::{Listed, Report, git::Standing};
use proposal::{
    Refusal, Request,
    review::{Check, Verdict, branch},
};
use serde_json::{Value, json};

use super::{checks::listed, events::Told, route::Route};
use crate::{
    Outcome,
    add::{self, Draft},
    out, validate,
};

/// How it ended.
pub(super) enum Ending {
    /// The entry lacks something; nothing was pushed.
    Incomplete { draft: Box<Draft> },
    /// The index would not hold; nothing was pushed.
    DoesNotHold { text: String, report: Box<Report> },
    /// A check did not hold; nothing was pushed.
    Unproven { id: String, checks: Vec<Check> },
    /// The index has the entry already.
    Nothing { branch: String, merged: Option<Request> },
    /// Somebody has to decide first.
    Refused { why: Refusal, standing: Standing, newest: Option<Request> },
    /// It is proposed.
    Done(Box<Done>),
}

/// What is proposed now.
#[derive(Default)]
pub(super) struct Done {
    pub(super) model: String,
    pub(super) version: String,
    pub(super) branch: String,
    pub(super) commit: String,
    pub(super) is_new: bool,
    pub(super) compare: Option<String>,
    pub(super) request: Option<RequestEnd>,
    pub(super) checks: Vec<Check>,
    pub(super) events: Vec<Told>,
}

/// The pull request, and what was done to it.
pub(super) struct RequestEnd {
    pub(super) request: Request,
    pub(super) change: &'static str,
}

impl Done {
    pub(super) fn of(listed: &Listed, commit: CommitId) -> Self {
        Self {
            model: listed.entry.id.to_string(),
            version: listed.entry.version.to_string(),
            branch: branch(&listed.entry.id),
            commit: commit.to_string(),
            ..Self::default()
        }
    }
}

pub(super) fn print(route: &Route, ending: &Ending, as_json: bool) -> anyhow::Result<Outcome> {
    if as_json {
        let text = serde_json::to_string_pretty(&page(ending)).context("write the result as JSON")?;
        out::print(&(text + "\n"))?;
    } else {
        out::print(&text(route, ending))?;
    }
    Ok(match ending {
        Ending::Done(_) | Ending::Nothing { .. } => Outcome::Holds,
        Ending::Incomplete { .. }
        | Ending::DoesNotHold { .. }
        | Ending::Unproven { .. }
        | Ending::Refused { .. } => Outcome::DoesNotHold,
    })
}

fn text(route: &Route, ending: &Ending) -> String {
    match ending {
        Ending::Incomplete { draft } => add::incomplete(draft),
        Ending::DoesNotHold { text, report } => {
            format!(
                "With this entry the index would not hold; nothing was pushed:\n\n{}",
                validate::text("index.json", text.as_bytes(), report)
            )
        }
        Ending::Unproven { id, checks } => {
            format!("{id} is not what its entry says; nothing was pushed:\n{}", checked(checks))
        }
        Ending::Nothing { branch, merged } => match merged {
            Some(it) => format!("merged already, by {}: nothing to do\n", it.link),
            None => format!("{branch} has this entry already: nothing to do\n"),
        },
        Ending::Refused { why, standing, newest } => refused(route, *why, standing, newest.as_ref()),
        Ending::Done(done) => proposed(done),
    }
}

fn refused(route: &Route, why: Refusal, standing: &Standing, newest: Option<&Request>) -> String {
    let link = newest.map_or("", |it| it.link.as_str());
    match why {
        Refusal::Closed => format!(
            "the last pull request for this model was closed without being merged: {link}\n  open it again there, or \
             give --again to make a new one; nothing was pushed\n"
        ),
        Refusal::Diverged => {
            let proposed = standing.proposed.as_ref();
            let what =
                proposed.map_or_else(String::new, |it| format!("commit {} is {}", it.commit, it.about));
            let see = if link.is_empty() { String::new() } else { format!("; see {link}") };
            let show = route.repository();
            format!(
                "somebody else has worked on the branch in {show}: {what}{see}\n  merge it, or delete the branch and run \
                 this again; nothing was pushed\n"
            )
        }
    }
}

fn proposed(done: &Done) -> String {
    let mut text = String::new();
    let mut line = |name: &str, what: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<9}{what}");
    };
    let commit = if done.is_new { "pushed" } else { "as before" };
    line("branch", &format!("{} at {} ({commit})", done.branch, &done.commit[..done.commit.len().min(12)]));
    match (&done.request, &done.compare) {
        (Some(it), _) => line("request", &format!("{} ({})", it.request.link, it.change)),
        (None, Some(place)) => line("compare", place),
        (None, None) => {}
    }
    for told in &done.events {
        let news = if told.is_new { "signed" } else { "as before" };
        line("event", &format!("{} {} ({news})", told.kind, told.id));
    }
    format!("{} {}: proposed\n{text}{}", done.model, done.version, checked(&done.checks))
}

fn checked(checks: &[Check]) -> String {
    let lines = checks.iter().map(|it| {
        let verdict = match it.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::Skipped => "skipped",
        };
        format!("  {verdict:<9}{}: {}\n", it.name, it.detail)
    });
    lines.collect()
}

fn page(ending: &Ending) -> Value {
    match ending {
        Ending::Incomplete { draft } => {
            let missing = draft.missing.iter().map(|it| it.pointer.clone()).collect::<Vec<_>>();
            json!({ "outcome": "incomplete", "missing": missing, "objections": draft.objections })
        }
        Ending::DoesNotHold { report, .. } => json!({ "outcome": "does-not-hold", "report": report }),
        Ending::Unproven { id, checks } => {
            json!({ "outcome": "unproven", "model": id, "checks": listed(checks) })
        }
        Ending::Nothing { branch, merged } => {
            json!({ "outcome": "nothing", "branch": branch, "merged": merged.as_ref().map(|it| &it.link) })
        }
        Ending::Refused { why, standing, newest } => json!({
            "outcome": match why { Refusal::Closed => "closed", Refusal::Diverged => "diverged" },
            "commit": standing.proposed.as_ref().map(|it| it.commit),
            "request": newest.as_ref().map(|it| &it.link),
        }),
        Ending::Done(done) => json!({
            "outcome": "proposed",
            "model": done.model,
            "version": done.version,
            "branch": done.branch,
            "commit": done.commit,
            "pushed": done.is_new,
            "compare": done.compare,
            "request": done.request.as_ref().map(|it| {
                json!({ "number": it.request.number, "link": it.request.link, "change": it.change })
            }),
            "checks": listed(&done.checks),
            "events": done.events,
        }),
    }
}
