//! `hallmark event query` and `prove`: what the daemon's log has.

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::form_urlencoded::Serializer;

use super::Whom;
use crate::{Outcome, out};

/// How many events one page may have.
const PAGE_MAX: u64 = 500;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Of this kind; may be given several times
    #[arg(long, value_name = "KIND")]
    kind: Vec<u16>,
    /// By this address; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    author: Vec<String>,
    /// With this id; may be given several times
    #[arg(long, value_name = "ID")]
    id: Vec<String>,
    /// In this subspace
    #[arg(long, value_name = "SID")]
    sid: Vec<String>,
    /// With a tag of this name and first value; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    tag: Vec<(String, String)>,
    /// Signed not before this second
    #[arg(long, value_name = "SECONDS")]
    since: Option<u64>,
    /// Signed not after this second
    #[arg(long, value_name = "SECONDS")]
    until: Option<u64>,
    /// The newest so many
    #[arg(long, default_value_t = 100)]
    limit: u64,
    #[command(flatten)]
    whom: Whom,
}

#[derive(Debug, Args)]
pub(crate) struct ProveArguments {
    /// The event's id
    id: ledger::EventId,
    #[command(flatten)]
    whom: Whom,
}

#[derive(Debug, Deserialize)]
struct Page {
    events: Vec<Item>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Item {
    event: Box<RawValue>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a tag is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let daemon = arguments.whom.remote()?;
    let (mut left, mut cursor, mut is_first) = (arguments.limit, None, true);
    while left > 0 {
        let path = format!("/v1/events?{}", arguments.page(left.min(PAGE_MAX), cursor.as_deref()));
        let page: Page = daemon.converse(daemon.get(&path))?;
        for item in &page.events {
            out::print(&format!("{}{}", if is_first { "[\n" } else { ",\n" }, item.event.get()))?;
            is_first = false;
        }
        left = left.saturating_sub(page.events.len() as u64);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    out::print(if is_first { "[]\n" } else { "\n]\n" })?;
    Ok(Outcome::Holds)
}

impl Arguments {
    fn page(&self, limit: u64, cursor: Option<&str>) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("limit", &limit.to_string());
        query.extend_pairs(self.kind.iter().map(|it| ("kind", it.to_string())));
        query.extend_pairs(self.author.iter().map(|it| ("author", it)));
        query.extend_pairs(self.id.iter().map(|it| ("id", it)));
        query.extend_pairs(self.sid.iter().map(|it| ("sid", it)));
        query.extend_pairs(self.tag.iter().map(|(name, value)| (format!("tag.{name}"), value)));
        query.extend_pairs(self.since.iter().map(|it| ("since", it.to_string())));
        query.extend_pairs(self.until.iter().map(|it| ("until", it.to_string())));
        query.extend_pairs(cursor.iter().map(|it| ("cursor", it)));
        query.finish()
    }
}

pub(super) fn prove(arguments: &ProveArguments) -> anyhow::Result<Outcome> {
    let daemon = arguments.whom.remote()?;
    let path = format!("/v1/events/{}/proof", arguments.id);
    let bundle: Box<RawValue> = daemon.converse(daemon.get(&path))?;
    out::print(&format!("{bundle}\n"))?;
    Ok(Outcome::Holds)
}
