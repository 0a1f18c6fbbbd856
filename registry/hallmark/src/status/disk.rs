//! How models stand, from a look at the disk: where no daemon runs.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use base::ModelId;
use catalog::{Index, Listed};
use vault::view::ModelView;

use super::Row;
use crate::{
    host::Host,
    order::{Choice, choose, misfiled_text, missing_text},
    records::Event,
    state::State,
};

/// Lists every model of the index, and those whose view is here without it.
pub(super) fn rows(host: &Host, index: &Index) -> anyhow::Result<Vec<Row>> {
    let views = host.store.views().context("list the deployed models")?;
    let mut views = views.into_iter().map(|it| (it.id.clone(), it)).collect::<BTreeMap<_, _>>();
    let (mut wanted, mut refused) = (BTreeSet::new(), BTreeMap::new());
    let mut rows = Vec::new();
    for choice in choose(&host.config, index, &[], false) {
        match choice {
            Choice::Model(listed) => drop(wanted.insert(listed.entry.id.clone())),
            Choice::Stub(id) => drop(wanted.insert(id)),
            Choice::Missing(missing) => rows.push(Row {
                wanted: true,
                why: vec![missing_text(&missing)],
                ..Row::bare(missing.id, State::Missing)
            }),
            Choice::Misfiled { id, listed, filed } => {
                drop(refused.insert(id, misfiled_text(&listed, filed.as_deref())));
            }
        }
    }
    for listed in index.entries() {
        let id = &listed.entry.id;
        let view = views.remove(id);
        let row = row(host, listed, wanted.contains(id), view.as_ref())?;
        rows.push(match refused.remove(id) {
            Some(why) => Row { state: State::Failed, wanted: true, why: vec![why], ..row },
            None => row,
        });
    }
    let gone = |id: ModelId| Row {
        why: vec!["no longer in the index; gc removes it".to_owned()],
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
    let why = why.into_iter().collect();
    Ok(Row {
        version,
        wanted: is_wanted,
        size_bytes,
        verified,
        why,
        ..Row::bare(entry.id.to_string(), state)
    })
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
