//! Links by name: which earlier event a name in an event means.
//!
//! - A name is looked up once, when the event that uses it comes in, and means the newest event before it that bears
//!   the name. So a link never leads to what came later: names make no cycle, and what comes tomorrow changes no link
//!   of today. Whoever takes the events in the order of their places gets the same links.
//! - Events that name the same artifact by its SHA-256 meet: the later one is linked to the one before.
//! - A proposal belongs to whoever made it first; all other names belong to the newest that bears them.

use std::collections::BTreeMap;

use base::{Sha256, digest::Hasher};

use super::{
    Node,
    pack::{Keys, Values, View},
};
use crate::event::{Fact, PARENT_TAG};

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

/// The most names of one event that are looked up.
pub(super) const NAMES_MAX: usize = 64;

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

/// Twelve bytes of a digest: nobody finds two names that share them.
type Key = [u8; 12];

/// A name that an event uses or bears.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    sort: Sort,
    key: Key,
    /// The kind and the id of the event that is meant, if the name is an id.
    id: Option<(u32, Sha256)>,
}

impl Name {
    fn new(sort: Sort, text: &str) -> Self {
        Self { sort, key: key(sort, &[text]), id: None }
    }

    /// A name that counts within another one only.
    fn within(sort: Sort, outer: &str, text: &str) -> Self {
        Self { sort, key: key(sort, &[outer, "\n", text]), id: None }
    }

    /// Lets the last line of the name mean an event of a kind, if it is an id.
    fn or_id(self, kind: u32, text: &str) -> Self {
        let last = text.rsplit('\n').next().unwrap_or_default();
        Self { id: Sha256::parse(last).ok().map(|it| (kind, it)), ..self }
    }

    /// Returns the kind and the id of the event that is meant if the name is an id.
    pub(super) fn as_id(&self) -> Option<(u32, Sha256)> {
        self.id
    }
}

fn key(sort: Sort, pieces: &[&str]) -> Key {
    let mut hasher = Hasher::new();
    hasher.update(&[sort as u8]);
    for piece in pieces {
        hasher.update(piece.as_bytes());
    }
    let mut key = [0; 12];
    key.copy_from_slice(&hasher.finish().as_bytes()[..12]);
    key
}

/// Who bears which name so far.
#[derive(Debug, Default)]
pub(super) struct Bearers(BTreeMap<Key, Node>);

impl Bearers {
    /// Returns the event that bears a name.
    pub(super) fn find(&self, name: &Name) -> Option<Node> {
        self.0.get(&name.key).copied()
    }

    /// Notes which names an event bears.
    pub(super) fn take(&mut self, borne: &[Name], node: Node) {
        for name in borne {
            if name.sort == Sort::Proposal {
                self.0.entry(name.key).or_insert(node);
            } else {
                self.0.insert(name.key, node);
            }
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        // A map of this kind fills its nodes to about 70%.
        self.0.len() * 16 * 10 / 7
    }
}

/// The names of one event.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Those that it uses for others, in the order in which they are linked.
    pub(super) used: Vec<Name>,
    /// Those by which later events may mean it.
    pub(super) borne: Vec<Name>,
}

