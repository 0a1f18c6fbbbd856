//! The hub's resolve protocol: what a file is and at which commit, before its first byte.

use base::CommitId;
use reqwest::Method;

use crate::{
    client::{Place, Web, redirect},
    fault::{Fault, Shown, SourceError},
    reply::{self, Announcement},
    source::HubFile,
    want::Want,
};

const HOPS_MAX: usize = 5;

/// Where a hub's file is, pinned.
pub(crate) struct Located {
    pub(crate) place: Place,
    pub(crate) commit: Option<CommitId>,
    pub(crate) xet: bool,
}

/// Asks the hub about a file. Refuses at once where the hub already announces another one than wanted.
pub(crate) async fn resolve(
    web: &Web,
    file: &HubFile,
    pinned: Option<CommitId>,
    want: &Want,
) -> Result<Located, Fault> {
    let start = pinned.map_or_else(|| file.url(), |it| file.pinned(it));
    let found = head(web, file, &start).await?;
    let url = Shown::of(&start);
    if let Some(digest) = found.digest.filter(|it| *it != want.digest) {
        return Err(Fault::Final(SourceError::Announced { url, size_bytes: None, digest: Some(digest) }));
    }
    if let Some(size) = found.size_bytes.filter(|it| *it != want.size_bytes) {
        return Err(Fault::Final(SourceError::Announced { url, size_bytes: Some(size), digest: None }));
    }
    let commit = pinned.or(found.commit);
    // From here on the branch may move: what is asked for does not.
    let place = Place::new(commit.map_or(start, |it| file.pinned(it)), Some(file.page()));
    Ok(Located { place, commit, xet: found.xet })
}

/// Collects what the hops on the hub's own origin announce; the first word counts.
async fn head(web: &Web, file: &HubFile, start: &url::Url) -> Result<Announcement, Fault> {
    let mut found = Announcement::default();
    let mut url = start.clone();
    for _ in 0..HOPS_MAX {
        let response = web.send(Method::HEAD, &url, None).await?;
        let status = response.status();
        let target = redirect(&response, &url)?;
        if !status.is_success() && target.is_none() {
            // A server without HEAD: the GET will tell.
            let unspoken = matches!(status.as_u16(), 405 | 501);
            return if unspoken { Ok(found) } else { Err(web.refusal(&response, &url, Some(&file.page()))) };
        }
        let hop = reply::announcement(response.headers(), target.is_some());
        found.commit = found.commit.or(hop.commit);
        found.size_bytes = found.size_bytes.or(hop.size_bytes);
        found.digest = found.digest.or(hop.digest);
        found.xet |= hop.xet;
        match target {
            // Away from the hub is where the bytes are; only the GET goes there.
            Some(target) if file.endpoint().is_origin_of(&target) => url = target,
            Some(_) | None => return Ok(found),
        }
    }
    Err(Fault::Final(SourceError::Confused { url: Shown::of(start), what: "it redirects without end" }))
}
