//! The relays that a daemon follows, as people and programs are told of them.

use base::UnixSeconds;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{again, one_line, relays::columns};
use crate::ledger::{Following, Stands};

/// How one relay stands that is followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Follow {
    url: String,
    /// `connects`, `catches up`, `follows` or `waits`.
    stands: String,
    /// Until when all is here that came to it, in seconds; null if it was never heard to the end.
    heard_until: Option<u64>,
    /// For how many seconds nothing was heard that may have come; 0 while it is followed.
    behind_seconds: Option<u64>,
    /// How many of its events were taken in since the daemon started.
    taken: u64,
    /// How many were not let in.
    refused: u64,
    /// When the last one was taken in, in seconds.
    last_event: Option<u64>,
    /// When it is tried again, in seconds.
    next: Option<u64>,
    /// Why it could not be followed.
    why: Option<String>,
}

impl Follow {
    /// Tells how a relay stands now.
    pub(crate) fn of(it: Following, now: UnixSeconds) -> Self {
        let stands = match it.stands {
            Stands::Connects => "connects",
            Stands::CatchesUp => "catches up",
            Stands::Follows => "follows",
            Stands::Waits => "waits",
        };
        Self {
            stands: stands.to_owned(),
            behind_seconds: it.behind(now),
            url: it.relay,
            heard_until: it.heard_until.map(|it| it.0),
            taken: it.taken,
            refused: it.refused,
            last_event: it.last.map(|it| it.0),
            next: it.next.map(|it| it.0),
            why: it.why,
        }
    }

    fn cells(&self, now: UnixSeconds) -> [String; 5] {
        let behind = match self.behind_seconds {
            None => "?".to_owned(),
            Some(0) => "-".to_owned(),
            Some(seconds) => format!("{seconds} s"),
        };
        let again = self.next.map(|at| again(UnixSeconds(at), now));
        let refused = (self.refused > 0).then(|| format!("{} not let in", self.refused));
        let why = [self.why.as_deref().map(one_line), again, refused];
        let why = why.into_iter().flatten().collect::<Vec<_>>().join("; ");
        [self.url.clone(), self.stands.clone(), self.taken.to_string(), behind, why]
    }
}

/// Draws the followed relays under a head; nothing where there are none.
pub(super) fn table(follows: &[Follow], now: UnixSeconds) -> String {
    columns(["FOLLOWED", "STANDS", "TAKEN", "BEHIND", "WHY"], follows.iter().map(|it| it.cells(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_followed_relay_has_a_line() {
        let one = |stands, heard_until: Option<u64>| Following {
            relay: "wss://one/".to_owned(),
            stands,
            heard_until: heard_until.map(UnixSeconds),
            taken: 12,
            ..Following::default()
        };
        let away = Following {
            next: Some(UnixSeconds(140)),
            why: Some("connect:\n  no route".to_owned()),
            refused: 2,
            ..one(Stands::Waits, Some(40))
        };
        let all = [one(Stands::Follows, Some(90)), away, one(Stands::Connects, None)];
        let follows = all.map(|it| Follow::of(it, UnixSeconds(100)));
        let expected = "\
FOLLOWED    STANDS    TAKEN  BEHIND  WHY
wss://one/  follows      12       -
wss://one/  waits        12    60 s  connect:; no route; again in 40 s; 2 not let in
wss://one/  connects     12       ?
";
        assert_eq!(table(&follows, UnixSeconds(100)), expected);
        assert_eq!(table(&[], UnixSeconds(100)), "");
    }
}
