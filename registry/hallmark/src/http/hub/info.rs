//! What clients are told about a repository: its commit, its files, its branches.

use std::collections::BTreeSet;

use axum::{Json, response::IntoResponse as _, response::Response};
use base::{CommitId, UnixSeconds};
use serde_json::{Value, json};
use time::OffsetDateTime;
use vault::view::{EntryPath, git_id, lfs_pointer};

use super::{found, refusal::Refusal};
use crate::{
    repos::{MAIN, Repo, RepoFile},
    world::World,
};

/// Answers with a repository at a revision; each file's size and digest too, if that is asked for.
pub(super) fn info(world: &World, name: &str, revision: &str, blobs: bool) -> Result<Response, Refusal> {
    let (repo, commit) = found::found(world, name, revision, None)?;
    Ok(Json(about(world, repo, commit, blobs)).into_response())
}

/// Answers with a repository's branches.
pub(super) fn refs(world: &World, name: &str) -> Result<Response, Refusal> {
    let repo = found::repo(world, name)?;
    let branch = |(name, commit): (&String, &CommitId)| {
        let full = format!("refs/heads/{name}");
        json!({ "name": name, "ref": full, "targetCommit": commit })
    };
    let branches = repo.branches.iter().map(branch).collect::<Vec<_>>();
    Ok(Json(json!({ "branches": branches, "tags": [], "converts": [], "pullRequests": [] })).into_response())
}

/// Describes a repository as the hub does.
pub(super) fn about(world: &World, repo: &Repo, commit: CommitId, blobs: bool) -> Value {
    let name = repo.name.as_str();
    let files = repo.trees.get(&commit);
    let files = || files.into_iter().flatten();
    let sibling = |(path, file): (&EntryPath, &RepoFile)| {
        let mut sibling = json!({ "rfilename": path });
        if blobs {
            sibling["size"] = json!(file.object.size_bytes());
            sibling["blobId"] = json!(blob_id(file));
            sibling["lfs"] = lfs(file);
        }
        sibling
    };
    let since = || files().map(|(_, it)| it.since);
    json!({
        "_id": &commit.to_string()[..24], "id": name, "modelId": name, "author": name.split_once('/').map(|it| it.0),
        "sha": commit, "createdAt": date(since().min()), "lastModified": date(since().max()),
        "private": false, "gated": false, "disabled": false, "downloads": 0, "likes": 0, "tags": licenses(world, files().map(|(_, it)| it)),
        "usedStorage": files().map(|(_, it)| it.object.size_bytes()).fold(0, u64::saturating_add),
        "siblings": files().map(sibling).collect::<Vec<_>>(),
    })
}

/// Lists the licences of the models that files belong to, as tags.
fn licenses<'f>(world: &World, files: impl Iterator<Item = &'f RepoFile>) -> BTreeSet<String> {
    let models = files.map(|it| &it.model).collect::<BTreeSet<_>>();
    let listed = models.into_iter().filter_map(|id| world.models.get(id)?.listed.as_ref());
    listed.map(|it| format!("license:{}", it.entry.license.as_str().to_lowercase())).collect()
}

/// Describes a repository in a list.
pub(super) fn in_list(world: &World, repo: &Repo) -> Option<Value> {
    let mut about = about(world, repo, *repo.branches.get(MAIN)?, false);
    about.as_object_mut()?.remove("siblings");
    Some(about)
}

/// Describes a file's content: every one is shown as a large file, and each fact in both spellings that clients read.
pub(super) fn lfs(file: &RepoFile) -> Value {
    let (digest, size_bytes) = (file.object.digest(), file.object.size_bytes());
    let pointer_bytes = lfs_pointer(&digest, size_bytes).len();
    json!({
        "oid": digest, "sha256": digest, "size": size_bytes,
        "pointerSize": pointer_bytes, "pointer_size": pointer_bytes
    })
}

/// Returns what git knows the file by: its pointer's id.
pub(super) fn blob_id(file: &RepoFile) -> CommitId {
    git_id("blob", lfs_pointer(&file.object.digest(), file.object.size_bytes()).as_bytes())
}

/// Writes a date as the hub does.
pub(super) fn date(at: Option<UnixSeconds>) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp(at?.0.try_into().ok()?).ok()?;
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    Some(format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z", u8::from(month)))
}
