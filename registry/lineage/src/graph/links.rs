//! Links by name: which earlier event a name in an event means.
//!
//! - A name is looked up once, when the event that uses it comes in, and means the newest event before it that bears
//!   the name. So a link never leads to what came later: names make no cycle, and what comes tomorrow changes no link
//!   of today. Whoever takes the events in the order of their places gets the same links.
//! - Events that name the same artifact by its SHA-256 meet: the later one is linked to the one before.
//! - A proposal belongs to whoever made it first; all other names belong to the newest that bears them.

use std::collections::BTreeMap;

use base::digest::Sha256;

use super::Node;
use crate::{event::Event, json::Json};

const PROJECT: u32 = 30101;
const TASK: u32 = 30102;
const PROPOSAL: u32 = 30301;
const VOTE: u32 = 30302;
const MODEL: u32 = 30404;
const DATASET: u32 = 30405;
const VALIDATION: u32 = 30408;
const FINETUNE: u32 = 30409;
const CONVERSATION: u32 = 30410;
const SESSION: u32 = 30411;

/// The tags that name an artifact.
const ARTIFACT_TAGS: [&str; 2] = ["sha256", "artifact"];
/// The most names of one event that are looked up.
const NAMES_MAX: usize = 64;

/// What a name is a name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Project,
    Task,
    Dataset,
    /// A dataset at one commit: the same bytes, whoever says so.
    DatasetVersion,
    Session,
    Proposal,
    Interaction,
    Artifact,
}

/// A name that an event uses or bears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    sort: Sort,
    text: String,
}

/// Who bears which name so far.
#[derive(Debug, Default)]
pub(super) struct Bearers(BTreeMap<[u8; 12], Node>);

impl Bearers {
    /// Returns the event that bears a name.
    pub(super) fn find(&self, name: &Name) -> Option<Node> {
        self.0.get(&name.key()).copied()
    }

    /// Notes which names an event bears.
    pub(super) fn take(&mut self, event: &Event, node: Node) {
        for name in borne(event) {
            if name.sort == Sort::Proposal {
                self.0.entry(name.key()).or_insert(node);
            } else {
                self.0.insert(name.key(), node);
            }
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        // A map of this kind fills its nodes to about 70%.
        self.0.len() * 16 * 10 / 7
    }
}

impl Name {
    fn new(sort: Sort, text: impl Into<String>) -> Self {
        Self { sort, text: text.into() }
    }

    /// Twelve bytes of a digest: nobody finds two names that share them.
    fn key(&self) -> [u8; 12] {
        let digest = Sha256::of(format!("{:?}\n{}", self.sort, self.text).as_bytes());
        let mut key = [0; 12];
        key.copy_from_slice(&digest.as_bytes()[..12]);
        key
    }

