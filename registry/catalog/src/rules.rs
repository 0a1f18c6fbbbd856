//! What a schema cannot say.
//!
//! Each rule looks at what is there and of the right type, whatever else is wrong with the entry: the schema
//! has reported that already, and no flaw hides another.

mod across;
mod facts;
mod files;
mod naming;
mod stubs;
mod urls;

pub(crate) use across::Across;
pub(crate) use facts::{Fact, Facts, FileFacts};
pub(crate) use naming::Licenses;

use std::borrow::Cow;

use crate::{document::Node, flaw::Flaw};

/// The parts of an entry that rules look at, found in one walk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'d> {
    pub(crate) entry: Node<'d>,
    pub(crate) id: Option<Node<'d>>,
    pub(crate) version: Option<Node<'d>>,
    pub(crate) chakra: Option<Node<'d>>,
    pub(crate) license: Option<Node<'d>>,
    pub(crate) dataset: Option<Node<'d>>,
    pub(crate) training: Option<Node<'d>>,
    pub(crate) artifact: Artifact<'d>,
}

/// The parts of an artifact, or of a companion.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Artifact<'d> {
    pub(crate) name: Option<Node<'d>>,
    pub(crate) sha256: Option<Node<'d>>,
    pub(crate) size_bytes: Option<Node<'d>>,
    pub(crate) download_url: Option<Node<'d>>,
    pub(crate) revision: Option<Node<'d>>,
    pub(crate) files: Option<Node<'d>>,
}

impl<'d> Parts<'d> {
    pub(crate) fn of(entry: Node<'d>) -> Self {
        let (id, version, chakra, license, dataset, training) = (None, None, None, None, None, None);
        let artifact = Artifact::default();
        let mut parts = Self { entry, id, version, chakra, license, dataset, training, artifact };
        for (key, value) in entry.members() {
            match name(key).as_deref() {
                Some("id") => parts.id = Some(value),
                Some("version") => parts.version = Some(value),
                Some("chakra") => parts.chakra = Some(value),
                Some("license") => parts.license = Some(value),
                Some("dataset") => parts.dataset = Some(value),
                Some("training") => parts.training = Some(value),
                Some("artifact") => parts.artifact = Artifact::of(value),
                _ => {}
            }
        }
        parts
    }
}

impl<'d> Artifact<'d> {
    pub(crate) fn of(node: Node<'d>) -> Self {
        let mut artifact = Self::default();
        for (key, value) in node.members() {
            match name(key).as_deref() {
                Some("filename" | "path") => artifact.name = Some(value),
                Some("sha256") => artifact.sha256 = Some(value),
                Some("sizeBytes") => artifact.size_bytes = Some(value),
                Some("downloadUrl") => artifact.download_url = Some(value),
                Some("revision") => artifact.revision = Some(value),
                Some("files") => artifact.files = Some(value),
                _ => {}
            }
        }
        artifact
    }

    /// Returns the main file and then its companions.
    pub(crate) fn files(self) -> impl Iterator<Item = Artifact<'d>> + use<'d> {
        let companions = self.files.into_iter().flat_map(Node::elements).map(Artifact::of);
        std::iter::once(self).chain(companions)
    }
}

fn name(key: Node<'_>) -> Option<Cow<'_, str>> {
    key.plain_str().map(Cow::Borrowed).or_else(|| key.as_str())
}

/// Applies every rule that needs one entry alone. Says besides whether the entry is a stub.
pub(crate) fn check(parts: &Parts<'_>) -> (Vec<Flaw>, bool) {
    let mut flaws = Vec::new();
    let files = parts.artifact.files().collect::<Vec<_>>();
    naming::check(parts, &mut flaws);
    files::check(&files, &mut flaws);
    urls::check(&files, &mut flaws);
    let before = flaws.len();
    stubs::check(parts, &files, &mut flaws);
    let is_stub = flaws.len() > before;
    (flaws, is_stub)
}

/// Says that no rule has anything to report of an entry. If it does not say so, that may still hold.
pub(crate) fn surely_kept(facts: &Facts<'_>, entry: &str, licenses: &mut Licenses) -> bool {
    naming::surely_kept(facts, licenses)
        && files::surely_kept(facts)
        && urls::surely_kept(facts)
        && stubs::surely_none(facts, entry)
}
