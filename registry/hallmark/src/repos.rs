//! What clients of the hub find here: repositories, their revisions and their files.
//!
//! - A file is found under the repository and path it comes from, and under `hallmark/<id>`.
//! - Entries that share a repository are shown together; each pinned commit shows its own files.
//! - Only proven files of deployed models are found. A file that is still coming is known as such, so that a client
//!   can be told to come back.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use base::{CommitId, ModelId, UnixSeconds};
use vault::{
    Object,
    view::{EntryPath, RepoName, synthetic_commit},
};

use crate::{http::Face, order::Order, world::Model};

/// The branch that every repository has.
pub(crate) const MAIN: &str = "main";

/// One repository.
#[derive(Clone, Debug)]
pub(crate) struct Repo {
    pub(crate) name: RepoName,
    /// What branches lead to; `main` is one of them if anything is deployed.
    pub(crate) branches: BTreeMap<String, CommitId>,
    /// The files at each commit.
    pub(crate) trees: BTreeMap<CommitId, BTreeMap<EntryPath, RepoFile>>,
    /// Files that are on their way, by path: they have no commit yet.
    pub(crate) coming: BTreeMap<EntryPath, ModelId>,
}

/// One file of a repository.
#[derive(Clone, Debug)]
pub(crate) struct RepoFile {
    pub(crate) object: Object,
    pub(crate) model: ModelId,
    pub(crate) since: UnixSeconds,
    /// What clients are told about it, written when the first one asks.
    pub(crate) face: OnceLock<Arc<Face>>,
}

/// Returns the name of the repository that shows one model alone.
pub(crate) fn own_repo(id: &ModelId) -> Option<RepoName> {
    // An id may have two hyphens in a row, a repository's name may not: clients could not ask for it.
    RepoName::parse(&format!("hallmark/{id}")).ok()
}

/// Lists the repositories in which a model's files belong.
pub(crate) fn repos_of(order: &Order) -> Vec<RepoName> {
    let mut names =
        order.files.iter().filter_map(|it| Some(it.on_hub.as_ref()?.repo.clone())).collect::<Vec<_>>();
    names.extend(own_repo(&order.id));
    names.sort_unstable();
    names.dedup();
    names
}

impl Repo {
    /// Puts a repository together from all models that have files in it; `None` if nothing of it is to be found.
    pub(crate) fn of<'m>(name: &RepoName, models: impl Iterator<Item = &'m Model>) -> Option<Self> {
        let mut repo = Self {
            name: name.clone(),
            branches: BTreeMap::new(),
            trees: BTreeMap::new(),
            coming: BTreeMap::new(),
        };
        // Files without a commit of their own share one that is made from all of them.
        let mut unpinned = BTreeMap::new();
        let mut branches = Vec::new();
        let mut main = None;
        for model in models {
            let is_own = own_repo(&model.id).as_ref() == Some(name);
            if let Some(shown) = model.served() {
                for (path, commit, branch, file) in places(name, is_own, &shown.order) {
                    let Some(object) = shown.files.get(file) else { continue };
                    let (object, model) = (object.clone(), model.id.clone());
                    let file = RepoFile { object, model, since: shown.since, face: OnceLock::new() };
                    match commit {
                        Some(commit) => {
                            repo.trees.entry(commit).or_default().insert(path, file);
                            main = Some(commit);
                        }
                        None => drop(unpinned.insert(path, file)),
                    }
                    branches.extend(branch.map(|it| (it, commit)));
                }
            }
            if let Some(order) = model.order.as_ref().filter(|_| model.state.is_moving()) {
                let places = places(name, is_own, order);
                repo.coming.extend(places.map(|(path, ..)| (path, model.id.clone())));
            }
        }
        // What has a commit of its own stays with it; the branch shows what has none, if there is such a thing.
        let made = (!unpinned.is_empty()).then(|| {
            let digests = unpinned.iter().map(|(path, it)| (path, it.object.digest())).collect::<Vec<_>>();
            synthetic_commit(digests.iter().map(|(path, digest)| (*path, digest)))
        });
        if let Some(commit) = made {
            repo.trees.insert(commit, unpinned);
        }
        repo.branches.extend(made.or(main).map(|it| (MAIN.to_owned(), it)));
        for (branch, commit) in branches {
            if let Some(commit) = commit.or(made) {
                repo.branches.entry(branch).or_insert(commit);
            }
        }
        (!repo.trees.is_empty() || !repo.coming.is_empty()).then_some(repo)
    }

    /// Returns the commit that a revision means: a commit itself, a branch, `HEAD`, or a ref's full name.
    pub(crate) fn commit(&self, revision: &str) -> Option<CommitId> {
        if let Ok(commit) = CommitId::parse(revision) {
            return self.trees.contains_key(&commit).then_some(commit);
        }
        let branch = revision.strip_prefix("refs/heads/").unwrap_or(revision);
        let branch = if branch == "HEAD" { MAIN } else { branch };
        self.branches.get(branch).copied()
    }
}

type Place<'o> = (EntryPath, Option<CommitId>, Option<String>, &'o EntryPath);

/// Lists where files of a model belong in a repository: path, commit, branch there, and the file's path in the model.
fn places<'o>(name: &RepoName, is_own: bool, order: &'o Order) -> impl Iterator<Item = Place<'o>> {
    order.files.iter().filter_map(move |file| {
        if is_own {
            return Some((file.path.clone(), None, None, &file.path));
        }
        let place = file.on_hub.as_ref().filter(|it| it.repo == *name)?;
        let branch = place.branch.as_ref().map(|it| it.as_str().to_owned());
        Some((place.path.clone(), place.commit, branch, &file.path))
    })
}
