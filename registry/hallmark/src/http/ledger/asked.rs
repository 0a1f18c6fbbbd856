//! What a query string asks of the log: conditions, which page, and as of when.

use std::{collections::BTreeMap, ops::ControlFlow};

use axum::Json;
use base::UnixSeconds;
use ledger::{EventId, Filter, Kind, PageMark, Query, StoreError, Stored};
use serde::Deserialize as _;
use url::form_urlencoded;
use utoipa::{IntoParams, IntoResponses};

use super::{super::input::event_id, Problem, Reader};

/// How many events a page has unless it is asked for another number.
const LIMIT: u64 = 100;
/// How many events a page may have.
const LIMIT_MAX: u64 = 500;
/// How many events that are not to be seen are passed over for one page.
const HIDDEN_MAX: u64 = 10_000;
/// How many conditions a query string may have.
const CONDITIONS_MAX: usize = 200;

/// A page of the log that somebody asks for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    filter: Filter,
    limit: u64,
    after: Option<PageMark>,
    at: Option<u64>,
}

/// What every page can be asked for, as the contract says it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "this is only told; `Asked` reads it")]
pub(super) struct Pages {
    /// In this subspace.
    sid: Option<String>,
    /// By this address.
    #[param(pattern = "^(0x)?[0-9A-Fa-f]{40}$")]
    author: Option<String>,
    /// As it was when the log had so many events.
    at: Option<u64>,
    /// How many.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<u64>,
    /// The next page: what the one before gave as `next`.
    #[param(pattern = "^[0-9]{1,15}-[0-9a-f]{64}$")]
    cursor: Option<String>,
}

/// Why there is no page, as the contract says it.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "this is only told")]
pub(super) enum NoPage {
    /// A condition that cannot be read.
    #[response(status = 400, content_type = "application/problem+json")]
    Condition(Problem),
    /// This host keeps no log.
    #[response(status = 404, content_type = "application/problem+json")]
    NoLog(Problem),
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) events: Vec<Stored>,
    /// Where to go on, if there may be more.
    pub(super) next: Option<String>,
}

impl Asked {
    /// Reads a query string. `names` are the conditions that this page knows besides `limit`, `cursor` and `at`.
    pub(super) fn parse(query: Option<&str>, names: &[&str]) -> Result<Self, Problem> {
        let mut asked = Self { filter: Filter::default(), limit: LIMIT, after: None, at: None };
        for (count, (name, value)) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()).enumerate()
        {
            let tag = name.strip_prefix("tag.").filter(|it| !it.is_empty());
            let is_known = matches!(&*name, "limit" | "cursor" | "at")
                || names.contains(&&*name)
                || (tag.is_some() && names.contains(&"tag.*"));
            if !is_known || count >= CONDITIONS_MAX {
                return Err(unknown(&name, names));
            }
            let wrong = |what: &str| {
                let value: String = value.chars().take(80).collect();
                Problem::bad_request(format!("{name}={value} cannot be read"), format!("{name} is {what}"))
            };
            // The contract has no larger numbers, and no event is signed that late.
            let number = || value.parse::<u64>().ok().filter(|it| i64::try_from(*it).is_ok());
            asked.filter = match (&*name, tag) {
                ("limit", _) => {
                    let limit = number().filter(|it| (1..=LIMIT_MAX).contains(it));
                    asked.limit = limit.ok_or_else(|| wrong(&format!("a number from 1 to {LIMIT_MAX}")))?;
                    asked.filter
                }
                ("cursor", _) => {
                    let mark = mark(&value).ok_or_else(|| wrong("what the page before gave as `next`"))?;
                    asked.after = Some(mark);
                    asked.filter
                }
                ("at", _) => {
                    asked.at = Some(number().ok_or_else(|| wrong("how many events the log had"))?);
                    asked.filter
                }
                ("kind", _) => {
                    let kind = value.parse().ok().map(Kind);
                    asked.filter.kind(kind.ok_or_else(|| wrong("a number up to 65535"))?)
                }
                ("id", _) => asked.filter.id(event_id(&value)?),
                ("author", _) => {
                    let author = address(&value).ok_or_else(|| wrong("the 40 hex digits of an address"))?;
                    asked.filter.author(author)
                }
                ("since", _) => {
                    let since = number().ok_or_else(|| wrong("a time in seconds"))?;
                    Filter { since: Some(UnixSeconds(since)), ..asked.filter }
                }
                ("until", _) => {
                    let until = number().ok_or_else(|| wrong("a time in seconds"))?;
                    Filter { until: Some(UnixSeconds(until)), ..asked.filter }
                }
                (_, Some(tag)) => asked.filter.tag(tag, &value),
                (name, None) => asked.filter.tag(name, &value),
            };
        }
        Ok(asked)
    }

    /// Adds a kind.
    pub(super) fn kind(self, kind: Kind) -> Self {
        Self { filter: self.filter.kind(kind), ..self }
    }

    /// Reads the page, and has `write` make the answer of what may be seen of it.
    pub(super) async fn page<T: Send + 'static>(
        self,
        reader: Reader,
        write: impl FnOnce(&Reader, Found) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Json<T>, Problem> {
        let reader = reader.at(self.at);
        reader.read(move |reader| write(reader, self.find(reader)?)).await.map(Json)
    }

    fn find(&self, reader: &Reader) -> Result<Found, StoreError> {
        let (mut events, mut next, mut hidden, mut last) = (Vec::new(), None, 0, None);
        let query = Query { after: self.after, ..reader.query(self.filter.clone()) };
        reader.ledger().log().each(&query, |stored| {
            if events.len() as u64 == self.limit || hidden == HIDDEN_MAX {
                next = last;
                return ControlFlow::Break(());
            }
            last = Some(PageMark { created_at: stored.created_at.0, id: stored.id });
            if reader.sees(stored.kind) {
                events.push(stored);
            } else {
                hidden += 1;
            }
            ControlFlow::Continue(())
        })?;
        Ok(Found { events, next: next.map(|it| format!("{}-{}", it.created_at, it.id)) })
    }
}

fn unknown(name: &str, names: &[&str]) -> Problem {
    let name: String = name.chars().take(80).collect();
    Problem::bad_request(
        format!("this page cannot be asked for `{name}`, or for so much at once"),
        format!("it knows limit, cursor, at, {}", names.join(", ")),
    )
}

fn mark(text: &str) -> Option<PageMark> {
    let (created_at, id) = text.split_once('-')?;
    Some(PageMark { created_at: created_at.parse().ok()?, id: EventId::parse(id).ok()? })
}

/// Reads an address as a filter does.
fn address(text: &str) -> Option<base::Address> {
    let list = serde_json::json!({ "authors": [text] });
    let filter = Filter::deserialize(list).ok()?;
    filter.authors?.into_iter().next()
}

/// Reads a query string of numbers.
pub(super) fn numbers(query: Option<&str>, names: &[&str]) -> Result<BTreeMap<String, u64>, Problem> {
    let mut numbers = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        // SQLite's numbers end there.
        let number = value.parse::<u64>().ok().filter(|it| i64::try_from(*it).is_ok());
        let (Some(number), true) = (number, names.contains(&&*name)) else {
            let name: String = name.chars().take(80).collect();
            return Err(Problem::bad_request(
                format!("`{name}` cannot be read"),
                format!("this page knows {}; each is a number", names.join(", ")),
            ));
        };
        numbers.insert(name.into_owned(), number);
    }
    Ok(numbers)
}
