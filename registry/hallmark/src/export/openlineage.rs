//! Run events for OpenLineage: which run made a model, of which datasets.
//!
//! For each fine-tuning event (30409) that the model's own event rests on, directly or through others, there is one
//! event that starts the run and one that completes it, as OpenLineage wants; the log has one date for both. The run's
//! id is made of the event's id, so that an event exported twice is one run.

use std::collections::{BTreeSet, VecDeque};

use base::hex;
use catalog::Entry;
use ledger::{EventId, Kind, Signed};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{ancestry::Trouble, ledger::Ledger};

/// The schema that the events keep to.
const SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
/// The schema of the facet that names a dataset's version.
const VERSION_FACET: &str = "https://openlineage.io/spec/facets/1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet";
/// How many events are looked at for runs.
const EVENTS_MAX: usize = 1000;

/// Makes the run events of a model, the earliest first.
pub(crate) fn runs(
    ledger: &Ledger,
    entry: &Entry,
    is_open: impl Fn(u32) -> bool,
) -> Result<Vec<Value>, Trouble> {
    let ancestry = ledger.ancestry();
    let Some(model) = ledger.model_event(entry).map_err(|_| Trouble::Stopping)? else {
        return Ok(Vec::new());
    };
    let (mut runs, mut seen) = (Vec::new(), BTreeSet::new());
    let mut waiting = VecDeque::from([model.to_string()]);
    while let Some(id) = waiting.pop_front() {
        if seen.len() >= EVENTS_MAX || !seen.insert(id.clone()) {
            continue;
        }
        let parents = ancestry.look(|graph| graph.parents_of(&id))?;
        let kind = ancestry.look(|graph| graph.kind_of(&id))?;
        if kind == Some(u32::from(Kind::FINETUNE.0))
            && is_open(u32::from(Kind::FINETUNE.0))
            && let Some(run) = event(ledger, &id)?
        {
            let mut inputs = Vec::new();
            for parent in &parents {
                let made_of = event(ledger, parent)?.filter(|it| is_open(u32::from(it.kind().0)));
                inputs.extend(made_of.as_ref().and_then(input));
            }
            let [start, complete] = run_events(&run, &inputs, entry);
            runs.push((run.created_at(), start));
            runs.push((run.created_at(), complete));
        }
        waiting.extend(parents);
    }
    runs.sort_by_key(|it| it.0);
    Ok(runs.into_iter().map(|it| it.1).collect())
}

fn event(ledger: &Ledger, id: &str) -> Result<Option<Signed>, Trouble> {
    match EventId::parse(id) {
        Ok(id) => ledger.ancestry().event(id),
        Err(_) => Ok(None),
    }
}

fn run_events(run: &Signed, inputs: &[Value], entry: &Entry) -> [Value; 2] {
    let content: Value = serde_json::from_str(run.content()).unwrap_or_default();
    let training = &content["training"];
    let namespace = training["repo"].as_str().unwrap_or("urn:hallmark:runs");
    let name = run.tags().first("model_id").unwrap_or(entry.id.as_str());
    let mut output = json!({ "namespace": "urn:hallmark:models", "name": entry.id });
    output["facets"] = version(&entry.version.to_string());
    let event = |what: &str, outputs: &[Value]| {
        json!({
            "eventType": what,
            "eventTime": rfc3339(run.created_at().0),
            "run": { "runId": run_id(run.id()) },
            "job": { "namespace": namespace, "name": name },
            "inputs": inputs,
            "outputs": outputs,
            "producer": producer(),
            "schemaURL": SCHEMA,
        })
    };
    [event("START", &[]), event("COMPLETE", &[output])]
}

/// Returns a dataset, or a model that another was made of, as an input.
fn input(event: &Signed) -> Option<Value> {
    let tags = event.tags();
    let (namespace, name, version_tag) = match event.kind() {
        Kind::DATASET => {
            let url = tags.first("url").and_then(|it| url::Url::parse(it).ok());
            let origin = url.map(|it| it.origin().ascii_serialization()).filter(|it| it != "null");
            (origin.unwrap_or_else(|| "urn:hallmark:datasets".to_owned()), tags.first("dataset_id"), "commit")
        }
        Kind::MODEL => ("urn:hallmark:models".to_owned(), tags.first("model_id"), "version"),
        _ => return None,
    };
    let id = event.id().to_string();
    let mut input = json!({ "namespace": namespace, "name": name.unwrap_or(&id) });
    if let Some(text) = tags.first(version_tag) {
        input["facets"] = version(text);
    }
    Some(input)
}

fn version(text: &str) -> Value {
    json!({ "version": { "_producer": producer(), "_schemaURL": VERSION_FACET, "datasetVersion": text } })
}

fn producer() -> String {
    format!("urn:hallmark:{}", env!("CARGO_PKG_VERSION"))
}

/// Makes a UUID (version 8) of an event's id.
fn run_id(id: EventId) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&id.as_bytes()[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex::text(&bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

/// Writes seconds since 1970 as a date that people read; years beyond the calendar as its last day.
pub(super) fn rfc3339(seconds: u64) -> String {
    let parsed = i64::try_from(seconds).ok().and_then(|it| OffsetDateTime::from_unix_timestamp(it).ok());
    let text = parsed.and_then(|it| it.format(&Rfc3339).ok());
    text.unwrap_or_else(|| "9999-12-31T23:59:59Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_is_a_uuid_of_the_event() {
        let id = EventId::from_bytes([0xff; 32]);
        assert_eq!(run_id(id), "ffffffff-ffff-8fff-bfff-ffffffffffff");
    }

    #[test]
    fn a_date_is_written_for_people_whatever_an_author_said() {
        assert_eq!(rfc3339(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