    /// Returns the kind and the id of the event that is meant if the name is an id.
    pub(super) fn as_id(&self) -> Option<(u32, &str)> {
        let kind = match self.sort {
            Sort::Dataset => DATASET,
            Sort::Proposal => PROPOSAL,
            _ => return None,
        };
        let text = self.text.rsplit('\n').next().unwrap_or_default();
        Sha256::parse(text).is_ok().then_some((kind, text))
    }
}

/// Lists the names that an event uses for others, in the order in which they are linked.
pub(super) fn used(event: &Event) -> Vec<Name> {
    let tagged = |sort, name| tag(event, name).map(|it| Name::new(sort, it));
    let mut names: Vec<Name> = match event.kind {
        TASK => tagged(Sort::Project, "project_id").into_iter().collect(),
        DATASET => {
            let own = dataset_version(event);
            let more = [tagged(Sort::Project, "project_id"), tagged(Sort::Task, "task_id")];
            own.into_iter().chain(more.into_iter().flatten()).collect()
        }
        FINETUNE => [
            tagged(Sort::Dataset, "dataset_id"),
            tagged(Sort::Project, "project_id"),
            tagged(Sort::Task, "task_id"),
        ]
        .into_iter()
        .flatten()
        .collect(),
        CONVERSATION => tagged(Sort::Session, "session_id").into_iter().chain(previous(event)).collect(),
        SESSION => tagged(Sort::Session, "session_id").into_iter().collect(),
        VOTE => proposal(event).into_iter().collect(),
        _ => Vec::new(),
    };
    names.extend(artifacts(event));
    names.truncate(NAMES_MAX);
    names
}

/// Lists the names by which later events may mean this one.
fn borne(event: &Event) -> Vec<Name> {
    let tagged = |sort, name| tag(event, name).map(|it| Name::new(sort, it));
    let own = match event.kind {
        PROJECT => tagged(Sort::Project, "project_id"),
        TASK => tagged(Sort::Task, "task_id"),
        DATASET => tagged(Sort::Dataset, "dataset_id"),
        SESSION => tagged(Sort::Session, "session_id"),
        PROPOSAL => proposal(event),
        CONVERSATION => tag(event, "interaction_hash").map(|it| Name::new(Sort::Interaction, plain(it))),
        _ => None,
    };
    let version = (event.kind == DATASET).then(|| dataset_version(event)).flatten();
    // A validation is about an artifact; it is not where the artifact comes from.
    let made = if event.kind == VALIDATION { Vec::new() } else { artifacts(event) };
    own.into_iter().chain(version).chain(made).take(NAMES_MAX).collect()
}

fn dataset_version(event: &Event) -> Option<Name> {
    let id = tag(event, "dataset_id")?;
    let commit = tag(event, "commit").unwrap_or_default();
    Some(Name::new(Sort::DatasetVersion, format!("{id}\n{commit}")))
}

/// A proposal's name is its own within a subspace.
fn proposal(event: &Event) -> Option<Name> {
    let sid = tag(event, "sid").unwrap_or_default();
    Some(Name::new(Sort::Proposal, format!("{sid}\n{}", tag(event, "proposal_id")?)))
}

fn previous(event: &Event) -> Vec<Name> {
    let context = event.content.fields().and_then(|it| it.get("context"));
    let hashes = context.and_then(|it| it.get("previous_interactions")).and_then(Json::as_list);
    let texts = hashes.unwrap_or_default().iter().filter_map(Json::as_text);
    texts.map(|it| Name::new(Sort::Interaction, plain(it))).take(NAMES_MAX).collect()
}

fn artifacts(event: &Event) -> Vec<Name> {
    let says_parents = || event.tags.iter().any(|it| it.first().is_some_and(|name| name == "parent"));
    let names: &[&str] = match event.kind {
        PROPOSAL | MODEL | DATASET | FINETUNE => &ARTIFACT_TAGS,
        // One that says what it rests on needs no guess.
        VALIDATION if !says_parents() => &["digest"],
        _ => return Vec::new(),
    };
    let tags = event.tags.iter().filter(|it| it.first().is_some_and(|it| names.contains(&it.as_str())));
    let digests = tags.flat_map(|it| &it[1..]).filter(|it| Sha256::parse(it).is_ok());
    digests.map(|it| Name::new(Sort::Artifact, it.clone())).collect()
}

fn tag<'e>(event: &'e Event, name: &str) -> Option<&'e str> {
    let mut named = event.tags.iter().filter(|it| it.first().is_some_and(|it| it == name));
    named.find_map(|it| it.get(1)).map(String::as_str).filter(|it| !it.is_empty())
}