impl Names {
    /// Reads the names of an event, whose packed content is asked for only if it may name others.
    pub(super) fn of<'g>(fact: &impl Fact, content: impl FnOnce() -> (View<'g>, &'g Keys)) -> Self {
        let kind = fact.kind();
        let mut names = Self::default();
        if !matches!(kind, PROJECT | TASK | PROPOSAL | VOTE | MODEL | DATASET | VALIDATION..=SESSION) {
            return names;
        }
        let said = Said::of(fact);
        let name = |sort, text: Option<&str>| text.map(|it| Name::new(sort, it));
        let project = || name(Sort::Project, said.project);
        let task = || name(Sort::Task, said.task);
        let session = || name(Sort::Session, said.session);
        let proposal =
            || said.proposal.map(|it| Name::within(Sort::Proposal, said.sid.unwrap_or_default(), it));
        match kind {
            PROJECT => names.borne.extend(project()),
            TASK => {
                names.used.extend(project());
                names.borne.extend(task());
            }
            DATASET => {
                let version = |it| Name::within(Sort::DatasetVersion, it, said.commit.unwrap_or_default());
                let version = said.dataset.map(version);
                names.used.extend(version.into_iter().chain(project()).chain(task()));
                names.borne.extend(name(Sort::Dataset, said.dataset).into_iter().chain(version));
            }
            FINETUNE => {
                let dataset = said.dataset.map(|it| Name::new(Sort::Dataset, it).or_id(DATASET, it));
                names.used.extend(dataset.into_iter().chain(project()).chain(task()));
            }
            CONVERSATION => {
                names.used.extend(session());
                previous(content(), &mut names.used);
                names.borne.extend(said.interaction.map(|it| Name::new(Sort::Interaction, plain(it))));
            }
            SESSION => {
                names.used.extend(session());
                names.borne.extend(session());
            }
            PROPOSAL => names.borne.extend(proposal()),
            VOTE => names.used.extend(proposal().zip(said.proposal).map(|(it, id)| it.or_id(PROPOSAL, id))),
            _ => {}
        }
        for artifact in said.artifacts.iter().map(|it| Name::new(Sort::Artifact, it)) {
            names.used.push(artifact);
            // A validation is about an artifact; it is not where the artifact comes from.
            if kind != VALIDATION {
                names.borne.push(artifact);
            }
        }
        names.used.truncate(NAMES_MAX);
        names.borne.truncate(NAMES_MAX);
        names
    }
}

/// What the tags of an event say that makes names; of each tag the first value, unless that is empty.
#[derive(Default)]
struct Said<'e> {
    project: Option<&'e str>,
    task: Option<&'e str>,
    dataset: Option<&'e str>,
    commit: Option<&'e str>,
    session: Option<&'e str>,
    /// The subspace, within which a proposal has its name.
    sid: Option<&'e str>,
    proposal: Option<&'e str>,
    interaction: Option<&'e str>,
    /// SHA-256 digests of artifacts, at most [`NAMES_MAX`].
    artifacts: Vec<&'e str>,
}

impl<'e> Said<'e> {
    fn of(fact: &'e impl Fact) -> Self {
        let (mut said, mut says_parents) = (Self::default(), false);
        let artifact_tags: &[&str] = match fact.kind() {
            PROPOSAL | MODEL | DATASET | FINETUNE => &["sha256", "artifact"],
            VALIDATION => &["digest"],
            _ => &[],
        };
        for mut tag in fact.tags() {
            let place = match tag.next() {
                Some("project_id") => &mut said.project,
                Some("task_id") => &mut said.task,
                Some("dataset_id") => &mut said.dataset,
                Some("commit") => &mut said.commit,
                Some("session_id") => &mut said.session,
                Some("sid") => &mut said.sid,
                Some("proposal_id") => &mut said.proposal,
                Some("interaction_hash") => &mut said.interaction,
                Some(PARENT_TAG) => {
                    says_parents = true;
                    continue;
                }
                Some(name) if artifact_tags.contains(&name) => {
                    let room = NAMES_MAX - said.artifacts.len();
                    said.artifacts.extend(tag.filter(|it| Sha256::parse(it).is_ok()).take(room));
                    continue;
                }
                _ => continue,
            };
            if place.is_none() {
                *place = tag.next();
            }
        }
        let all = [&mut said.project, &mut said.task, &mut said.dataset, &mut said.commit];
        let more = [&mut said.session, &mut said.sid, &mut said.proposal, &mut said.interaction];
        for place in all.into_iter().chain(more) {
            *place = place.filter(|it| !it.is_empty());
        }
        // A validation that says what it rests on needs no guess.
        if fact.kind() == VALIDATION && says_parents {
            said.artifacts.clear();
        }
        said
    }
}

/// Adds the interactions that a packed content says came before.
fn previous((content, keys): (View, &Keys), names: &mut Vec<Name>) {
    let told = keys.get("context").and_then(|it| content.field(it));
    let hashes = keys.get("previous_interactions").and_then(|it| told?.field(it));
    if let Some(View::List(hashes)) = hashes {
        let texts =
            Values::of(hashes).filter_map(|it| if let View::Text(text) = it { Some(text) } else { None });
        names.extend(texts.map(|it| Name::new(Sort::Interaction, plain(&it))).take(NAMES_MAX));
    }
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
