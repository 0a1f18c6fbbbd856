//! Fetches a short range of a file into memory, to mend a damaged one.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use reqwest::StatusCode;

use crate::{
    client::{Ask, Place, Tries, Web},
    cursor::CHUNK_BYTES,
    fault::{Fault, SourceError},
    fetch::body::Body,
    limit::Limit,
    reply,
    settings::Settings,
};

/// Asks for just `span`. The bytes are unproven: the caller compares them with the chunk's digest.
pub(crate) async fn fetch(
    web: &Web,
    settings: &Settings,
    limit: &Limit,
    place: &Place,
    span: &Range<u64>,
    size_bytes: u64,
) -> Result<Bytes, Fault> {
    let once = async || {
        read(web, settings, limit, place, span, size_bytes).await.map(|it| (it, 0)).map_err(|it| (it, 0))
    };
    web.persist(&place.host(), &mut Tries::new(&|_, _| ()), once).await
}

async fn read(
    web: &Web,
    settings: &Settings,
    limit: &Limit,
    place: &Place,
    span: &Range<u64>,
    size_bytes: u64,
) -> Result<Bytes, Fault> {
    let whole = *span == (0..size_bytes);
    let response = web.get(place, (!whole).then_some(Ask { span, if_range: None })).await?;
    let range = reply::content_range(response.headers());
    let right = if response.status() == StatusCode::OK {
        whole
    } else {
        range.is_some_and(|it| it.span.as_ref() == Some(span))
    };
    if !right {
        let what = "a range that was not asked for";
        return Err(Fault::Final(SourceError::Confused { url: place.shown(), what }));
    }
    let length = usize::try_from(span.end - span.start).unwrap_or(usize::MAX);
    let mut bytes = BytesMut::with_capacity(length);
    let mut body = Body::new(response, settings);
    while bytes.len() < length {
        let Some(more) = body.next().await? else {
            let offset = span.start + bytes.len() as u64;
            return Err(Fault::again(SourceError::Short { url: place.shown(), offset }));
        };
        if bytes.len() + more.len() > length {
            return Err(Fault::Final(SourceError::Long { url: place.shown(), offset: span.end }));
        }
        limit.pass(more.len() as u64).await;
        bytes.extend_from_slice(&more);
    }
    Ok(bytes.freeze())
}

/// Says whether a span is one that may be asked for: not empty, inside the file, no longer than a chunk.
pub(crate) fn is_askable(span: &Range<u64>, size_bytes: u64) -> bool {
    span.start < span.end && span.end <= size_bytes && span.end - span.start <= CHUNK_BYTES
}
