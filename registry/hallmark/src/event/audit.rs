//! `hallmark event audit`: a walk along one subspace, from its newest event back to its first, against a daemon that
//! is not trusted.
//!
//! - The walk needs the log's public key, and believes nothing else: each leaf names the one before it, each event is
//!   its author's, and the newest leaf is in a tree whose root the log has signed.
//! - With an older checkpoint it also shows that the log has only grown since.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use clap::Args;
use ledger::{
    Checkpoint, EventId, Leaf, Leniency, Limits, ProofBundle, Sid,
    log::verify_batch,
    tree::{check_chain, check_consistency},
};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use url::form_urlencoded;

use super::Whom;
use crate::{Outcome, host::with_causes, out, remote::Remote};

/// How many leaves one answer of the daemon has.
const PAGE: u64 = 500;
/// How many events are asked for at once.
const EVENTS: usize = 100;
/// The longest chain that is walked: all of it is kept until its beginning is known.
const LEAVES_MAX: usize = 1_000_000;
/// What a log let in with its operator's leave is signed all the same.
const LENIENT: Leniency = Leniency { accept_id_text: true, accept_eip2098: true };

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The subspace
    #[arg(value_parser = |text: &str| Sid::parse(text))]
    sid: Sid,
    /// The log's public key, or a file that holds it; `hallmark key show` prints it
    #[arg(long, value_name = "KEY")]
    log_key: String,
    /// An older checkpoint of the log, as /checkpoint gives it: the log must have grown from there
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,
    /// A JSON object in place of words
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whom: Whom,
}

#[derive(Deserialize)]
struct Links {
    leaves: Vec<String>,
    next: Option<u64>,
}

#[derive(Deserialize)]
struct Page {
    events: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    event: Box<RawValue>,
}

#[derive(Deserialize)]
struct Consistency {
    proof: Vec<base::Sha256>,
}

/// What was seen on a walk on which everything held.
#[derive(Debug, Serialize)]
struct Walked {
    /// How many events the subspace has.
    events: usize,
    /// Those whose kinds are closed to us: their leaves hold, what they say was not looked at.
    closed: usize,
    /// Those behind the newest one that could be proved: that they are in the tree is only said.
    unproved: usize,
    first: EventId,
    first_kind: u16,
    first_by: String,
    newest: EventId,
    /// The log, and how many events the tree has that the newest leaf is in.
    log: String,
    size: u64,
    /// From how many events on the log was seen to have only grown.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<u64>,
}

/// What does not hold. Everything else that goes wrong says nothing about the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Broken(String);

fn broken(why: impl Into<String>) -> anyhow::Error {
    Broken(why.into()).into()
}

/// Takes an error of a check as what does not hold.
fn check<T, E: std::error::Error>(checked: Result<T, E>) -> anyhow::Result<T> {
    checked.map_err(|error| broken(with_causes(&error)))
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let key = super::verify::log_key(&arguments.log_key)?;
    let since = arguments.since.as_deref().map(super::read).transpose()?;
    let daemon = arguments.whom.remote()?;
    let sid = arguments.sid.as_str();
    let (outcome, told, text) = match walk(&daemon, sid, &key, since.as_deref()) {
        Ok(walked) => {
            (Outcome::Holds, json!({ "sid": sid, "holds": true, "walked": walked }), walked.told(sid))
        }
        Err(error) => {
            let Broken(why) = error.downcast::<Broken>()?;
            let text = format!("the subspace {sid} does not hold: {why}\n");
            (Outcome::DoesNotHold, json!({ "sid": sid, "holds": false, "why": why }), text)
        }
    };
    out::print(&if arguments.json { told.to_string() + "\n" } else { text })?;
    Ok(outcome)
}

/// Walks back to the first event.
fn walk(daemon: &Remote, sid: &str, key: &str, since: Option<&str>) -> anyhow::Result<Walked> {
    let leaves = leaves(daemon, sid)?;
    let first = leaves.last().with_context(|| format!("the daemon shows no event of the subspace {sid}"))?;
    if check(check_chain(&leaves))?.is_some() {
        return Err(broken("the walk ends before the subspace's first event"));
    }
    if first.sid.as_ref().map(Sid::as_str) != Some(sid) {
        return Err(broken("the leaves are of another subspace"));
    }
    let closed = closed(daemon, &leaves)?;
    let open = leaves.iter().position(|it| !closed.contains(&it.id));
    let unproved =
        open.context("all of it is closed to us: ask as the operator, over the daemon's socket")?;
    let newest = &leaves[unproved];
    let checkpoint = rooted(daemon, newest, key)?;
    let since = since.map(|it| grown(daemon, it, &checkpoint, key)).transpose()?;
    Ok(Walked {
        events: leaves.len(),
        closed: closed.len(),
        unproved,
        first: first.id,
        first_kind: first.kind.0,
        first_by: first.author.to_string(),
        newest: newest.id,
        log: checkpoint.origin,
        size: checkpoint.size,
        since,
    })
}

