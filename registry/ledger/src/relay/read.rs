//! Stored events for a subscription: several filters, one answer, each event once.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use base::Address;

use super::Relay;
use crate::{
    filter::Filter,
    log::{Log, Query, is_direct},
    store::{Brief, Found as _, StoreError},
};

/// The most events that COUNT looks at. Beyond that it says that there are at least so many.
const COUNTED_MAX: u64 = 100_000;

/// The most events of an answer that is found at once.
const AT_ONCE_MAX: u64 = 100;

/// Says whether an answer is found at once: few events, and nothing else is looked at.
pub fn is_found_at_once(relay: &Relay, filters: &[Filter]) -> bool {
    let [filter] = filters else { return false };
    relay.private_kinds.is_empty() && limit(relay, filter) <= AT_ONCE_MAX && is_direct(filter)
}

/// Gives `each` the stored events that filters ask for and that `proved` may read, among the first `size` of the log:
/// the newest first, each once.
pub fn stored(
    log: &Log,
    relay: &Relay,
    filters: &[Filter],
    size: u64,
    proved: &BTreeSet<Address>,
    mut each: impl FnMut(&Brief) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    // One filter, as almost always, is answered while it is read.
    if let [filter] = filters {
        return one(log, relay, filter, size, proved, |it| each(&it));
    }
    let mut found = BTreeMap::new();
    for filter in filters {
        one(log, relay, filter, size, proved, |it| {
            found.insert((std::cmp::Reverse(it.created_at), it.id), it);
            ControlFlow::Continue(())
        })?;
    }
    for brief in found.values() {
        if each(brief).is_break() {
            break;
        }
    }
    Ok(())
}

fn one(
    log: &Log,
    relay: &Relay,
    filter: &Filter,
    size: u64,
    proved: &BTreeSet<Address>,
    mut each: impl FnMut(Brief) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    // What may not be read does not count: the limit is on what is sent.
    let query = Query { filter: Filter { limit: None, ..filter.clone() }, size: Some(size), after: None };
    let (mut left, mut failure) = (limit(relay, filter), None);
    if left == 0 {
        return Ok(());
    }
    log.each_brief(&query, |brief| {
        match may_read(relay, &brief, proved) {
            Ok(true) => left -= 1,
            Ok(false) => return ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                return ControlFlow::Break(());
            }
        }
        each(brief)?;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    failure.map_or(Ok(()), Err)
}

fn limit(relay: &Relay, filter: &Filter) -> u64 {
    filter.limit.unwrap_or(relay.limit_default).min(relay.limit_max)
}

fn may_read(relay: &Relay, brief: &Brief, proved: &BTreeSet<Address>) -> Result<bool, StoreError> {
    // What is open to all is sent without a look at its JSON.
    if !relay.is_closed(brief.kind) {
        return Ok(true);
    }
    Ok(relay.may_read(brief.author, brief.glance().claimed()?.tags(), proved))
}

/// Counts the stored events that filters ask for and that `proved` may read, and says whether that is all of them.
pub fn count(
    log: &Log,
    relay: &Relay,
    filters: &[Filter],
    proved: &BTreeSet<Address>,
) -> Result<(u64, bool), StoreError> {
    let counting = Relay { limit_max: COUNTED_MAX, limit_default: COUNTED_MAX, ..relay.clone() };
    let (size, _) = log.head();
    let mut seen = BTreeSet::new();
    for filter in filters {
        // A limit bounds what is sent, and nothing is sent.
        let filter = Filter { limit: None, ..filter.clone() };
        one(log, &counting, &filter, size, proved, |it| {
            seen.insert(it.seq);
            if seen.len() as u64 > COUNTED_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
    }
    let count = seen.len() as u64;
    Ok((count.min(COUNTED_MAX), count < COUNTED_MAX))
}
