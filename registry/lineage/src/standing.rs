//! What stands of a card: which UPDATE is its value, and who else found the same.
//!
//! Only those whom the card lists, and its author, may change its value. A right UPDATE of anybody else attests it.
//! However the UPDATEs come, the same stands in the end.

use std::collections::BTreeSet;

use crate::{
    flaw::{Code, Flaw},
    item::Item,
};

/// How many attestations of a card are kept by name: the newest.
const ATTESTATIONS_MAX: usize = 100;

/// An UPDATE whose event was found valid and whose core is right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written {
    /// The sequence that it evaluates at.
    pub seq: u64,
    /// The id of its event.
    pub event: String,
    /// Who signed it.
    pub author: String,
}

/// What is known of a card: which UPDATE is its value, and what others found.
#[derive(Clone, Debug)]
pub struct Standing {
    card_author: String,
    updaters: Vec<String>,
    current: Option<Written>,
    attestations: BTreeSet<Written>,
    attestation_count: u64,
}

impl Standing {
    /// Begins with a card that nobody has evaluated yet.
    pub fn of(item: &Item, card_author: &str) -> Self {
        Self {
            card_author: card_author.to_owned(),
            updaters: item.output.updaters.clone().unwrap_or_default(),
            current: None,
            attestations: BTreeSet::new(),
            attestation_count: 0,
        }
    }

    /// Takes an UPDATE; each once. The order in which they come changes nothing.
    pub fn take(&mut self, written: Written) {
        if !writes(&self.updaters, &self.card_author, &written.author) {
            self.attestation_count += 1;
            self.attestations.insert(written);
            if self.attestations.len() > ATTESTATIONS_MAX {
                self.attestations.pop_first();
            }
        } else if self.current.as_ref().is_none_or(|current| *current < written) {
            // Two at one sequence say the same, so it does not matter which stays; it has to be one for all.
            self.current = Some(written);
        }
    }

    /// Returns the UPDATE that counts: of those by someone who may write, the one at the highest sequence.
    pub fn current(&self) -> Option<&Written> {
        self.current.as_ref()
    }

    /// Lists right UPDATEs by others, which change nothing: those at the highest sequences first.
    pub fn attestations(&self) -> impl Iterator<Item = &Written> {
        self.attestations.iter().rev()
    }

    /// Returns how many of those there are, also if not all are kept.
    pub fn attestation_count(&self) -> u64 {
        self.attestation_count
    }
}

/// Says whether two texts name one author: the same text, or one address in two spellings.
pub fn is_same_author(left: &str, right: &str) -> bool {
    let address = |it: &str| {
        let digits = it.strip_prefix("0x").unwrap_or(it);
        let is_address = digits.len() == 40 && digits.bytes().all(|it| it.is_ascii_hexdigit());
        is_address.then(|| digits.to_ascii_lowercase())
    };
    left == right || address(left).is_some_and(|it| address(right) == Some(it))
}

/// Says whether somebody may change the value of a card.
pub fn may_write(item: &Item, item_author: &str, author: &str) -> Result<(), Flaw> {
    if writes(item.output.updaters.as_deref().unwrap_or_default(), item_author, author) {
        return Ok(());
    }
    let text = format!("{author} is neither the card's author nor in o.wl; its UPDATE is an attestation");
    Err(Flaw::new(Code::EUpdater, "", text))
}

fn writes(updaters: &[String], card_author: &str, author: &str) -> bool {
    updaters.iter().any(|it| is_same_author(it, author)) || is_same_author(author, card_author)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn card(output: &str) -> Item {
        let text = format!(
            r#"{{"v":"1","s":"e","o":{{"ut":"U"{output}}},"ctl":{{"maxN":9,"gas":9}},"j":{{"jid":"J","m":"OP_AI_EVAL","mod":"m:1","limit":9,"spec":[{{"n":"a","sel":"txid","agg":"count","t":"num"}}]}}}}"#
        );
        Item::admit(&text).unwrap()
    }

    fn written(seq: u64, event: &str, author: &str) -> Written {
        Written { seq, event: event.to_owned(), author: author.to_owned() }
    }

    fn standing(item: &Item, all: &[Written]) -> Standing {
        let mut standing = Standing::of(item, "0xa");
        for it in all {
            standing.take(it.clone());
        }
        standing
    }

    #[test]
    fn the_highest_sequence_by_someone_who_may_write_counts() {
        let all = [
            written(5, "e1", "0xa"),
            written(9, "e2", "0xz"),
            written(7, "e3", "0xa"),
            written(7, "e0", "0xa"),
        ];
        let closed = standing(&card(""), &all);
        assert_eq!(closed.current().unwrap().event, "e3");
        assert_eq!(closed.attestations().map(|it| it.event.as_str()).collect::<Vec<_>>(), ["e2"]);
        let open = card(r#","wl":["0xz"]"#);
        assert_eq!(standing(&open, &all).current().unwrap().event, "e2");
        assert_eq!(may_write(&open, "0xa", "0xq").unwrap_err().code, Code::EUpdater);
        assert!(standing(&open, &[]).current().is_none());
    }

    #[test]
    fn of_very_many_attestations_the_newest_are_named_and_all_are_counted() {
        let all: Vec<Written> =
            (0..ATTESTATIONS_MAX as u64 + 7).map(|it| written(it, &format!("e{it}"), "0xz")).collect();
        let standing = standing(&card(""), &all);
        assert_eq!(standing.attestation_count(), all.len() as u64);
        assert_eq!(standing.attestations().count(), ATTESTATIONS_MAX);
        assert_eq!(standing.attestations().next(), all.last());
    }

    proptest! {
        #[test]
        fn the_order_in_which_they_come_changes_nothing(
            seqs in prop::collection::vec((0_u64..4, any::<bool>()), 0..150),
            turn in any::<prop::sample::Index>(),
        ) {
            let author = |is_other: bool| if is_other { "0xz" } else { "0xa" };
            let mut all: Vec<Written> = seqs
                .iter()
                .enumerate()
                .map(|(at, (seq, is_other))| written(*seq, &format!("e{at}"), author(*is_other)))
                .collect();
            let item = card("");
            let first = standing(&item, &all);
            if !all.is_empty() {
                let turn = turn.index(all.len());
                all.rotate_left(turn);
                all.reverse();
            }
            let second = standing(&item, &all);
            prop_assert_eq!(first.current(), second.current());
            prop_assert!(first.attestations().eq(second.attestations()));
            prop_assert_eq!(first.attestation_count(), second.attestation_count());
        }
    }
}
