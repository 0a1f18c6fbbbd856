//! Whether to send an object at all, and which part of it: conditional requests (RFC 9110, section 13.2.2). Pure.

use axum::http::{HeaderMap, HeaderName, Method, header};
use base::UnixSeconds;

use super::range::{Part, part};

/// What is compared: the tag with its quotes, and when the object came here.
pub(super) struct Validators<'v> {
    pub(super) etag: &'v str,
    pub(super) since: UnixSeconds,
}

/// What the conditions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Send(Part),
    /// The client has it already.
    NotModified,
    /// The client wants something else than what is here.
    Failed,
}

/// Weighs the conditions of a GET or HEAD, in the order that the RFC gives.
pub(super) fn judge(method: &Method, headers: &HeaderMap, now: &Validators<'_>, size_bytes: u64) -> Verdict {
    if headers.contains_key(header::IF_MATCH) {
        if !any_tag(headers, &header::IF_MATCH, now.etag, Compare::Strong) {
            return Verdict::Failed;
        }
    } else if date(headers, &header::IF_UNMODIFIED_SINCE).is_some_and(|it| now.since > it) {
        return Verdict::Failed;
    }
    if headers.contains_key(header::IF_NONE_MATCH) {
        if any_tag(headers, &header::IF_NONE_MATCH, now.etag, Compare::Weak) {
            return Verdict::NotModified;
        }
    } else if date(headers, &header::IF_MODIFIED_SINCE).is_some_and(|it| now.since <= it) {
        return Verdict::NotModified;
    }
    // Only a GET can ask for a part.
    let Some(range) = text(headers, &header::RANGE).filter(|_| method == Method::GET) else {
        return Verdict::Send(Part::Whole);
    };
    let is_still_the_same = text(headers, &header::IF_RANGE).is_none_or(|it| {
        it == now.etag || httpdate::parse_http_date(it).is_ok_and(|it| seconds(it) == Some(now.since))
    });
    Verdict::Send(if is_still_the_same { part(range, size_bytes) } else { Part::Whole })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compare {
    Strong,
    Weak,
}

/// Looks for a tag in a list. Our tags hold no comma, so a list can be split at each.
fn any_tag(headers: &HeaderMap, name: &HeaderName, etag: &str, compare: Compare) -> bool {
    let lists = headers.get_all(name).iter().filter_map(|it| it.to_str().ok());
    lists.flat_map(|it| it.split(',')).map(str::trim).any(|it| {
        let given = if compare == Compare::Weak { it.strip_prefix("W/").unwrap_or(it) } else { it };
        it == "*" || given == etag
    })
}

/// Reads a date; one that is none does not count.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<UnixSeconds> {
    seconds(httpdate::parse_http_date(text(headers, name)?).ok()?)
}

fn seconds(time: std::time::SystemTime) -> Option<UnixSeconds> {
    time.duration_since(std::time::UNIX_EPOCH).ok().map(|it| UnixSeconds(it.as_secs()))
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::{super::range::Span, *};

    const WHOLE: Verdict = Verdict::Send(Part::Whole);
    const PART: Verdict = Verdict::Send(Part::Of(Span { start: 1, end: 3 }));
    /// The object came at this moment; one second before and after it.
    const NOW: &str = "Sat, 21 Nov 2026 07:00:00 GMT";
    const BEFORE: &str = "Sat, 21 Nov 2026 06:59:59 GMT";
    const AFTER: &str = "Sat, 21 Nov 2026 07:00:01 GMT";

    fn check_method(method: &Method, given: &[(HeaderName, &str)], expected: Verdict) {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(name, value.parse().unwrap());
        }
        let since = seconds(httpdate::parse_http_date(NOW).unwrap()).unwrap();
        let validators = Validators { etag: "\"abc\"", since };
        assert_eq!(judge(method, &headers, &validators, 10), expected, "{method} {given:?}");
    }

    fn check(given: &[(HeaderName, &str)], expected: Verdict) {
        check_method(&Method::GET, given, expected);
    }

    #[test]
    fn each_condition_alone() {
        use header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
        check(&[], WHOLE);
        for (tags, is_same) in
            [("\"abc\"", true), ("*", true), ("\"x\", \"abc\"", true), ("\"x\"", false), ("abc", false)]
        {
            check(&[(IF_MATCH, tags)], if is_same { WHOLE } else { Verdict::Failed });
            check(&[(IF_NONE_MATCH, tags)], if is_same { Verdict::NotModified } else { WHOLE });
        }
        check(&[(IF_MATCH, "W/\"abc\"")], Verdict::Failed);
        check(&[(IF_NONE_MATCH, "W/\"abc\"")], Verdict::NotModified);
        check(&[(IF_NONE_MATCH, "\"x\""), (IF_NONE_MATCH, "\"abc\"")], Verdict::NotModified);
        for (date, unmodified, modified) in [
            (BEFORE, Verdict::Failed, WHOLE),
            (NOW, WHOLE, Verdict::NotModified),
            (AFTER, WHOLE, Verdict::NotModified),
            ("yesterday", WHOLE, WHOLE),
        ] {
            check(&[(IF_UNMODIFIED_SINCE, date)], unmodified);
            check(&[(IF_MODIFIED_SINCE, date)], modified);
        }
    }

    #[test]
    fn tags_go_before_dates_and_preconditions_before_the_range() {
        use header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, RANGE};
        check(&[(IF_MATCH, "\"abc\""), (IF_UNMODIFIED_SINCE, BEFORE)], WHOLE);
        check(&[(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, AFTER)], WHOLE);
        check(&[(IF_MATCH, "\"x\""), (IF_NONE_MATCH, "\"abc\"")], Verdict::Failed);
        check(&[(IF_NONE_MATCH, "\"abc\""), (RANGE, "bytes=1-2")], Verdict::NotModified);
        check(&[(IF_MATCH, "\"x\""), (RANGE, "bytes=99-")], Verdict::Failed);
    }

    #[test]
    fn a_range_holds_only_for_what_the_client_began_with() {
        use header::{IF_RANGE, RANGE};
        check(&[(RANGE, "bytes=1-2")], PART);
        check_method(&Method::HEAD, &[(RANGE, "bytes=1-2")], WHOLE);
        for (tag, expected) in [
            ("\"abc\"", PART),
            ("W/\"abc\"", WHOLE),
            ("\"x\"", WHOLE),
            (NOW, PART),
            (AFTER, WHOLE),
            (BEFORE, WHOLE),
            ("?", WHOLE),
        ] {
            check(&[(RANGE, "bytes=1-2"), (IF_RANGE, tag)], expected);
        }
        check(&[(RANGE, "bytes=99-"), (IF_RANGE, "\"x\"")], WHOLE);
        check(&[(RANGE, "bytes=99-")], Verdict::Send(Part::Nothing));
    }
}
