//! Large files: the store behind the hub says where each goes, whole or in parts, and checks what came.

use base::Sha256;
use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE, ETAG},
};
use url::Url;

use super::{
    Addition, Bytes, UploadError,
    ask::{Asker, Body},
    error::Said,
    wire::{self, Action, Batch, Object, ObjectId, Objects},
};
use crate::{fault::Shown, reply};

const LFS: &str = "application/vnd.git-lfs+json";
/// As many at once as the hub's own client asks for.
const BATCH_MAX: usize = 256;
/// More parts than any store takes.
const PARTS_MAX: u64 = 10_000;

/// A file that the store is to have.
pub(super) struct Large<'a> {
    path: &'a str,
    bytes: &'a Bytes,
    id: ObjectId,
}

impl<'a> Large<'a> {
    pub(super) fn of(addition: &'a Addition) -> Self {
        let Addition { path, bytes } = addition;
        Self { path, bytes, id: ObjectId { oid: bytes.digest(), size: bytes.size_bytes() } }
    }
}

/// Sends what the store has not.
pub(super) async fn send(asker: &Asker<'_>, batch: &Url, files: &[Large<'_>]) -> Result<(), UploadError> {
    for some in files.chunks(BATCH_MAX) {
        let objects = some.iter().map(|it| it.id).collect();
        let question =
            Batch { operation: "upload", transfers: ["basic", "multipart"], hash_algo: "sha256", objects };
        let headers = [(ACCEPT, LFS), (CONTENT_TYPE, LFS)];
        let answer = asker.post(batch.clone(), &headers, wire::json(&question).into()).await?;
        let objects = answer.read::<Objects>()?.objects;
        for file in some {
            let object = objects.iter().find(|it| it.oid == file.id.oid);
            let what = "it says nothing about a file that it was asked about";
            let object = object.ok_or_else(|| UploadError::Confused { url: Shown::of(batch), what })?;
            place(asker, batch, file, object).await?;
        }
    }
    Ok(())
}

async fn place(asker: &Asker<'_>, batch: &Url, file: &Large<'_>, object: &Object) -> Result<(), UploadError> {
    if let Some(error) = &object.error {
        return Err(UploadError::Object { path: file.path.to_owned(), said: Said::of(&error.message) });
    }
    // Without actions the store has it.
    let Some(actions) = &object.actions else { return Ok(()) };
    let target = url(batch, &actions.upload.href)?;
    if let Some(chunk_bytes) = chunk_bytes(&actions.upload) {
        in_parts(asker, target, file, &actions.upload, chunk_bytes).await?;
    } else {
        let body = Body::Part { bytes: file.bytes.clone(), offset: 0, length: file.id.size };
        asker.send(Method::PUT, target, &[], body).await?;
    }
    if let Some(verify) = &actions.verify {
        let headers = [(ACCEPT, LFS), (CONTENT_TYPE, LFS)];
        asker.post(url(batch, &verify.href)?, &headers, wire::json(&file.id).into()).await?;
    }
    Ok(())
}

/// Sends the parts one after the other, then says that these were all.
async fn in_parts(
    asker: &Asker<'_>,
    completion: Url,
    file: &Large<'_>,
    upload: &Action,
    chunk_bytes: u64,
) -> Result<(), UploadError> {
    let confused = |what| UploadError::Confused { url: Shown::of(&completion), what };
    let count = file.id.size.div_ceil(chunk_bytes.max(1));
    let targets = numbered(upload);
    if targets.len() as u64 != count || count > PARTS_MAX {
        return Err(confused("it has not one address for each part of the file"));
    }
    let mut parts = Vec::new();
    for (at, target) in targets.into_iter().enumerate() {
        let offset = at as u64 * chunk_bytes;
        let length = chunk_bytes.min(file.id.size - offset);
        let body = Body::Part { bytes: file.bytes.clone(), offset, length };
        let answer = asker.send(Method::PUT, url(&completion, target)?, &[], body).await?;
        let etag = reply::text(&answer.headers, ETAG.as_str());
        let etag = etag.ok_or_else(|| confused("the store gave no ETag for a part"))?.to_owned();
        parts.push(wire::Part { part_number: at + 1, etag });
    }
    let headers = [(ACCEPT, LFS), (CONTENT_TYPE, LFS)];
    let oid: Sha256 = file.id.oid;
    asker.post(completion.clone(), &headers, wire::json(&wire::Parts { oid, parts }).into()).await.map(drop)
}

fn chunk_bytes(upload: &Action) -> Option<u64> {
    let value = upload.header.as_ref()?.get("chunk_size")?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Returns the addresses of the parts, which stand among the headers under their numbers.
fn numbered(upload: &Action) -> Vec<&str> {
    let headers = upload.header.iter().flatten();
    let numbers = headers.filter_map(|(name, value)| Some((name.parse::<u64>().ok()?, value.as_str()?)));
    let mut numbers = numbers.collect::<Vec<_>>();
    numbers.sort_by_key(|it| it.0);
    numbers.into_iter().map(|it| it.1).collect()
}

/// Reads an address that the hub gave. One that leaves https is refused, since bytes or a token would go there.
fn url(from: &Url, text: &str) -> Result<Url, UploadError> {
    let what = "it sends us to an address that is none, or that is not https";
    let confused = || UploadError::Confused { url: Shown::of(from), what };
    let target = from.join(text).map_err(|_| confused())?;
    match (from.scheme(), target.scheme()) {
        (_, "https") | ("http", "http") => Ok(target),
        _ => Err(confused()),
    }
}
