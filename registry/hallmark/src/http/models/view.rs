//! A model as JSON shows it: one shape everywhere.

use base::{Sha256, UnixSeconds};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{
    order::Order,
    repos::{MAIN, own_repo},
    state::State,
    world::{Model, World},
};

/// Python clients of the hub refuse larger files over plain HTTP.
const CLIENT_BYTES_MAX: u64 = 50_000_000_000;
/// What a segment of a path may hold as it is.
const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// One model: its entry, and how it stands on this host.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ModelView {
    /// Its name in the catalog.
    pub(crate) id: String,
    /// The version that the index lists.
    pub(crate) version: Option<String>,
    /// The version that can be had here.
    pub(crate) deployed_version: Option<String>,
    /// What it is on this host.
    pub(crate) state: State,
    /// Every reason for that.
    pub(crate) why: Vec<String>,
    /// When it came into this state, in seconds since 1970.
    #[schema(value_type = Option<u64>)]
    pub(crate) since: Option<UnixSeconds>,
    /// When it is tried again by itself, in seconds since 1970.
    #[schema(value_type = Option<u64>)]
    pub(crate) retry_at: Option<UnixSeconds>,
    /// Whether this host asks for it.
    pub(crate) wanted: bool,
    /// Whether all bytes are what the index promises; null where there are none.
    pub(crate) verified: Option<bool>,
    /// What all its files take together.
    pub(crate) size_bytes: Option<u64>,
    /// How far its files are, while they come.
    pub(crate) progress: Option<ProgressView>,
    /// Its files, the main one first.
    pub(crate) files: Vec<FileView>,
    /// Its entry, as it stands in the index.
    #[schema(value_type = Option<Object>)]
    pub(crate) entry: Option<Box<RawValue>>,
}

/// How far the files that are coming are.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ProgressView {
    /// How many bytes are here.
    pub(crate) bytes: u64,
    /// How many there will be.
    pub(crate) size_bytes: u64,
    /// Which of them moves now, as `<id>/<path>`.
    pub(crate) file: Option<String>,
    /// What is done with it, in words.
    pub(crate) phase: Option<String>,
}

/// One file of a model.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct FileView {
    /// Its path in the model's folder.
    pub(crate) path: String,
    /// The digest of its bytes, in hex.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub(crate) sha256: Sha256,
    /// How many bytes there are.
    pub(crate) size_bytes: u64,
    /// Whether exactly these bytes can be had here now.
    pub(crate) deployed: bool,
    /// Where they can be had, or will be.
    pub(crate) url: String,
    /// Where clients of the Hugging Face hub find them.
    pub(crate) hub: Vec<String>,
    /// Whether Python clients of the hub take a file of this size over plain HTTP; others do in any case.
    pub(crate) hf_client_servable: bool,
}

impl ModelView {
    /// Shows a model that is known here.
    pub(crate) fn of(world: &World, model: &Model) -> Self {
        let listed = model.listed.as_ref();
        let index = world.index();
        let entry = index.zip(listed).and_then(|(index, listed)| {
            // A listed entry belongs to one text; another one's has something else at its place.
            let is_in_force = index.entry(&model.id).is_some_and(|it| std::sync::Arc::ptr_eq(it, listed));
            is_in_force.then(|| RawValue::from_string(index.source(&model.id)?.to_owned()).ok()).flatten()
        });
        let served = model.served();
        let mut moving = model.transfers.iter().filter(|it| it.bytes() < it.size_bytes);
        let moving = moving.find_map(|it| Some((it.name.clone(), it.phase())).filter(|it| !it.1.is_empty()));
        let (file, phase) = moving.unzip();
        let mut why = model.why.clone();
        why.extend(world.missing.get(model.id.as_str()).cloned());
        Self {
            id: model.id.to_string(),
            version: listed.map(|it| it.entry.version.to_string()),
            deployed_version: served.map(|it| it.order.version.clone()),
            state: model.state,
            why,
            since: Some(model.since),
            retry_at: model.retry_at,
            wanted: model.wanted,
            verified: model.verified(),
            size_bytes: model.size_bytes(),
            progress: model.progress().map(|(bytes, size_bytes)| ProgressView {
                bytes,
                size_bytes,
                file,
                phase,
            }),
            files: files(model),
            entry,
        }
    }

    /// Shows a model that is asked for and that the index does not list.
    pub(crate) fn missing(id: &str, why: &str) -> Self {
        Self {
            id: id.to_owned(),
            version: None,
            deployed_version: None,
            state: State::Missing,
            why: vec![why.to_owned()],
            since: None,
            retry_at: None,
            wanted: true,
            verified: None,
            size_bytes: None,
            progress: None,
            files: Vec::new(),
            entry: None,
        }
    }
}

/// Lists the files that the entry promises or, if the index has lost it, those that are still here.
fn files(model: &Model) -> Vec<FileView> {
    if let Some(listed) = &model.listed {
        let artifact = &listed.entry.artifact;
        let companions = artifact.files.iter().map(|it| (it.path.as_str(), it.sha256, it.size_bytes.get()));
        let main = (artifact.filename.as_str(), artifact.sha256, artifact.size_bytes.get());
        return std::iter::once(main).chain(companions).map(|file| view(model, file)).collect();
    }
    let order = model.shown.iter().flat_map(|it| &it.order.files);
    order.map(|it| view(model, (it.path.as_str(), it.want.digest, it.want.size_bytes))).collect()
}

fn view(model: &Model, (path, sha256, size_bytes): (&str, Sha256, u64)) -> FileView {
    let served = model.served().filter(|shown| {
        shown.files.iter().any(|(at, object)| at.as_str() == path && object.digest() == sha256)
    });
    FileView {
        path: path.to_owned(),
        sha256,
        size_bytes,
        deployed: served.is_some(),
        url: format!("/v1/models/{}/artifact/{}", model.id, encoded(path)),
        hub: served.map_or_else(Vec::new, |shown| on_hub(&shown.order, path)),
        hf_client_servable: size_bytes <= CLIENT_BYTES_MAX,
    }
}

/// Lists where clients of the hub find a file: where it comes from, and in the repository of the model alone.
fn on_hub(order: &Order, path: &str) -> Vec<String> {
    let place = order.files.iter().find(|it| it.path.as_str() == path).and_then(|it| it.on_hub.as_ref());
    let original = place.map(|it| {
        let commit = it.commit.map(|it| it.to_string());
        let revision = commit.or_else(|| it.branch.as_ref().map(|it| it.as_str().to_owned()));
        let revision = revision.unwrap_or_else(|| MAIN.to_owned());
        let revision = utf8_percent_encode(&revision, &PLAIN);
        format!("/{}/resolve/{revision}/{}", it.repo, encoded(it.path.as_str()))
    });
    let own = own_repo(&order.id).map(|repo| format!("/{repo}/resolve/{MAIN}/{}", encoded(path)));
    original.into_iter().chain(own).collect()
}

fn encoded(path: &str) -> String {
    path.split('/').map(|it| utf8_percent_encode(it, &PLAIN).to_string()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_encoded_segment_by_segment() {
        let check = |path: &str, expected: &str| assert_eq!(encoded(path), expected);
        check("model.bin", "model.bin");
        check("onnx/a b#c?.json", "onnx/a%20b%23c%3F.json");
        check("ü/100%", "%C3%BC/100%25");
    }
}
