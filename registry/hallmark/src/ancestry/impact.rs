//! What rests on something: every model and host below a dataset, an artifact or an event.

use std::collections::{BTreeMap, BTreeSet};

use ::lineage::{EventFilter, Graph, Query};
use base::Sha256;
use ledger::{Derived as _, Kind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Ancestry, NotWhole};

/// How many events are visited at most.
const NODES_MAX: usize = 1_000_000;

/// What somebody asks about, as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "sort", content = "name", rename_all = "kebab-case")]
pub(crate) enum Target {
    /// An event of the log, by its id.
    Event(String),
    /// Bytes, by their SHA-256.
    Artifact(String),
    /// A dataset by its name, perhaps at one commit: `corpus@4f2a…`.
    Dataset(String),
    /// A model by its id in the catalog.
    Model(String),
}

/// All that rests on something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Impact {
    pub(crate) target: Target,
    /// The events that the target stands for.
    pub(crate) starts: Vec<String>,
    /// The models below it.
    pub(crate) models: Vec<ModelBelow>,
    /// Where they are: what each host said last of each model.
    pub(crate) hosts: Vec<HostBelow>,
    /// How many events lie below it, itself included.
    pub(crate) events_count: usize,
    /// Those events, if they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) events: Vec<String>,
    /// How many events the log had.
    pub(crate) at: u64,
    /// Whether all that the log has was looked at.
    pub(crate) is_complete: bool,
}

/// A version of a model that rests on the target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub(crate) struct ModelBelow {
    pub(crate) model_id: String,
    pub(crate) version: Option<String>,
    pub(crate) sha256: Option<String>,
    /// The event that says what it is.
    pub(crate) event: String,
    /// Who signed that.
    pub(crate) author: String,
}

/// What a host said last of a model that rests on the target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub(crate) struct HostBelow {
    pub(crate) host: String,
    pub(crate) model_id: String,
    /// What it said: `verified`, `deployed`, `held`, `withdrawn`, `mismatch`.
    pub(crate) state: String,
    /// The event that says so.
    pub(crate) event: String,
    /// Who signed that.
    pub(crate) author: String,
}

impl Ancestry {
    /// Says what a text means: an event of the log, else bytes, else a dataset that the log has, else a model.
    pub(crate) fn target(&self, text: &str) -> Result<Target, NotWhole> {
        self.look(|graph| {
            let is_hex = Sha256::parse(text).is_ok();
            if is_hex && graph.kind_of(text).is_some() {
                return Target::Event(text.to_owned());
            }
            let artifact = text.strip_prefix("sha256:").or_else(|| text.strip_prefix("0x")).unwrap_or(text);
            if Sha256::parse(artifact).is_ok() {
                return Target::Artifact(artifact.to_owned());
            }
            let dataset = Target::Dataset(text.to_owned());
            if starts(graph, &dataset, u64::MAX).is_empty() {
                let model = Target::Model(text.to_owned());
                if !starts(graph, &model, u64::MAX).is_empty() {
                    return model;
                }
            }
            dataset
        })
    }

    /// Lists what rests on a target.
    pub(crate) fn impact(&self, target: Target) -> Result<Impact, NotWhole> {
        let at = self.size();
        self.look(|graph| impact(graph, target, at))
    }
}

fn starts(graph: &Graph, target: &Target, at: u64) -> Vec<String> {
    let search = |kinds: &[Kind], tags: &[(&str, &str)]| {
        let kinds = Some(kinds.iter().map(|it| u32::from(it.0)).collect());
        let tags = tags.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect();
        graph.search(&Query { filter: EventFilter { kinds, authors: None }, tags }, at)
    };
    match target {
        Target::Event(id) => {
            graph.seq_of(id).filter(|it| *it <= at).map(|_| id.clone()).into_iter().collect()
        }
        Target::Artifact(digest) => {
            let bearers = [Kind::MODEL, Kind::DATASET, Kind::FINETUNE, Kind::PROPOSE];
            let all = [
                search(&bearers, &[("sha256", digest)]),
                search(&bearers, &[("artifact", digest)]),
                search(&[Kind::VALID], &[("digest", digest)]),
            ];
            let mut seen = BTreeSet::new();
            all.into_iter().flatten().filter(|it| seen.insert(it.clone())).collect()
        }
        Target::Dataset(name) => {
            let whole = search(&[Kind::DATASET], &[("dataset_id", name)]);
            match name.rsplit_once('@').filter(|_| whole.is_empty()) {
                Some((id, commit)) => search(&[Kind::DATASET], &[("dataset_id", id), ("commit", commit)]),
                None => whole,
            }
        }
        Target::Model(id) => search(&[Kind::MODEL], &[("model_id", id)]),
    }
}

fn impact(graph: &Graph, target: Target, at: u64) -> Impact {
    let starts = starts(graph, &target, at);
    let below = graph.below(&starts, at, NODES_MAX);
    let mut models = Vec::new();
    let mut hosts: BTreeMap<(String, String, String), (u64, HostBelow)> = BTreeMap::new();
    for id in &below.ids {
        let kind = graph.kind_of(id).unwrap_or_default();
        let tag = |name: &str| graph.tag_of(id, name);
        let author = || graph.author_of(id).unwrap_or_default();
        if kind == u32::from(Kind::MODEL.0) {
            let model = tag("model_id").map(|model_id| ModelBelow {
                model_id,
                version: tag("version"),
                sha256: tag("sha256"),
                event: id.clone(),
                author: author(),
            });
            models.extend(model);
        } else if kind == u32::from(Kind::VALID.0)
            && let (Some(host), Some(model_id), Some(state)) =
                (tag("host"), tag("model_id"), tag("valid_result"))
        {
            let seq = graph.seq_of(id).unwrap_or_default();
            let key = (author(), host.clone(), model_id.clone());
            let said = HostBelow { host, model_id, state, event: id.clone(), author: author() };
            let entry = hosts.entry(key).or_insert_with(|| (seq, said.clone()));
            if entry.0 < seq {
                *entry = (seq, said);
            }
        }
    }
    models.sort();
    let mut hosts: Vec<HostBelow> = hosts.into_values().map(|it| it.1).collect();
    hosts.sort();
    let is_complete = !below.is_cut;
    Impact {
        target,
        starts,
        models,
        hosts,
        events_count: below.ids.len(),
        events: below.ids,
        at,
        is_complete,
    }
}
