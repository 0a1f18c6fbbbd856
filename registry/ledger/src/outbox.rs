//! Publishing onward: which of our events go to which relay, what became of each, and when to try again.
//!
//! - Durable: what is in the log and by its author is in the outbox, a crash between the two included, because the
//!   outbox reads the log and remembers how far.
//! - Exactly once for each body: the log has each body once, and what a relay has answered for good is not sent again.
//! - No socket: the host asks what is due, sends it, and says what came back.

use std::{sync::Arc, time::Duration};

use base::{Address, UnixSeconds};
use serde::Serialize;
use serde_json::Value;

use crate::{
    event::EventId,
    log::{AppendError, Log},
    store::{OutboxCount, PENDING, StoreError},
};

const TAKEN: u8 = 1;
const REFUSED: u8 = 2;
const LIED: u8 = 3;

/// The first wait after a failure; each next one is twice as long.
const WAIT_MIN: Duration = Duration::from_secs(5);

/// The longest wait.
const WAIT_MAX: Duration = Duration::from_hours(1);

/// How many events of the log are looked at in one step.
const STEP: u64 = 10_000;

/// The longest note that is kept of what a relay said.
const NOTE_CHARS_MAX: usize = 200;

/// The outbox of a log.
#[derive(Clone)]
pub struct Outbox {
    log: Arc<Log>,
}

/// Why the outbox could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The file.
    #[error("use the outbox")]
    Store(#[from] StoreError),
    /// The log is closed.
    #[error("write to the outbox")]
    Append(#[from] AppendError),
}

/// An event to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its place in the log.
    pub seq: u64,
    /// Its id: what the relay's answer is about.
    pub id: EventId,
    /// How many times it was tried.
    pub tries: u32,
    /// The frame to send.
    pub frame: String,
}

/// What became of an event at a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The relay has it.
    Taken,
    /// The relay does not want it, and will not the next time either.
    Refused(String),
    /// Not this time: no connection, no answer in time, or the relay is busy.
    Later(String),
    /// The relay said that it has it, and does not show it.
    Lied(String),
}

/// How a relay stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RelayStatus {
    /// Its address.
    pub relay: String,
    /// How many events are still to be sent.
    pub pending: u64,
    /// How many it has.
    pub taken: u64,
    /// How many it refused.
    pub refused: u64,
    /// How many it said to have, and did not show.
    pub lied: u64,
    /// When the next one is due, if any waits.
    pub next: Option<UnixSeconds>,
    /// Why the last one waits.
    pub waits_for: Option<String>,
    /// Why the last one was refused.
    pub refused_for: Option<String>,
    /// What it showed in place of what it said.
    pub lied_about: Option<String>,
}

/// What a relay says that a publisher has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What became of an event.
    Ok(EventId, Verdict),
    /// It wants to know who publishes: the challenge.
    Auth(String),
    /// Something for people.
    Notice(String),
    /// An event that it shows, by its id.
    Event(EventId),
    /// The end of what it has.
    Eose,
    /// Anything else.
    Other,
}

impl Outbox {
    /// Opens the outbox of a log.
    pub fn new(log: Arc<Log>) -> Self {
        Self { log }
    }

    /// Notes for a relay all events by `author` that came into the log since the last time. Returns how many.
    pub fn catch_up(&self, relay: &str, author: Address) -> Result<u64, OutboxError> {
        let (size, _) = self.log.head();
        let mut noted = 0;
        let mut from = self.log.reading(|store| store.outbox_seen(relay))?;
        while from < size {
            let until = size.min(from + STEP);
            let mut places = Vec::new();
            self.log.range(from, until, |it| {
                if it.author == author {
                    places.push(it.at.seq);
                }
                Ok(())
            })?;
            noted += places.len() as u64;
            let relay = relay.to_owned();
            self.log.write(move |store| store.put_pending(&relay, &places, until))?;
            from = until;
        }
        Ok(noted)
    }