/// Asks for all leaves of a subspace, the newest first.
fn leaves(daemon: &Remote, sid: &str) -> anyhow::Result<Vec<Leaf>> {
    let name = form_urlencoded::byte_serialize(sid.as_bytes()).collect::<String>().replace('+', "%20");
    let (mut leaves, mut next) = (Vec::new(), None::<u64>);
    loop {
        let at = next.map(|it| format!("&at={it}")).unwrap_or_default();
        let path = format!("/v1/subspaces/{name}/chain?limit={PAGE}{at}");
        let page: Links = daemon.converse(daemon.get(&path))?;
        for text in &page.leaves {
            let leaf = Leaf::parse(text.as_bytes());
            leaves.push(leaf.ok_or_else(|| broken(format!("a leaf is not in its one form: {text}")))?);
        }
        if leaves.len() > LEAVES_MAX {
            bail!("the subspace has more than {LEAVES_MAX} events: ask the daemon's operator for the file");
        }
        next = page.next.filter(|_| !page.leaves.is_empty());
        if next.is_none() {
            return Ok(leaves);
        }
    }
}

/// Holds each event against its signature and its leaf. Returns those that are closed to us.
fn closed(daemon: &Remote, leaves: &[Leaf]) -> anyhow::Result<BTreeSet<EventId>> {
    let mut closed = BTreeSet::new();
    for part in leaves.chunks(EVENTS) {
        let mut of = part.iter().map(|it| (it.id, it)).collect::<BTreeMap<_, _>>();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &PAGE.to_string());
        query.extend_pairs(part.iter().map(|it| ("id", it.id.to_string())));
        let page: Page = daemon.converse(daemon.get(&format!("/v1/events?{}", query.finish())))?;
        let texts = page.events.iter().map(|it| it.event.get()).collect::<Vec<_>>();
        for checked in verify_batch(&texts, &Limits::default(), LENIENT) {
            let prepared = check(checked)?;
            let event = prepared.event();
            let leaf = of.remove(&event.id());
            if leaf.is_none_or(|it| Leaf::of(event, it.at.clone()) != *it) {
                return Err(broken(format!("event {} is not the one that its leaf is of", event.id())));
            }
        }
        closed.extend(of.into_keys());
    }
    Ok(closed)
}

/// Checks that the newest leaf is in a tree whose root the log has signed.
fn rooted(daemon: &Remote, newest: &Leaf, key: &str) -> anyhow::Result<Checkpoint> {
    let bundle: Box<RawValue> = daemon.converse(daemon.get(&format!("/v1/events/{}/proof", newest.id)))?;
    let proved = check(ProofBundle::parse(bundle.get()).and_then(|it| it.verify(key, LENIENT)))?;
    if proved.leaf != *newest {
        return Err(broken("the log proves another leaf for the newest event"));
    }
    Ok(proved.checkpoint)
}

/// Checks that the log has only grown since an older checkpoint. Returns how many events it had then.
fn grown(daemon: &Remote, since: &str, now: &Checkpoint, key: &str) -> anyhow::Result<u64> {
    let old = Checkpoint::verify(since, key).context("read the older checkpoint")?;
    if old.size > now.size {
        return Err(broken(format!("the log had {} events, and has {} now", old.size, now.size)));
    }
    let proof = if old.size == 0 {
        Vec::new()
    } else {
        let path = format!("/v1/log/consistency?old={}&size={}", old.size, now.size);
        daemon.converse(daemon.get::<Consistency>(&path))?.proof
    };
    check(check_consistency(&proof, &old, now))?;
    Ok(old.size)
}

impl Walked {
    fn told(&self, sid: &str) -> String {
        let count = |it: usize| out::counted(it as u64, "event");
        let Self { events, first, first_kind, first_by, newest, log, size, .. } = self;
        let mut text = format!(
            "the subspace {sid} holds: {}, each linked to the one before it\n\
             from {newest} back to {first} (kind {first_kind}, by {first_by})\n\
             in the tree of {size} events that the log {log} has signed\n",
            count(*events),
        );
        // Into a text this cannot fail.
        if let Some(since) = self.since {
            let _ = writeln!(text, "the log has only grown since it had {}", out::counted(since, "event"));
        }
        if self.closed > 0 {
            let _ = writeln!(
                text,
                "{} of closed kinds: their leaves hold, the rest was not shown",
                count(self.closed)
            );
        }
        if self.unproved > 0 {
            let _ =
                writeln!(text, "the newest {} cannot be proved: ask as the operator", count(self.unproved));
        }
        text
    }
}
