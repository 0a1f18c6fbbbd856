//! What real hubs do wrong, and what becomes of a download then.

mod answers;
mod bodies;
mod patience;
mod promise;

use std::{
    fs::File,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base::{CommitId, Sha256, UnixSeconds};
use bytes::Bytes;
use vault::{
    FetchError, ObtainError, Partials, Shelf, SourceError, TokenFile, Verdict,
    gc::{Inventory, Keep, Limits, plan, sweep},
};

use crate::support::{
    hub::{Access, Fault, FixtureHub, Rule, Side, Way, noise},
    pull::{Alarm, Host, PATH, REPOSITORY, SmallRoom, want, want_from, web_want},
};

/// Long enough for eight parts and a bit.
const LENGTH: usize = (2 << 20) + 12_345;
/// Short enough to come in one piece.
const SHORT: usize = 300_000;

async fn hub_with(length: usize) -> (FixtureHub, Bytes) {
    let (hub, bytes) = (FixtureHub::start().await, noise(7, length));
    hub.put(REPOSITORY, PATH, &bytes);
    (hub, bytes)
}

/// Plays faults while a file is fetched, and expects it to be whole and right all the same.
async fn survives(length: usize, rules: impl IntoIterator<Item = Rule>) -> (FixtureHub, Host) {
    let (hub, bytes) = hub_with(length).await;
    rules.into_iter().for_each(|it| hub.play(it));
    let host = Host::of(&hub);
    let verified = host.fetch(&want(&hub, &bytes)).await.unwrap().verify(&want(&hub, &bytes)).unwrap();
    assert_eq!(std::fs::read(verified.path()).unwrap(), bytes);
    (hub, host)
}

/// Plays a fault while a file is fetched, and expects that the source gives up.
async fn fails(length: usize, rules: impl IntoIterator<Item = Rule>) -> (FixtureHub, Host, SourceError) {
    let (hub, bytes) = hub_with(length).await;
    rules.into_iter().for_each(|it| hub.play(it));
    let host = Host::of(&hub);
    let error = host.failure(&want(&hub, &bytes)).await;
    (hub, host, error)
}

fn start_of(range: &str) -> u64 {
    range
        .strip_prefix("bytes=")
        .and_then(|it| it.split('-').next())
        .and_then(|it| it.parse().ok())
        .unwrap_or(0)
}
