//! `hallmark status`: what is where on this host, and why.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use base::ModelId;
use catalog::{Index, Listed};
use clap::Args;
use indicatif::HumanBytes;
use serde::Serialize;
use vault::view::ModelView;

use crate::{
    Outcome,
    host::{Host, Place},
    order::{Choice, choose, missing_text},
    out,
    records::Event,
    state::State,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A JSON array in place of the table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// A model, as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
    /// Whether its bytes are what the index promises; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let host = Host::open(&arguments.place)?;
    let index = host.index()?;
    let rows = rows(&host, &index)?;
    if arguments.json {
        out::print(&(serde_json::to_string_pretty(&rows).context("write the status as JSON")? + "\n"))?;
    } else {
        out::print(&table(&rows))?;
    }
    Ok(Outcome::Holds)
}

fn rows(host: &Host, index: &Index) -> anyhow::Result<Vec<Row>> {
    let views = host.store.views().context("list the deployed models")?;
    let mut views = views.into_iter().map(|it| (it.id.clone(), it)).collect::<BTreeMap<_, _>>();
    let mut wanted = BTreeSet::new();
    let mut rows = Vec::new();
    for choice in choose(&host.config, index, &[], false) {
        match choice {
            Choice::Model(listed) => drop(wanted.insert(listed.entry.id.clone())),
            Choice::Missing(missing) => {
                rows.push(Row { why: Some(missing_text(&missing)), ..Row::bare(missing.id, State::Missing) });
            }
            Choice::Misfiled { id, listed, .. } => rows.push(Row {
                why: Some(format!("[deploy] by_chakra lists it under {listed}, where it is not filed")),
                ..Row::bare(id.to_string(), State::Failed)
            }),
            Choice::Stub(_) => {}
        }
    }
    for listed in index.entries() {
        let view = views.remove(&listed.entry.id);
        rows.push(row(host, listed, wanted.contains(&listed.entry.id), view.as_ref())?);
    }
    let gone = |id: ModelId| Row {
        why: Some("no longer in the index; gc removes it".to_owned()),
        ..Row::bare(id.to_string(), State::Withdrawn)
    };
    rows.extend(views.into_keys().map(gone));
    rows.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(rows)
}

fn row(host: &Host, listed: &Listed, is_wanted: bool, view: Option<&ModelView>) -> anyhow::Result<Row> {
    let entry = &listed.entry;
    let sizes = entry.artifact.files.iter().map(|it| it.size_bytes.get());
    let size_bytes = Some(entry.artifact.size_bytes.get().saturating_add(sizes.sum()));
    let (state, why) = if listed.is_stub {
        (State::Stub, Some("its entry holds placeholders".to_owned()))
    } else if let Some(why) = view.map(|it| lost(host, it)).transpose()?.flatten() {
        (State::Quarantined, Some(why))
    } else if let Some(view) = view {
        let current = view.files.iter().any(|it| it.digest == entry.artifact.sha256 || !it.verified);
        let record = host.records.read(&entry.id, entry.artifact.sha256)?.filter(|_| !current);
        let stays = |why| Some(format!("{why}; the earlier version stays deployed"));
        match record.map(|it| it.event) {
            Some(Event::Quarantined { why }) if is_wanted => (State::Quarantined, stays(why)),
            Some(Event::Held { why }) if is_wanted => (State::Held, stays(objections(&why))),
            Some(Event::Failed { why, .. }) if is_wanted => (State::Failed, stays(why)),
            _ => {
                let earlier = "an earlier version of its file; sync fetches the new one".to_owned();
                (if is_wanted { State::Deployed } else { State::Withdrawn }, (!current).then_some(earlier))
            }
        }
    } else {
        match host.records.read(&entry.id, entry.artifact.sha256)?.map(|it| it.event) {
            Some(Event::Quarantined { why }) => (State::Quarantined, Some(why)),
            Some(Event::Held { why }) if is_wanted => (State::Held, Some(objections(&why))),
            Some(Event::Failed { why, .. }) => (State::Failed, Some(why)),
            Some(Event::Deployed { .. }) | None if is_wanted => {
                (State::Queued, Some("run hallmark sync".to_owned()))
            }
            Some(Event::Deployed { .. } | Event::Held { .. }) | None => (State::Available, None),
        }
    };
    let verified = view.map(|it| it.files.iter().all(|file| file.verified));
    let version = Some(entry.version.to_string());
    Ok(Row { id: entry.id.to_string(), version, state, size_bytes, verified, why })
}

fn objections(why: &[crate::policy::Objection]) -> String {
    why.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Says which file of a view is off the shelf, if one is.
fn lost(host: &Host, view: &ModelView) -> anyhow::Result<Option<String>> {
    for file in view.files.iter().filter(|it| it.verified) {
        if host.shelf.object(&file.digest).context("look on the shelf")?.is_none() {
            let path = &file.path;
            return Ok(Some(format!(
                "{path} is damaged or gone; run hallmark verify --repair, or hallmark sync"
            )));
        }
    }
    Ok(None)
}

impl Row {
    fn bare(id: String, state: State) -> Self {
        Self { id, version: None, state, size_bytes: None, verified: None, why: None }
    }
}

fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "the index has no models\n".to_owned();
    }
    let cells = rows.iter().map(|row| {
        let unverified = if row.verified == Some(false) { " UNVERIFIED" } else { "" };
        [
            row.id.clone(),
            row.version.clone().unwrap_or_default(),
            format!("{}{unverified}", row.state.name()),
            row.size_bytes.map(|it| HumanBytes(it).to_string()).unwrap_or_default(),
            row.why.as_deref().map(one_line).unwrap_or_default(),
        ]
    });
    let head = ["ID", "VERSION", "STATE", "SIZE", "WHY"].map(str::to_owned);
    let lines = std::iter::once(head).chain(cells).collect::<Vec<_>>();
    let width = |column: usize| lines.iter().map(|it| it[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    let line = |cells: &[String; 5]| {
        let [id, version, state, size, why] = cells;
        let [w0, w1, w2, w3] = widths;
        format!("{id:w0$}  {version:w1$}  {state:w2$}  {size:>w3$}  {why}").trim_end().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
}

/// Puts a reason on one line. That no source gave the file is clear from the state; what each said is not.
fn one_line(why: &str) -> String {
    let mut lines = why.lines().map(str::trim).collect::<Vec<_>>();
    if lines.len() > 1 && lines[0].starts_with("no source gave") {
        lines.remove(0);
    }
    lines.join("; ")
}
