//! Where a filter is looked up: under which keys of the index.

use std::collections::BTreeSet;

use super::posting;
use crate::filter::Filter;

/// The most keys that a filter is looked up under; with more, a wider condition is used and the rest is compared.
const KEYS_MAX: usize = 300;
/// How many are few: each may be looked up in every era.
const FEW_KEYS: usize = 4;

/// Where a filter is looked up.
pub(super) struct Plan {
    pub(super) keys: Vec<u64>,
    /// How many of the filter's conditions all meet that stand there.
    met: usize,
}

/// Chooses the keys that a filter is looked up under: the fewest that lead to all that can match.
pub(super) fn plan(filter: &Filter) -> Plan {
    let plan = |met: usize| move |keys: Vec<u64>| Plan { keys, met };
    let mut plans = vec![tag_keys(filter).map(plan(1))];
    let kinds = filter.kinds.as_ref();
    let sids = filter.tags.get("sid");
    if let (Some(sids), Some(kinds)) = (sids, kinds) {
        plans.push(pairs(sids, kinds, |sid, kind| posting::of_sid_kind(sid, *kind)).map(plan(2)));
    }
    if let (Some(authors), Some(kinds)) = (&filter.authors, kinds) {
        plans.push(pairs(authors, kinds, |at, kind| posting::of_author_kind(*at, *kind)).map(plan(2)));
    }
    let of_sids = sids.map(|it| it.iter().map(|sid| posting::of_tag("sid", sid)).collect());
    let of_authors = filter.authors.as_ref().map(|it| it.iter().map(|at| posting::of_author(*at)).collect());
    let of_kinds = kinds.map(|it| it.iter().map(|kind| posting::of_kind(*kind)).collect());
    plans.extend([of_sids, of_authors, of_kinds].map(|it| it.map(plan(1))));
    let found = plans.into_iter().flatten().find(|it: &Plan| it.keys.len() <= KEYS_MAX);
    found.unwrap_or_else(|| Plan { keys: vec![posting::EVERYTHING], met: 0 })
}

/// Says whether all that stands where a filter is looked up matches it, but for when it was signed, which is what it is
/// ordered by; and that is in a few places. Then no more is looked at than is answered.
pub(crate) fn is_direct(filter: &Filter) -> bool {
    let conditions = [filter.ids.is_some(), filter.authors.is_some(), filter.kinds.is_some()];
    let conditions = filter.tags.len() + conditions.into_iter().filter(|it| *it).count();
    let Plan { keys, met } = plan(filter);
    met == conditions && keys.len() <= FEW_KEYS
}

/// Returns the keys of the narrowest tag: not `sid`, which is better with a kind, nor those every event has.
fn tag_keys(filter: &Filter) -> Option<Vec<u64>> {
    let is_common = |name: &str| matches!(name, "sid" | "d" | "op");
    let narrow = filter.tags.iter().filter(|it| !is_common(it.0));
    let (name, values) = narrow.min_by_key(|it| it.1.len()).or_else(|| {
        let alone = filter.tags.contains_key("sid") || filter.kinds.is_some() || filter.authors.is_some();
        filter.tags.iter().next().filter(|_| !alone)
    })?;
    Some(values.iter().map(|it| posting::of_tag(name, it)).collect())
}

/// Returns the keys of all pairs, or `None` if there are too many.
fn pairs<A, B>(ones: &BTreeSet<A>, others: &BTreeSet<B>, key: impl Fn(&A, &B) -> u64) -> Option<Vec<u64>> {
    let all = ones.iter().flat_map(|one| others.iter().map(|other| key(one, other)).collect::<Vec<_>>());
    (ones.len() * others.len() <= KEYS_MAX).then(|| all.collect())
}

#[cfg(test)]
mod tests {
    use base::{Address, UnixSeconds};

    use super::*;
    use crate::event::{EventId, Kind};

    #[test]
    fn direct_is_what_one_look_answers() {
        let (kind, author) = (Kind(30405), |number| Address::from_bytes([number; 20]));
        let all = Filter::default;
        let by_four = (0..4).fold(all(), |it, number| it.author(author(number)));
        let direct = [
            all(),
            all().kind(kind),
            all().author(author(1)),
            all().tag("sid", "0xMG"),
            all().tag("t", "x").tag("t", "y"),
            all().tag("sid", "0xMG").kind(kind).kind(Kind(30300)),
            all().author(author(1)).kind(kind),
            by_four.clone(),
            Filter { since: Some(UnixSeconds(1)), until: Some(UnixSeconds(2)), ..all().kind(kind) },
        ];
        for filter in direct {
            assert!(is_direct(&filter), "{filter:?}");
        }
        let others = [
            all().id(EventId::from_bytes([1; 32])),
            all().tag("sid", "0xMG").kind(kind).author(author(1)),
            all().tag("sid", "0xMG").author(author(1)),
            all().tag("sid", "0xMG").tag("t", "x"),
            all().tag("t", "x").kind(kind),
            by_four.clone().author(author(4)),
            by_four.kind(kind).kind(Kind(30300)),
        ];
        for filter in others {
            assert!(!is_direct(&filter), "{filter:?}");
        }
    }
}
