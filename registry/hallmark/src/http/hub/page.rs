//! Lists that go on: a limit, a place to go on from, and the address of the next part.

use axum::{
    http::{HeaderMap, HeaderValue, Uri, header, uri::Authority},
    response::Response,
};
use url::form_urlencoded;

/// How long a part of a list is, unless the client asks for less.
const LIMIT: usize = 1000;
const CURSOR: &str = "cursor";

/// What a client asks of a list.
#[derive(Debug)]
pub(super) struct Page {
    /// The page's own address, if the request tells it.
    address: Option<String>,
    pairs: Vec<(String, String)>,
}

impl Page {
    /// Reads a request's address and query.
    pub(super) fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let host = headers.get(header::HOST).and_then(|it| it.to_str().ok()?.parse::<Authority>().ok());
        // Whoever ends TLS before us says so; in HTTP/2 the host stands in the address.
        let is_tls = headers.get("x-forwarded-proto").is_some_and(|it| it == "https");
        let scheme = if is_tls { "https" } else { "http" };
        let host = host.or_else(|| uri.authority().cloned());
        let address = host.map(|host| format!("{scheme}://{host}{}", uri.path()));
        Self { address, pairs }
    }

    /// Returns the last value of a key.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|it| it.0 == key).map(|it| it.1.as_str())
    }

    /// Says whether something is asked for, in any of the spellings of the clients.
    pub(super) fn flag(&self, key: &str) -> bool {
        self.value(key).is_some_and(|it| it.is_empty() || it == "1" || it.eq_ignore_ascii_case("true"))
    }

    /// Returns how much may be listed at once.
    pub(super) fn limit(&self) -> usize {
        self.value("limit").and_then(|it| it.parse().ok()).map_or(LIMIT, |it: usize| it.clamp(1, LIMIT))
    }

    /// Returns what was listed last.
    pub(super) fn cursor(&self) -> Option<&str> {
        self.value(CURSOR)
    }

    /// Returns the address of what comes after this, as the header that says so.
    fn next(&self, last: &str) -> Option<HeaderValue> {
        let kept = self.pairs.iter().filter(|it| it.0 != CURSOR);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(kept).append_pair(CURSOR, last);
        let address = self.address.as_ref()?;
        HeaderValue::try_from(format!("<{address}?{}>; rel=\"next\"", query.finish())).ok()
    }
}

/// Adds where a list goes on, if it does.
pub(super) fn linked(mut response: Response, page: &Page, last: Option<&str>) -> Response {
    let link = last.and_then(|it| page.next(it));
    response.headers_mut().extend(link.map(|it| (header::LINK, it)));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(uri: &str, headers: &[(&'static str, &'static str)]) -> Page {
        let headers = headers
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)));
        Page::of(&uri.parse().unwrap(), &headers.collect())
    }

    #[test]
    fn the_next_part_is_on_the_host_that_the_client_asked() {
        let check = |uri: &str, headers: &[(&'static str, &'static str)], expected: Option<&str>| {
            let next = page(uri, headers).next("a b&c");
            assert_eq!(next.as_ref().map(|it| it.to_str().unwrap()), expected, "{uri} {headers:?}");
        };
        let host = ("host", "registry:8420");
        check(
            "/x?limit=2&cursor=old",
            &[host],
            Some("<http://registry:8420/x?limit=2&cursor=a+b%26c>; rel=\"next\""),
        );
        check(
            "/x",
            &[host, ("x-forwarded-proto", "https")],
            Some("<https://registry:8420/x?cursor=a+b%26c>; rel=\"next\""),
        );
        check("http://h2:1/x", &[], Some("<http://h2:1/x?cursor=a+b%26c>; rel=\"next\""));
        check("/x", &[("host", "evil>; rel=\"x\"")], None);
        check("/x", &[], None);
    }

    #[test]
    fn flags_and_limits_are_read_in_every_spelling() {
        let check = |query: &str, flag: bool, limit: usize| {
            let page = page(&format!("/x?{query}"), &[]);
            assert_eq!((page.flag("recursive"), page.limit()), (flag, limit), "{query}");
        };
        check("recursive=true&limit=5", true, 5);
        check("recursive=True&limit=0", true, 1);
        check("recursive=1&limit=99999", true, 1000);
        check("recursive=False&limit=x", false, 1000);
        check("", false, 1000);
    }
}
