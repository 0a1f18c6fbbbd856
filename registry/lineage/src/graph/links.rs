//! Links by name: which earlier event a name in an event means.
//!
//! - A name is looked up once, when the event that uses it comes in, and means the newest event before it that bears
//!   the name. So a link never leads to what came later: names make no cycle, and what comes tomorrow changes no link
//!   of today. Whoever takes the events in the order of their places gets the same links.
//! - Events that name the same artifact by its SHA-256 meet: the later one is linked to the one before.
//! - A proposal belongs to whoever made it first; all other names belong to the newest that bears them.

use base::{Sha256, digest::Hasher};

use super::{
    Node,
    index::{Index, Tag},
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
#[derive(Clone, Copy, Debug)]
struct Key {
    tag: Tag,
    rest: KeyRest,
}

type KeyRest = [u32; 2];

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
    let digest = hasher.finish();
    let word =
        |at: usize| digest.as_bytes()[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
    Key { tag: word(0), rest: [word(4), word(8)] }
}

/// Who bears which name so far.
#[derive(Debug, Default)]
pub(super) struct Bearers {
    by_tag: Index,
    /// Of each name the rest of its key, and who bears it.
    bearers: Vec<(KeyRest, Node)>,
}

impl Bearers {
    /// Returns the event that bears a name.
    pub(super) fn find(&self, name: &Name) -> Option<Node> {
        self.place(name).map(|it| self.bearers[it as usize].1)
    }

    /// Notes which names an event bears.
    pub(super) fn take(&mut self, borne: &[Name], node: Node) {
        for name in borne {
            if let Some(place) = self.place(name) {
                if name.sort != Sort::Proposal {
                    self.bearers[place as usize].1 = node;
                }
            } else if let Some(place) = self.next_place() {
                self.bearers.push((name.key.rest, node));
                self.by_tag.insert(name.key.tag, || name.key.tag, place);
            }
        }
    }

    fn place(&self, name: &Name) -> Option<u32> {
        // The tag is of a digest already.
        self.by_tag.find(name.key.tag, || name.key.tag, |it| self.bearers[it as usize].0 == name.key.rest)
    }

    /// Returns the place of a name that is new. `None` when there is none left, which takes 48 GiB of names.
    fn next_place(&self) -> Option<u32> {
        u32::try_from(self.bearers.len()).ok().filter(|it| *it != u32::MAX)
    }

    pub(super) fn shrink(&mut self) {
        self.bearers.shrink_to_fit();
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bearers.capacity() * size_of::<(KeyRest, Node)>() + self.by_tag.memory_bytes()
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
mod tests;
