//! What is said to the hub and what it answers.

use std::collections::BTreeMap;

use base::{CommitId, Sha256};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// How the hub wants a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// Beside the commit, as a large file.
    Lfs,
    /// Within the commit.
    Regular,
}

#[derive(Serialize)]
pub(super) struct Samples<'a> {
    pub(super) files: Vec<Sample<'a>>,
}

#[derive(Serialize)]
pub(super) struct Sample<'a> {
    path: &'a str,
    size: u64,
    #[serde(rename = "sample")]
    start: String,
}

impl<'a> Sample<'a> {
    pub(super) fn of(path: &'a str, size: u64, start: &[u8]) -> Self {
        Self { path, size, start: STANDARD.encode(start) }
    }
}

#[derive(Deserialize)]
pub(super) struct Wanted {
    pub(super) files: Vec<WantedFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WantedFile {
    pub(super) path: String,
    pub(super) upload_mode: Mode,
    #[serde(default)]
    pub(super) should_ignore: bool,
    /// What stands there now.
    #[serde(default)]
    pub(super) oid: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Info {
    pub(super) sha: CommitId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Commit {
    pub(super) commit_oid: CommitId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header<'a> {
    pub(super) summary: &'a str,
    pub(super) description: &'a str,
    pub(super) parent_commit: CommitId,
}

#[derive(Serialize)]
pub(super) struct SmallFile<'a> {
    content: String,
    path: &'a str,
    encoding: &'static str,
}

impl<'a> SmallFile<'a> {
    pub(super) fn of(path: &'a str, bytes: &[u8]) -> Self {
        Self { content: STANDARD.encode(bytes), path, encoding: "base64" }
    }
}

#[derive(Serialize)]
pub(super) struct LargeFile<'a> {
    path: &'a str,
    algo: &'static str,
    oid: Sha256,
    size: u64,
}

impl<'a> LargeFile<'a> {
    pub(super) fn of(path: &'a str, oid: Sha256, size: u64) -> Self {
        Self { path, algo: "sha256", oid, size }
    }
}

/// What is asked of the store behind large files.
#[derive(Serialize)]
pub(super) struct Batch {
    pub(super) operation: &'static str,
    pub(super) transfers: [&'static str; 2],
    pub(super) hash_algo: &'static str,
    pub(super) objects: Vec<ObjectId>,
}

#[derive(Clone, Copy, Serialize)]
pub(super) struct ObjectId {
    pub(super) oid: Sha256,
    pub(super) size: u64,
}

#[derive(Deserialize)]
pub(super) struct Objects {
    pub(super) objects: Vec<Object>,
}

#[derive(Deserialize)]
pub(super) struct Object {
    pub(super) oid: Sha256,
    /// None if the store has it.
    #[serde(default)]
    pub(super) actions: Option<Actions>,
    #[serde(default)]
    pub(super) error: Option<ObjectError>,
}

#[derive(Deserialize)]
pub(super) struct ObjectError {
    #[serde(default)]
    pub(super) message: String,
}

#[derive(Deserialize)]
pub(super) struct Actions {
    pub(super) upload: Action,
    #[serde(default)]
    pub(super) verify: Option<Action>,
}

#[derive(Deserialize)]
pub(super) struct Action {
    pub(super) href: String,
    #[serde(default)]
    pub(super) header: Option<BTreeMap<String, serde_json::Value>>,
}

/// Says that all parts of a file were sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parts {
    pub(super) oid: Sha256,
    pub(super) parts: Vec<Part>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part {
    pub(super) part_number: usize,
    pub(super) etag: String,
}

pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    // None of these types has a map whose keys are no texts, which is all that could fail.
    serde_json::to_vec(value).unwrap_or_default()
}

/// Writes one line of a commit.
pub(super) fn line(key: &str, value: &impl Serialize) -> Vec<u8> {
    #[derive(Serialize)]
    struct Line<'a, T> {
        key: &'a str,
        value: &'a T,
    }
    let mut line = json(&Line { key, value });
    line.push(b'\n');
    line
}
