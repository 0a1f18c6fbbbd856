//! How the hub takes files: what it wants in which way, large ones to its other origin, and one commit of all.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, Method, StatusCode, header};
use base::{CommitId, Sha256};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::{Value, json};
use sha1::Digest as _;

use super::{HubFile, Inner, Repository, State, Way, serve::Reply};

/// Large files that came, by the digest that was claimed for them.
#[derive(Default)]
pub(crate) struct Store {
    objects: BTreeMap<Sha256, Bytes>,
    parts: BTreeMap<(Sha256, usize), Bytes>,
    /// How long a part is; without it, files come whole.
    pub(crate) part_bytes: Option<usize>,
}

/// Answers what changes something on the hub's own origin; `None` if nothing is meant by it.
pub(super) fn to_hub(
    state: &mut State,
    inner: &Inner,
    (method, path): (&Method, &str),
    headers: &HeaderMap,
    body: &Bytes,
) -> Option<Reply> {
    if *method != Method::POST {
        return None;
    }
    let api = path.strip_prefix("/api/models/");
    let (name, act) = match api {
        Some(rest) => rest
            .split_once("/preupload/")
            .map(|it| (it.0, "preupload"))
            .or_else(|| rest.split_once("/commit/").map(|it| (it.0, "commit")))?,
        None => path.trim_start_matches('/').split_once(".git/info/lfs/")?,
    };
    let State { repositories, store, signature, .. } = state;
    let Some(repository) = repositories.get_mut(name) else {
        return Some(Reply::error(StatusCode::NOT_FOUND, "RepoNotFound"));
    };
    if let Some(writer) = &repository.writer {
        let token =
            headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok()?.strip_prefix("Bearer "));
        match token {
            None => return Some(Reply::error(StatusCode::UNAUTHORIZED, "Unauthorized")),
            Some(token) if token != writer => {
                return Some(Reply::refusal(StatusCode::FORBIDDEN, "you may only read"));
            }
            Some(_) => {}
        }
    }
    Some(match act {
        "preupload" => preupload(repository, body),
        "objects/batch" => batch(store, inner, *signature, name, body),
        "verify" => verify(store, body),
        "commit" => commit(repository, store, &format!("{}{name}", inner.hub), headers, body),
        _ => return None,
    })
}

/// Takes bytes on the other origin.
pub(super) fn to_cdn(state: &mut State, (method, path): (&Method, &str), body: &Bytes) -> Option<Reply> {
    let (oid, part) = path.strip_prefix("/upload/")?.split_once('/')?;
    let oid = Sha256::parse(oid).ok()?;
    let store = &mut state.store;
    if *method == Method::PUT {
        let etag = format!("\"part-{part}\"");
        match part.parse::<usize>() {
            Ok(part) => drop(store.parts.insert((oid, part), body.clone())),
            Err(_) => drop(store.objects.insert(oid, body.clone())),
        }
        return Some(Reply { status: StatusCode::OK, headers: vec![("etag", etag)], body: Bytes::new() });
    }
    let told: Value = serde_json::from_slice(body).ok()?;
    let numbers = told["parts"].as_array()?.iter().map(|it| {
        let number = it["partNumber"].as_u64().and_then(|it| usize::try_from(it).ok())?;
        (it["etag"] == format!("\"part-{number}\"")).then_some(number)
    });
    let parts = numbers.map(|it| store.parts.get(&(oid, it?)).cloned()).collect::<Option<Vec<_>>>()?;
    store.objects.insert(oid, parts.concat().into());
    Some(Reply::json("{}".to_owned()))
}

fn preupload(repository: &Repository, body: &Bytes) -> Reply {
    let asked: Value = serde_json::from_slice(body).expect("JSON is asked");
    let files = asked["files"].as_array().expect("files are asked about").iter().map(|file| {
        let path = file["path"].as_str().expect("a path");
        assert!(STANDARD.decode(file["sample"].as_str().expect("a sample")).is_ok());
        let mode = if is_large(path) { "lfs" } else { "regular" };
        let oid = repository
            .files
            .get(path)
            .map(|it| if is_large(path) { it.digest.to_string() } else { blob_id(&it.bytes) });
        json!({ "path": path, "uploadMode": mode, "shouldIgnore": false, "oid": oid })
    });
    Reply::json(json!({ "files": files.collect::<Vec<_>>() }).to_string())
}

/// As the `.gitattributes` of a new repository has it.
fn is_large(path: &str) -> bool {
    [".safetensors", ".gguf", ".bin", ".onnx", ".pt"].iter().any(|it| path.ends_with(it))
}

