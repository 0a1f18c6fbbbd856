//! `/v1/watch`: what happens, as it happens, as server-sent events.
//!
//! - Who comes back with the id of the last event it saw gets all that it missed, or a `reset` if that is not kept.
//! - A reader that is too slow is let go, and can come back the same way.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::broadcast::error::RecvError;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App, Problem,
    input::{Asked, Nothing},
};
use crate::news::{Item, Watch};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default().routes(routes!(watch))
}

/// Tells what happens, as server-sent events: `hello` at first, then `reload`, `model`, `progress` and `config`, each
/// with its data as JSON. `reset` says that events were missed which are no longer kept: look at everything anew.
#[utoipa::path(
    get, path = "/v1/watch", tag = "models",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen")),
    responses(
        (status = OK, description = "Events, without an end", body = String, content_type = "text/event-stream"),
        (status = SERVICE_UNAVAILABLE, description = "Too many watch already", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
async fn watch(
    State(app): State<App>,
    Asked(Nothing {}): Asked<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Ok(seat) = Arc::clone(app.watchers()).try_acquire_owned() else {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-watchers", "Too many watchers")
            .detail("as many clients watch as may")
            .remedy("ask /v1/models now and then, or raise [http] watchers_max")
            .retry_after(30));
    };
    let news = app.engine().news();
    let seen = headers.get("last-event-id").map(|it| parse_id(it).unwrap_or_default());
    let events = events(news.run, news.watch(seen));
    // What is held for the watcher goes when its connection does.
    let counted = app.metrics().watcher();
    let events = events.map(move |it| {
        let _held = (&seat, &counted);
        Ok::<_, Infallible>(it)
    });
    let events = events.take_until(app.stop().clone().cancelled_owned());
    let beat = Duration::from_secs(app.settings().heartbeat_seconds.get());
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(beat)).into_response();
    // Proxies that collect an answer before they pass it on would hold back every event.
    let no = HeaderValue::from_static("no");
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), no);
    Ok(response)
}

/// Reads an event's id; one that is not ours counts as one that is no longer kept.
fn parse_id(id: &HeaderValue) -> Option<(u64, u64)> {
    let (run, number) = id.to_str().ok()?.split_once('-')?;
    Some((run.parse().ok()?, number.parse().ok()?))
}

fn events(run: u64, watch: Watch) -> impl Stream<Item = Event> + Send {
    let Watch { missed, lost, next, last } = watch;
    let oldest = missed.first().map_or(last, |it| it.number - 1);
    let id = move |number: u64| format!("{run}-{number}");
    let hello = Event::default().event("hello").id(id(oldest)).data("{}");
    let reset = Event::default().event("reset").id(id(oldest)).data("{}");
    let first = stream::iter(std::iter::once(hello).chain(lost.then_some(reset)));
    let missed = stream::iter(missed);
    let next = stream::unfold(next, |mut next| async {
        match next.recv().await {
            Ok(item) => Some((item, next)),
            Err(RecvError::Lagged(count)) => {
                tracing::debug!("A watcher was let go: it was {count} events behind");
                None
            }
            Err(RecvError::Closed) => None,
        }
    });
    let later = missed
        .chain(next)
        .map(move |it: Arc<Item>| Event::default().event(it.kind).id(id(it.number)).data(&it.json));
    first.chain(later)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::news::News;

    #[tokio::test]
    async fn a_reader_that_falls_behind_is_let_go() {
        let news = News::new(1, 16);
        let mut events = Box::pin(events(1, news.watch(None)));
        assert!(events.next().await.is_some(), "hello");
        news.tell("model", &1);
        assert!(events.next().await.is_some());
        (0..1000).for_each(|it| news.tell("model", &it));
        assert!(events.next().await.is_none());
    }

    #[test]
    fn an_id_is_a_run_and_a_number() {
        let check = |text, expected| assert_eq!(parse_id(&HeaderValue::from_static(text)), expected);
        check("12-34", Some((12, 34)));
        check("12", None);
        check("12-x", None);
        check("", None);
    }
}
