//! Finds what a client names, or says why it is not to be had.

use base::CommitId;

use super::refusal::Refusal;
use crate::{repos::Repo, world::World};

/// Finds a repository and the commit that a revision of it means. Of a file that is on its way that is said.
pub(super) fn found<'w>(
    world: &'w World,
    name: &str,
    revision: &str,
    path: Option<&str>,
) -> Result<(&'w Repo, CommitId), Refusal> {
    let repo = repo(world, name)?;
    if let Some(commit) = repo.commit(revision) {
        return Ok((repo, commit));
    }
    let coming = match path {
        Some(path) => repo.coming.get(path),
        // Somebody who asks for all files has to wait for the first ones.
        None => repo.coming.values().next().filter(|_| repo.trees.is_empty()),
    };
    Err(match coming {
        Some(model) => Refusal::coming(format!("{model} is on its way here")),
        None => Refusal::no_revision(name, revision),
    })
}

/// Finds a repository.
pub(super) fn repo<'w>(world: &'w World, name: &str) -> Result<&'w Repo, Refusal> {
    world.repos.get(name).map(AsRef::as_ref).ok_or_else(|| {
        let model = name.strip_prefix("hallmark/").and_then(|id| world.models.get(id));
        Refusal::no_repo(match model {
            Some(model) => format!("{} is {} on this host: {}", model.id, model.state, model.why.join("; ")),
            None => format!(
                "no model of the repository {name:?} is deployed here; /api/models lists those that are"
            ),
        })
    })
}
