//! The relays that a daemon publishes to, as people and programs are told of them.

use base::UnixSeconds;
use ledger::outbox::RelayStatus;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{again, one_line};

/// How one relay stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Relay {
    url: String,
    /// The worst of it in a word: `lies`, `refuses`, `waits`, or `has all`.
    stands: String,
    /// How many events are still to be sent.
    pending: u64,
    /// How many it has.
    taken: u64,
    /// How many it refused for good.
    refused: u64,
    /// How many it said to have, and did not show.
    lied: u64,
    /// When the next one is due, in seconds.
    next: Option<u64>,
    /// Why the last one waits.
    waits_for: Option<String>,
    /// Why the last one was refused.
    refused_for: Option<String>,
    /// What it did in place of what it said.
    lied_about: Option<String>,
}

impl From<RelayStatus> for Relay {
    fn from(it: RelayStatus) -> Self {
        let words = [(it.lied, "lies"), (it.refused, "refuses"), (it.pending, "waits")];
        let stands = words.iter().find(|(count, _)| *count > 0).map_or("has all", |(_, word)| word);
        Self {
            url: it.relay,
            stands: stands.to_owned(),
            pending: it.pending,
            taken: it.taken,
            refused: it.refused,
            lied: it.lied,
            next: it.next.map(|it| it.0),
            waits_for: it.waits_for,
            refused_for: it.refused_for,
            lied_about: it.lied_about,
        }
    }
}

/// Draws the relays under a head; nothing where there are none.
pub(super) fn table(relays: &[Relay], now: UnixSeconds) -> String {
    columns(["RELAY", "STANDS", "HAS", "WAITING", "WHY"], relays.iter().map(|it| it.cells(now)))
}

/// Draws rows in columns under a head; nothing where there are none. What is counted stands to the right.
pub(super) fn columns(head: [&str; 5], rows: impl Iterator<Item = [String; 5]>) -> String {
    let lines = std::iter::once(head.map(str::to_owned)).chain(rows).collect::<Vec<_>>();
    if lines.len() == 1 {
        return String::new();
    }
    let width = |at: usize| lines.iter().map(|it| it[at].len()).max().unwrap_or(0);
    let widths: [usize; 4] = std::array::from_fn(width);
    let line = |cells: &[String; 5]| {
        let [url, stands, has, waiting, why] = cells;
        let [a, b, c, d] = widths;
        format!("{url:a$}  {stands:b$}  {has:>c$}  {waiting:>d$}  {why}").trim_end().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
}

impl Relay {
    fn cells(&self, now: UnixSeconds) -> [String; 5] {
        let said = |count: u64, did: &str, why: &Option<String>| {
            (count > 0).then(|| match why {
                Some(why) => format!("{did} {count}: {}", one_line(why)),
                None => format!("{did} {count}"),
            })
        };
        let waits = self.waits_for.as_ref().filter(|_| self.pending > 0).map(|it| one_line(it));
        let again = waits.is_some().then(|| self.next.map(|at| again(UnixSeconds(at), now))).flatten();
        let lied = said(self.lied, "lied about", &self.lied_about);
        let refused = said(self.refused, "refused", &self.refused_for);
        let why = [lied, refused, waits, again].into_iter().flatten().collect::<Vec<_>>().join("; ");
        [self.url.clone(), self.stands.clone(), self.taken.to_string(), self.pending.to_string(), why]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(url: &str) -> RelayStatus {
        RelayStatus { relay: url.to_owned(), taken: 12, ..RelayStatus::default() }
    }

    #[test]
    fn each_relay_has_a_line_that_says_the_worst_of_it() {
        let text = |it: &str| Some(it.to_owned());
        let relays = [
            relay("wss://good/"),
            RelayStatus {
                pending: 3,
                next: Some(UnixSeconds(140)),
                waits_for: text("connect:\n  no route"),
                ..relay("wss://away/")
            },
            RelayStatus { refused: 1, refused_for: text("blocked: not here"), ..relay("wss://strict/") },
            RelayStatus {
                lied: 2,
                refused: 1,
                lied_about: text("it does not show it"),
                ..relay("ws://liar/")
            },
            RelayStatus { pending: 1, ..relay("ws://next/") },
        ];
        let relays = relays.map(Relay::from);
        let expected = "\
RELAY          STANDS   HAS  WAITING  WHY
wss://good/    has all   12        0
wss://away/    waits     12        3  connect:; no route; again in 40 s
wss://strict/  refuses   12        0  refused 1: blocked: not here
ws://liar/     lies      12        0  lied about 2: it does not show it; refused 1
ws://next/     waits     12        1
";
        assert_eq!(table(&relays, UnixSeconds(100)), expected);
        assert_eq!(table(&[], UnixSeconds(100)), "");
    }
}
