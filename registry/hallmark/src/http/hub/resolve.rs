//! `/{repository}/resolve/{revision}/{path}`: a file's bytes, and the headers that clients go by.
//!
//! - 200 at once and never a redirect, never a word of Xet: some clients take either for an empty file.
//! - A HEAD touches no disk and takes no lock.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use base::CommitId;

use super::{COMMIT, found::found, place, refusal::Refusal};
use crate::{
    engine::Ask,
    http::{
        App, Face,
        bytes::{self, Asked, Unsent},
    },
    repos::RepoFile,
};

const LINKED_ETAG: HeaderName = HeaderName::from_static("x-linked-etag");
const LINKED_SIZE: HeaderName = HeaderName::from_static("x-linked-size");

/// `GET` and `HEAD` of a file.
pub(super) async fn file(State(app): State<App>, request: Request) -> Response {
    send(&app, Asked::of(&app, &request), request.uri().path()).unwrap_or_else(Refusal::into_response)
}

fn send(app: &App, asked: Asked<'_>, raw: &str) -> Result<Response, Refusal> {
    let place = place::file(raw)?;
    let world = app.world();
    let (repo, commit) = found(&world, &place.repo, &place.revision, Some(&place.path))?;
    let file = repo.trees.get(&commit).and_then(|it| it.get(&*place.path));
    let Some(file) = file else {
        return Err(match repo.coming.get(&*place.path) {
            Some(model) => Refusal::coming(format!("{} of {model} is on its way here", place.path)),
            None => Refusal::no_entry(repo.name.as_str(), commit, &place.path),
        });
    };
    let face = file.face.get_or_init(|| Arc::new(face(file, commit, &place.path)));
    match bytes::answer(asked, face, &file.object) {
        Ok(mut response) => {
            let is_commit = CommitId::parse(&place.revision).is_ok();
            let cache = if is_commit { app.forever() } else { HeaderValue::from_static("no-cache") };
            response.headers_mut().insert(header::CACHE_CONTROL, cache);
            Ok(response)
        }
        Err(unsent) => {
            if let Unsent::Gone { source, .. } = &unsent {
                tracing::error!("{unsent}: {source}");
                app.engine().mention(Ask::Look { id: file.model.clone() });
            }
            let mut response = Refusal::unsent(unsent.status(), unsent.to_string()).into_response();
            unsent.dress(&mut response);
            Ok(response)
        }
    }
}

fn face(file: &RepoFile, commit: CommitId, path: &str) -> Face {
    let face = Face::of(&file.object, Some(path), file.since);
    let texts = [(COMMIT, commit.to_string()), (LINKED_ETAG, format!("\"{}\"", file.object.digest()))];
    let texts = texts.into_iter().filter_map(|(name, it)| Some((name, HeaderValue::try_from(it).ok()?)));
    let face = texts.fold(face, |face, (name, value)| face.with(name, value));
    face.with(LINKED_SIZE, file.object.size_bytes().into())
}
