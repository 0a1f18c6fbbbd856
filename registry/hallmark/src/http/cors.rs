//! Which web pages may read this daemon's answers: none, unless their origin is set.

use std::time::Duration;

use anyhow::Context as _;
use axum::http::{HeaderValue, Method, header};
use tower_http::cors::CorsLayer;
use url::Url;

/// How long a browser may remember what it was told.
const REMEMBER: Duration = Duration::from_hours(1);

/// Lets pages of these origins read, and nothing else.
pub(super) fn layer(origins: &[String]) -> anyhow::Result<Option<CorsLayer>> {
    let origins = origins.iter().map(|it| parse(it)).collect::<anyhow::Result<Vec<_>>>()?;
    if origins.is_empty() {
        return Ok(None);
    }
    let given = [header::AUTHORIZATION, header::RANGE, header::IF_NONE_MATCH, header::IF_RANGE];
    let seen =
        [header::ETAG, header::LINK, header::RETRY_AFTER, header::CONTENT_RANGE, header::ACCEPT_RANGES];
    Ok(Some(
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::HEAD])
            .allow_headers(given)
            .expose_headers(seen)
            .max_age(REMEMBER),
    ))
}

fn parse(origin: &str) -> anyhow::Result<HeaderValue> {
    let wrong =
        || format!("[http] cors_origins has {origin:?}: write an origin, such as https://example.org");
    let url = Url::parse(origin).with_context(wrong)?;
    anyhow::ensure!(url.origin().is_tuple() && url.origin().ascii_serialization() == origin, "{}", wrong());
    HeaderValue::try_from(origin).with_context(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_origins_are_taken() {
        let check = |origin: &str, expected: bool| assert_eq!(parse(origin).is_ok(), expected, "{origin}");
        check("https://example.org", true);
        check("http://localhost:3000", true);
        check("https://example.org/", false);
        check("https://example.org/page", false);
        check("*", false);
        check("example.org", false);
        check("null", false);
    }
}