fn plain(hash: &str) -> &str {
    hash.strip_prefix("0x").unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use crate::{Event, Graph};

    fn event(seq: u64, kind: u32, tags: &str, content: &str) -> Event {
        let text = serde_json::json!({
            "id": format!("{seq}"), "pubkey": "a", "created_at": seq, "kind": kind, "content": content, "seq": seq,
            "tags": serde_json::from_str::<serde_json::Value>(tags).unwrap(),
        });
        serde_json::from_value(text).unwrap()
    }

    fn parents(events: &[Event]) -> Vec<Vec<String>> {
        let mut graph = Graph::new();
        for event in events {
            graph.push_by_name(event).unwrap();
        }
        let of = |event: &Event| {
            let node = graph.find(&event.id).unwrap();
            graph.parents(node).iter().map(|it| graph.id(*it).into_owned()).collect()
        };
        events.iter().map(of).collect()
    }

    #[test]
    fn a_name_means_the_newest_event_before_that_bears_it() {
        let found = parents(&[
            event(1, 30409, r#"[["dataset_id","corpus"]]"#, ""),
            event(2, 30405, r#"[["dataset_id","corpus"],["commit","1"]]"#, ""),
            event(3, 30405, r#"[["dataset_id","corpus"],["commit","2"]]"#, ""),
            event(4, 30409, r#"[["dataset_id","corpus"]]"#, ""),
            event(5, 30405, r#"[["dataset_id","corpus"],["commit","1"]]"#, ""),
            event(6, 30409, r#"[["dataset_id","other"]]"#, ""),
        ]);
        let none: [&str; 0] = [];
        assert_eq!(found[0], none, "what comes later is not meant");
        assert_eq!(found[2], none, "another commit is another dataset");
        assert_eq!(found[3], ["3"]);
        assert_eq!(found[4], ["2"], "the same commit is the same dataset");
        assert_eq!(found[5], none);
    }

    #[test]
    fn every_kind_has_its_names() {
        let hash = "ab".repeat(32);
        let found = parents(&[
            event(1, 30101, r#"[["project_id","p"]]"#, ""),
            event(2, 30102, r#"[["project_id","p"],["task_id","t"]]"#, ""),
            event(3, 30405, r#"[["project_id","p"],["task_id","t"],["dataset_id","d"]]"#, ""),
            event(4, 30411, r#"[["session_id","s"],["action","create"]]"#, ""),
            event(5, 30410, r#"[["session_id","s"],["interaction_hash","0xaa"]]"#, "{}"),
            event(
                6,
                30410,
                r#"[["session_id","s"]]"#,
                r#"{"context":{"previous_interactions":["aa","0xbb"]}}"#,
            ),
            event(7, 30411, r#"[["session_id","s"],["action","close"]]"#, ""),
            event(8, 30301, &format!(r#"[["sid","0xMG"],["proposal_id","add"],["sha256","{hash}"]]"#), ""),
            event(9, 30301, r#"[["sid","0xMG"],["proposal_id","add"]]"#, ""),
            event(10, 30302, r#"[["sid","0xMG"],["proposal_id","add"],["vote","yes"]]"#, ""),
            event(11, 30302, r#"[["sid","0xFT"],["proposal_id","add"],["vote","yes"]]"#, ""),
            event(12, 30404, &format!(r#"[["sha256","{hash}"],["parent","3"]]"#), ""),
            event(13, 30408, &format!(r#"[["digest","{hash}"]]"#), ""),
            event(14, 30408, &format!(r#"[["digest","{hash}"],["parent","12"]]"#), ""),
            event(15, 30404, &format!(r#"[["sha256","{hash}"]]"#), ""),
        ]);
        let expected: [&[&str]; 15] = [
            &[],
            &["1"],
            &["1", "2"],
            &[],
            &["4"],
            &["4", "5"],
            &["4"],
            &[],
            &[],
            &["8"],
            &[],
            &["3", "8"],
            &["12"],
            &["12"],
            &["12"],
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn names_that_mean_each_other_make_no_cycle() {
        // Each says that the other came before it.
        let one = r#"{"context":{"previous_interactions":["bb"]}}"#;
        let other = r#"{"context":{"previous_interactions":["aa","bb"]}}"#;
        let found = parents(&[
            event(1, 30410, r#"[["interaction_hash","aa"]]"#, one),
            event(2, 30410, r#"[["interaction_hash","bb"]]"#, other),
        ]);
        assert_eq!(found, [vec![], vec!["1".to_owned()]]);
    }

    #[test]
    fn an_event_out_of_its_order_is_not_taken_by_name() {
        let mut graph = Graph::new();
        graph.push_by_name(&event(2, 30405, "[]", "")).unwrap();
        let error = graph.push_by_name(&event(1, 30405, "[]", "")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "event 1 at 1 comes after 2: names are looked up in the ledger's order"
        );
    }
}