fn blob_id(bytes: &Bytes) -> String {
    let mut hasher = sha1::Sha1::new();
    hasher.update(format!("blob {}\0", bytes.len()));
    hasher.update(bytes);
    CommitId::from_bytes(hasher.finalize().into()).to_string()
}

fn batch(store: &Store, inner: &Inner, signature: u64, name: &str, body: &Bytes) -> Reply {
    let asked: Value = serde_json::from_slice(body).expect("JSON is asked");
    assert_eq!((&asked["operation"], &asked["hash_algo"]), (&json!("upload"), &json!("sha256")));
    let objects = asked["objects"].as_array().expect("objects").iter().map(|object| {
        let (oid, size) = (object["oid"].as_str().expect("an oid"), object["size"].as_u64().expect("a size"));
        if store.objects.contains_key(&Sha256::parse(oid).expect("a digest")) {
            return json!({ "oid": oid, "size": size });
        }
        let (cdn, hub) = (inner.cdn.as_str(), inner.hub.as_str());
        let verify = json!({ "href": format!("{hub}{name}.git/info/lfs/verify") });
        let upload = match store.part_bytes {
            None => json!({ "href": format!("{cdn}upload/{oid}/whole?signature={signature}") }),
            Some(part_bytes) => {
                let mut header = serde_json::Map::new();
                header.insert("chunk_size".to_owned(), part_bytes.to_string().into());
                for part in 1..=size.div_ceil(part_bytes as u64) {
                    let href = format!("{cdn}upload/{oid}/{part}?signature={signature}");
                    header.insert(format!("{part:05}"), href.into());
                }
                json!({ "href": format!("{cdn}upload/{oid}/complete?signature={signature}"), "header": header })
            }
        };
        json!({ "oid": oid, "size": size, "actions": { "upload": upload, "verify": verify } })
    });
    let transfer = if store.part_bytes.is_some() { "multipart" } else { "basic" };
    Reply::json(json!({ "transfer": transfer, "objects": objects.collect::<Vec<_>>() }).to_string())
}

/// Compares what came with what was claimed, as the real one does.
fn verify(store: &mut Store, body: &Bytes) -> Reply {
    let asked: Value = serde_json::from_slice(body).expect("JSON is asked");
    let oid = Sha256::parse(asked["oid"].as_str().expect("an oid")).expect("a digest");
    let came = store.objects.get(&oid).map(|it| (Sha256::of(it), it.len() as u64));
    if came == Some((oid, asked["size"].as_u64().expect("a size"))) {
        return Reply::json("{}".to_owned());
    }
    store.objects.remove(&oid);
    Reply::refusal(StatusCode::BAD_REQUEST, "the object is not what its oid says")
}

fn commit(
    repository: &mut Repository,
    store: &Store,
    page: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Reply {
    assert_eq!(
        headers.get(header::CONTENT_TYPE).map(axum::http::HeaderValue::as_bytes),
        Some(&b"application/x-ndjson"[..])
    );
    let text = std::str::from_utf8(body).expect("lines of JSON");
    let mut files = repository.files.clone();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        let (key, value) = (line["key"].as_str().expect("a key"), &line["value"]);
        let path = || value["path"].as_str().expect("a path").to_owned();
        let bytes = match key {
            // Who names no parent takes whatever the branch is at.
            "header" if value["parentCommit"].is_null() => continue,
            "header" if value["parentCommit"] == repository.commit.to_string() => continue,
            "header" => {
                return Reply::refusal(StatusCode::PRECONDITION_FAILED, "A commit has happened since");
            }
            "file" => {
                Bytes::from(STANDARD.decode(value["content"].as_str().expect("content")).expect("base64"))
            }
            "lfsFile" => {
                let oid = Sha256::parse(value["oid"].as_str().expect("an oid")).expect("a digest");
                match store.objects.get(&oid) {
                    Some(bytes) => bytes.clone(),
                    None => return Reply::refusal(StatusCode::BAD_REQUEST, "an LFS pointer to nothing"),
                }
            }
            other => panic!("no operation of a commit: {other}"),
        };
        files.insert(path(), HubFile { digest: Sha256::of(&bytes), bytes, way: Way::Direct, xet: false });
    }
    repository.files = files;
    repository.commits += 1;
    let id = Sha256::of(&[repository.commit.as_bytes(), &body[..]].concat());
    repository.commit = CommitId::from_bytes(*id.as_bytes().first_chunk().expect("20 of 32 bytes"));
    Reply::json(
        json!({ "success": true, "commitOid": repository.commit, "commitUrl": format!("{page}/commit/{}", repository.commit), "hookOutput": "" })
            .to_string(),
    )
}
