//! What a server's answer says, read from its headers alone.

use std::{ops::Range, time::Duration};

use base::{CommitId, Sha256, UnixSeconds};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, RETRY_AFTER};

/// The longest validator that is worth keeping.
const ETAG_BYTES_MAX: usize = 1024;

/// Returns a header's text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// A `Content-Range`: which bytes these are, and of how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContentRange {
    /// The bytes of this answer, or none where the range was refused.
    pub(crate) span: Option<Range<u64>>,
    /// The length of the whole file.
    pub(crate) total: Option<u64>,
}

/// Returns the range that an answer claims to hold.
pub(crate) fn content_range(headers: &HeaderMap) -> Option<ContentRange> {
    let (span, total) = text(headers, CONTENT_RANGE.as_str())?.strip_prefix("bytes ")?.split_once('/')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    if span == "*" {
        return Some(ContentRange { span: None, total });
    }
    let (first, last) = span.split_once('-')?;
    let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
    (first <= last).then(|| ContentRange { span: Some(first..last.saturating_add(1)), total })
}

/// Returns the announced length of the body.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    text(headers, CONTENT_LENGTH.as_str())?.parse().ok()
}

/// Returns the validator, if it is one that `If-Range` may carry.
pub(crate) fn strong_etag(headers: &HeaderMap) -> Option<String> {
    let etag = text(headers, ETAG.as_str())?;
    let strong =
        etag.len() >= 2 && etag.starts_with('"') && etag.ends_with('"') && etag.len() <= ETAG_BYTES_MAX;
    strong.then(|| etag.to_owned())
}

/// Returns how long the server asks to be left alone.
pub(crate) fn asked_pause(headers: &HeaderMap, now: UnixSeconds) -> Option<Duration> {
    let after = text(headers, RETRY_AFTER.as_str()).and_then(|it| retry_after(it, now));
    let limit = text(headers, "ratelimit").and_then(rate_limit_reset);
    after.max(limit)
}

fn retry_after(text: &str, now: UnixSeconds) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(UnixSeconds(date.as_secs()).since(now))
}

/// Reads the seconds of `"resolvers";r=0;t=55`, if nothing remains until then.
fn rate_limit_reset(text: &str) -> Option<Duration> {
    let parameter = |name: &str| {
        let found = text.split([';', ',']).find_map(|it| it.trim().strip_prefix(name)?.strip_prefix('='));
        found.and_then(|it| it.parse::<u64>().ok())
    };
    let spent = parameter("r").is_none_or(|it| it == 0);
    parameter("t").filter(|_| spent).map(Duration::from_secs)
}

/// What one hop of the hub's resolve protocol announces. Each part may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) commit: Option<CommitId>,
    pub(crate) size_bytes: Option<u64>,
    pub(crate) digest: Option<Sha256>,
    pub(crate) xet: bool,
}

/// Reads a hop. A redirect's own length and etag describe the redirect, so only its linked ones count.
pub(crate) fn announcement(headers: &HeaderMap, is_redirect: bool) -> Announcement {
    let own = |it: Option<u64>| it.filter(|_| !is_redirect);
    let linked_size = text(headers, "x-linked-size").and_then(|it| it.parse().ok());
    let own_etag = text(headers, ETAG.as_str()).filter(|_| !is_redirect);
    let etag = text(headers, "x-linked-etag").or(own_etag);
    Announcement {
        commit: text(headers, "x-repo-commit").and_then(|it| CommitId::parse(it).ok()),
        // A length of 0 is what some servers say to HEAD when they do not know.
        size_bytes: linked_size.or(own(content_length(headers).filter(|it| *it > 0))),
        // A small file's etag is a git blob id of 40 digits: it announces nothing that can be compared.
        digest: etag.and_then(|it| Sha256::parse(it.trim_start_matches("W/").trim_matches('"')).ok()),
        xet: headers.contains_key("x-xet-hash"),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(header).collect()
    }

    #[test]
    fn a_content_range_is_read_strictly() {
        let check = |value: &str, expected: Option<(Option<Range<u64>>, Option<u64>)>| {
            let found = content_range(&headers(&[("content-range", value)]));
            assert_eq!(found, expected.map(|(span, total)| ContentRange { span, total }), "{value}");
        };
        check("bytes 0-0/1", Some((Some(0..1), Some(1))));
        check("bytes 5-9/*", Some((Some(5..10), None)));
        check("bytes */77", Some((None, Some(77))));
        check("bytes 9-5/10", None);
        check("bytes a-b/c", None);
        check("lines 0-1/2", None);
        check("bytes 0-1", None);
    }

    #[test]
    fn a_pause_is_read_in_each_form_that_servers_use() {
        let check = |pairs: &[(&str, &str)], seconds: Option<u64>| {
            let now = UnixSeconds(784_111_777 - 40); // 40 s before the date below
            assert_eq!(asked_pause(&headers(pairs), now), seconds.map(Duration::from_secs), "{pairs:?}");
        };
        check(&[], None);
        check(&[("retry-after", "7")], Some(7));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], Some(40));
        check(&[("retry-after", "soon")], None);
        check(&[("ratelimit", "\"resolvers\";r=0;t=55")], Some(55));
        check(&[("ratelimit", "\"resolvers\";r=9;t=55")], None);
        check(&[("ratelimit", "\"resolvers\";r=0;t=55"), ("retry-after", "60")], Some(60));
    }

    #[test]
    fn a_redirect_announces_only_what_it_says_about_its_target() {
        let digest = Sha256::of(b"abc");
        let (etag, other) = (format!("\"{digest}\""), format!("\"{}\"", Sha256::of(b"x")));
        let own = [("content-length", "0"), ("etag", other.as_str())];
        assert_eq!(announcement(&headers(&own), true), Announcement::default());
        let linked = [own[0], own[1], ("x-linked-size", "3"), ("x-linked-etag", etag.as_str())];
        let found = announcement(&headers(&linked), true);
        assert_eq!((found.size_bytes, found.digest), (Some(3), Some(digest)));
        let small = announcement(
            &headers(&[("content-length", "9"), ("etag", &format!("\"{}\"", "a".repeat(40)))]),
            false,
        );
        assert_eq!((small.size_bytes, small.digest), (Some(9), None));
    }

    #[test]
    fn only_a_strong_validator_is_kept() {
        let check = |value: &str, kept: bool| {
            assert_eq!(strong_etag(&headers(&[("etag", value)])).is_some(), kept, "{value}");
        };
        check("\"abc\"", true);
        check("W/\"abc\"", false);
        check("abc", false);
        check("\"", false);
    }
}