    /// Returns what is due for a relay now, in the log's order: parents before their children.
    pub fn due(&self, relay: &str, now: UnixSeconds, limit: u64) -> Result<Vec<Due>, StoreError> {
        self.log.reading(|store| {
            let mut due = Vec::new();
            for row in store.due(relay, now.0, limit)? {
                let Some(stored) = store.stored(row.seq)? else {
                    let what = "it is for an event that is not there".to_owned();
                    return Err(StoreError::Row { table: "outbox", row: row.seq.to_string(), what });
                };
                let frame = format!("[\"EVENT\",{}]", stored.json);
                due.push(Due { seq: row.seq, id: stored.id, tries: row.tries, frame });
            }
            Ok(due)
        })
    }

    /// Writes what became of an event. A verdict that is final stays; only a lie can still come to light.
    pub fn settle(
        &self,
        relay: &str,
        due: &Due,
        verdict: Verdict,
        now: UnixSeconds,
    ) -> Result<(), OutboxError> {
        let (change, at, note) = match verdict {
            Verdict::Taken => ((PENDING, TAKEN), 0, String::new()),
            Verdict::Refused(why) => ((PENDING, REFUSED), 0, why),
            Verdict::Later(why) => ((PENDING, PENDING), now.after(wait(due.tries)).0, why),
            Verdict::Lied(why) => ((TAKEN, LIED), 0, why),
        };
        let (relay, seq) = (relay.to_owned(), due.seq);
        let note: String = note.chars().take(NOTE_CHARS_MAX).collect();
        self.log.write(move |store| store.settle(&relay, seq, change, at, &note))?;
        Ok(())
    }

    /// Returns how a relay stands.
    pub fn status(&self, relay: &str) -> Result<RelayStatus, StoreError> {
        self.log.reading(|store| {
            let mut counts = store.outbox_counts(relay)?;
            let mut take = |state: u8| counts.remove(&state).unwrap_or_default();
            let OutboxCount { count: pending, note: waits_for } = take(PENDING);
            let OutboxCount { count: refused, note: refused_for } = take(REFUSED);
            let OutboxCount { count: lied, note: lied_about } = take(LIED);
            Ok(RelayStatus {
                relay: relay.to_owned(),
                pending,
                taken: take(TAKEN).count,
                refused,
                lied,
                next: store.next_due(relay)?.map(UnixSeconds),
                waits_for,
                refused_for,
                lied_about,
            })
        })
    }
}

/// Returns how long to wait after so many tries.
pub fn wait(tries: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(tries.min(16));
    WAIT_MIN.saturating_mul(doubled).min(WAIT_MAX)
}

impl Verdict {
    /// Reads the third and fourth element of an OK.
    pub fn of(is_taken: bool, text: &str) -> Self {
        let word = text.split_once(':').map_or("", |it| it.0);
        match (is_taken, word) {
            (true, _) => Self::Taken,
            // Those may change by themselves; what else is said is about the event, which does not change.
            (false, "rate-limited" | "error" | "auth-required" | "") => Self::Later(text.to_owned()),
            (false, _) => Self::Refused(text.to_owned()),
        }
    }
}

impl Answer {
    /// Reads a frame of a relay. What is not understood is [`Answer::Other`], never an error: it is the relay's matter.
    pub fn parse(frame: &str) -> Self {
        let elements: Vec<Value> = serde_json::from_str(frame).unwrap_or_default();
        let text = |at: usize| elements.get(at).and_then(Value::as_str).unwrap_or_default();
        let id = |text: &str| EventId::parse(text).ok();
        let parsed = match text(0) {
            "OK" => id(text(1))
                .zip(elements.get(2).and_then(Value::as_bool))
                .map(|(id, is_taken)| Self::Ok(id, Verdict::of(is_taken, text(3)))),
            "AUTH" => Some(Self::Auth(text(1).to_owned())),
            "NOTICE" => Some(Self::Notice(text(1).chars().take(NOTE_CHARS_MAX).collect())),
            "EVENT" => elements.get(2).and_then(|it| id(it["id"].as_str()?)).map(Self::Event),
            "EOSE" => Some(Self::Eose),
            _ => None,
        };
        parsed.unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests;
