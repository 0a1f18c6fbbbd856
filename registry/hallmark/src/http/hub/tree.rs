//! A repository's files and folders, listed as the hub does.

use std::collections::BTreeMap;

use axum::{Json, response::IntoResponse as _, response::Response};
use base::CommitId;
use serde_json::{Value, json};
use vault::view::{EntryPath, git_id};

use super::{
    found::found,
    info::{blob_id, date, lfs},
    page::{Page, linked},
    refusal::Refusal,
};
use crate::{repos::RepoFile, world::World};

type Tree = BTreeMap<EntryPath, RepoFile>;

/// One line of a listing.
enum Node<'t> {
    File(&'t RepoFile),
    Folder,
}

/// Answers with what is in a folder, and in the folders below it if that is asked for.
pub(super) fn tree(
    world: &World,
    name: &str,
    revision: &str,
    folder: &str,
    page: &Page,
) -> Result<Response, Refusal> {
    let (repo, commit) = found(world, name, revision, None)?;
    let nothing = Tree::new();
    let tree = repo.trees.get(&commit).unwrap_or(&nothing);
    let nodes = nodes(tree, folder, page.flag("recursive"));
    if nodes.is_empty() && !folder.is_empty() {
        return Err(Refusal::no_entry(name, commit, folder));
    }
    let after = page.cursor();
    let mut rest = nodes.iter().filter(|(path, _)| after.is_none_or(|after| **path > after));
    let expand = page.flag("expand");
    let shown = rest.by_ref().take(page.limit()).collect::<Vec<_>>();
    let listing =
        shown.iter().map(|(path, node)| line(tree, path, node, expand.then_some(commit))).collect::<Vec<_>>();
    let next = rest.next().and(shown.last()).map(|(path, _)| **path);
    Ok(linked(Json(listing).into_response(), page, next))
}

/// Answers with what is known about some paths. What does not exist is left out.
pub(super) fn paths(
    world: &World,
    name: &str,
    revision: &str,
    paths: &[String],
    expand: bool,
) -> Result<Response, Refusal> {
    let (repo, commit) = found(world, name, revision, None)?;
    let nothing = Tree::new();
    let tree = repo.trees.get(&commit).unwrap_or(&nothing);
    let described = paths.iter().filter_map(|path| {
        let path = path.trim_end_matches('/');
        let node = match tree.get(path) {
            Some(file) => Node::File(file),
            None => below(tree, path).next().filter(|_| !path.is_empty()).map(|_| Node::Folder)?,
        };
        Some(line(tree, path, &node, expand.then_some(commit)))
    });
    Ok(Json(described.collect::<Vec<_>>()).into_response())
}

/// Lists what is in a folder, in the order of the paths.
fn nodes<'t>(tree: &'t Tree, folder: &str, recursive: bool) -> BTreeMap<&'t str, Node<'t>> {
    let depth = if folder.is_empty() { 0 } else { folder.matches('/').count() + 1 };
    let is_shown = |path: &str| recursive || path.matches('/').count() == depth;
    let mut nodes = BTreeMap::new();
    for (path, file) in below(tree, folder) {
        for above in path.ancestors().filter(|it| it.len() > folder.len() && is_shown(it)) {
            nodes.insert(above, Node::Folder);
        }
        if is_shown(path.as_str()) {
            nodes.insert(path.as_str(), Node::File(file));
        }
    }
    nodes
}

/// Goes through all files below a folder.
fn below<'t>(tree: &'t Tree, folder: &str) -> impl Iterator<Item = (&'t EntryPath, &'t RepoFile)> {
    let is_below = move |path: &str| {
        folder.is_empty() || path.strip_prefix(folder).is_some_and(|it| it.starts_with('/'))
    };
    tree.iter().filter(move |(path, _)| is_below(path.as_str()))
}

fn line(tree: &Tree, path: &str, node: &Node<'_>, expand: Option<CommitId>) -> Value {
    let (mut line, since) = match node {
        Node::File(file) => {
            let size_bytes = file.object.size_bytes();
            (json!({ "size": size_bytes, "oid": blob_id(file), "lfs": lfs(file) }), Some(file.since))
        }
        Node::Folder => {
            let since = below(tree, path).map(|(_, it)| it.since).max();
            (json!({ "size": 0, "oid": folder_id(tree, path) }), since)
        }
    };
    let kind = if matches!(node, Node::File(_)) { "file" } else { "directory" };
    (line["type"], line["path"]) = (json!(kind), json!(path));
    if let Some(commit) = expand {
        line["lastCommit"] = json!({ "id": commit, "title": "Deployed and verified", "date": date(since) });
    }
    line
}

/// Returns what git would know a folder by.
fn folder_id(tree: &Tree, folder: &str) -> CommitId {
    let mut children = BTreeMap::new();
    for (path, node) in nodes(tree, folder, false) {
        let name = path.rsplit('/').next().unwrap_or(path);
        // In the order of git a folder's name ends with a slash.
        match node {
            Node::File(file) => children.insert(name.to_owned(), ("100644", name, blob_id(file))),
            Node::Folder => children.insert(format!("{name}/"), ("40000", name, folder_id(tree, path))),
        };
    }
    let mut body = Vec::new();
    for (mode, name, id) in children.values() {
        body.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        body.extend_from_slice(id.as_bytes());
    }
    git_id("tree", &body)
}
