//! The decision.

use std::collections::BTreeSet;

use base::{Sha256, UnixSeconds};
use serde::{Deserialize, Serialize};

use super::{Inventory, Leftover, Standing};
use crate::Quarantined;

/// What must stay, whatever the limits say.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    /// Digests that the host wants deployed, and all that some view shows.
    pub live: BTreeSet<Sha256>,
    /// Digests that the operator pinned.
    pub pins: BTreeSet<Sha256>,
}

/// How long and how much.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// An object that was last used before this moment goes.
    pub unused_since: UnixSeconds,
    /// An object that was used after this moment stays even over budget: somebody may be about to link it.
    /// Both moments lie well back, by minutes at least: uses are told apart by the second.
    pub fresh_since: UnixSeconds,
    /// How many bytes may stand on the shelf.
    pub budget_bytes: Option<u64>,
    /// A partial that was last written before this moment goes.
    pub partials_since: UnixSeconds,
    /// Quarantined bytes that last came before this moment go.
    pub quarantine_since: UnixSeconds,
}

/// What to delete, and what that amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What leaves the shelf, the longest unused first.
    pub drops: Vec<Drop>,
    /// Partials that nobody carries on with.
    pub partials: Vec<Leftover>,
    /// Quarantined bytes that are old enough.
    pub quarantine: Vec<Quarantined>,
    /// How many bytes all of that frees.
    pub freed_bytes: u64,
    /// How many bytes stay on the shelf.
    pub kept_bytes: u64,
    /// How far the shelf stays over its budget, since all that is left must stay.
    pub over_budget_bytes: u64,
}

/// One file that leaves the shelf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drop {
    /// Which one, as it stood.
    #[serde(flatten)]
    pub standing: Standing,
    /// Why.
    pub reason: Reason,
}

/// Why a file leaves the shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Nobody used it for long enough.
    Unused,
    /// The shelf is over its budget, and this was used longest ago.
    OverBudget,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Unused => "unused",
            Self::OverBudget => "over budget",
        })
    }
}

/// Chooses what to delete. Reads no disk and no clock.
pub fn plan(inventory: &Inventory, keep: &Keep, limits: &Limits) -> Plan {
    let mut plan = Plan::default();
    let mut droppable = Vec::new();
    for standing in &inventory.standing {
        if must_stay(standing, keep) {
            plan.kept_bytes = plan.kept_bytes.saturating_add(standing.size_bytes);
        } else {
            droppable.push(standing);
        }
    }
    // The longest unused first; the digest decides between equals, so the same store gives the same plan.
    droppable.sort_by_key(|it| (it.last_used, it.digest, it.verified));
    let (unused, used): (Vec<_>, Vec<_>) =
        droppable.into_iter().partition(|it| it.last_used < limits.unused_since);
    plan.drops.extend(unused.into_iter().map(|it| Drop { standing: it.clone(), reason: Reason::Unused }));
    plan.kept_bytes = used.iter().fold(plan.kept_bytes, |sum, it| sum.saturating_add(it.size_bytes));
    shrink(&mut plan, &used, limits);
    plan.partials =
        inventory.partials.iter().filter(|it| it.last_written < limits.partials_since).cloned().collect();
    plan.quarantine =
        inventory.quarantine.iter().filter(|it| it.last < limits.quarantine_since).cloned().collect();
    plan.freed_bytes = (plan.drops.iter().map(|it| it.standing.size_bytes))
        .chain(plan.partials.iter().map(|it| it.size_bytes))
        .chain(plan.quarantine.iter().map(|it| it.found_size_bytes))
        .fold(0, u64::saturating_add);
    plan
}

fn must_stay(standing: &Standing, keep: &Keep) -> bool {
    standing.leased || keep.live.contains(&standing.digest) || keep.pins.contains(&standing.digest)
}

/// Drops what was used longest ago until the rest fits the budget.
fn shrink(plan: &mut Plan, used: &[&Standing], limits: &Limits) {
    let budget_bytes = limits.budget_bytes.unwrap_or(u64::MAX);
    for standing in used.iter().filter(|it| it.last_used <= limits.fresh_since) {
        if plan.kept_bytes <= budget_bytes {
            break;
        }
        // What saturated in the sum cannot be taken back exactly; it is over any budget either way.
        plan.kept_bytes = plan.kept_bytes.saturating_sub(standing.size_bytes);
        plan.drops.push(Drop { standing: (*standing).clone(), reason: Reason::OverBudget });
    }
    plan.over_budget_bytes = plan.kept_bytes.saturating_sub(budget_bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(name: u8) -> Sha256 {
        Sha256::from_bytes([name; 32])
    }

    /// Reads `a10@5 b20@7!`: names, sizes, last uses, and a mark for those with a lease.
    fn inventory(text: &str) -> Inventory {
        let standing = text.split_whitespace().map(|it| {
            let leased = it.ends_with('!');
            let (size, used) = it[1..].trim_end_matches('!').split_once('@').unwrap();
            Standing {
                digest: digest(it.as_bytes()[0]),
                size_bytes: size.parse().unwrap(),
                last_used: UnixSeconds(used.parse().unwrap()),
                verified: true,
                leased,
            }
        });
        Inventory { standing: standing.collect(), ..Inventory::default() }
    }

    fn limits(unused_since: u64, budget_bytes: Option<u64>) -> Limits {
        let at = UnixSeconds;
        let (fresh_since, zero) = (at(900), at(0));
        let (partials_since, quarantine_since) = (zero, zero);
        Limits { unused_since: at(unused_since), fresh_since, budget_bytes, partials_since, quarantine_since }
    }

    #[test]
    fn the_longest_unused_goes_first_and_what_is_needed_stays() {
        let check = |stands: &str, live: &str, pins: &str, since, budget, dropped: &str, over: u64| {
            let keep =
                Keep { live: live.bytes().map(digest).collect(), pins: pins.bytes().map(digest).collect() };
            let plan = plan(&inventory(stands), &keep, &limits(since, budget));
            let names = plan.drops.iter().map(|it| match it.reason {
                Reason::Unused => it.standing.digest.as_bytes()[0] as char,
                Reason::OverBudget => it.standing.digest.as_bytes()[0].to_ascii_uppercase() as char,
            });
            assert_eq!(
                (names.collect::<String>().as_str(), plan.over_budget_bytes),
                (dropped, over),
                "{stands}"
            );
        };
        // stands              live  pins  since  budget     dropped (capitals: budget)  over
        check("", "", "", 50, None, "", 0);
        check("a1@10 b1@60", "", "", 50, None, "a", 0);
        check("a1@10 b1@20 c1@15", "", "", 50, None, "acb", 0);
        check("a1@10 b1@10", "a", "b", 50, None, "", 0);
        check("a1@10! b1@10", "", "", 50, None, "b", 0);
        check("a1@50", "", "", 50, None, "", 0);
        check("a10@60 b10@70 c10@80", "", "", 50, Some(20), "A", 0);
        check("a10@60 b10@70 c10@80", "", "", 50, Some(19), "AB", 0);
        check("a10@60 b10@70 c10@80", "a", "", 50, Some(15), "BC", 0);
        check("a10@60 b10@70! c10@80", "a", "", 50, Some(0), "C", 20);
        check("a10@950 b10@60", "", "", 50, Some(0), "B", 10);
        check("a10@40 b10@70", "", "", 50, Some(10), "a", 0);
    }

    #[test]
    fn stale_partials_and_old_quarantine_age_out() {
        let leftover =
            |name: &str, at| Leftover { path: name.into(), size_bytes: 5, last_written: UnixSeconds(at) };
        let wrong = |last| Quarantined {
            promised: digest(1),
            promised_size_bytes: 1,
            found: digest(2),
            found_size_bytes: 7,
            source: String::new(),
            first: UnixSeconds(0),
            last: UnixSeconds(last),
            count: 1,
        };
        let (partials, quarantine) =
            (vec![leftover("old", 9), leftover("new", 10)], vec![wrong(19), wrong(20)]);
        let inventory = Inventory { partials, quarantine, ..Inventory::default() };
        let since = (UnixSeconds(10), UnixSeconds(20));
        let limits = Limits { partials_since: since.0, quarantine_since: since.1, ..limits(0, None) };
        let plan = plan(&inventory, &Keep::default(), &limits);
        assert_eq!(plan.partials, [leftover("old", 9)]);
        assert_eq!(plan.quarantine, [wrong(19)]);
        assert_eq!(plan.freed_bytes, 12);
    }

    fn any_inventory() -> impl Strategy<Value = Inventory> {
        let one = (0..12_u8, 0..100_u64, 0..1000_u64, any::<bool>());
        prop::collection::btree_map(0..12_u8, one, 0..12).prop_map(|them| {
            let standing = them.into_iter().map(|(name, (_, size_bytes, used, leased))| Standing {
                digest: digest(name),
                size_bytes,
                last_used: UnixSeconds(used),
                verified: true,
                leased,
            });
            Inventory { standing: standing.collect(), ..Inventory::default() }
        })
    }

    proptest! {
        #[test]
        fn nothing_needed_is_ever_dropped_and_the_budget_is_kept_where_it_can_be(
            inventory in any_inventory(),
            live in prop::collection::btree_set((0..12_u8).prop_map(digest), 0..6),
            pins in prop::collection::btree_set((0..12_u8).prop_map(digest), 0..3),
            since in 0..1000_u64, budget in prop::option::of(0..500_u64),
        ) {
            let (keep, limits) = (Keep { live, pins }, limits(since, budget));
            let made = plan(&inventory, &keep, &limits);
            for it in &made.drops {
                prop_assert!(!must_stay(&it.standing, &keep));
                prop_assert!(it.standing.last_used < limits.unused_since || it.standing.last_used <= limits.fresh_since);
            }
            let dropped = made.drops.iter().map(|it| it.standing.digest).collect::<BTreeSet<_>>();
            prop_assert_eq!(dropped.len(), made.drops.len());
            let kept = inventory.standing.iter().filter(|it| !dropped.contains(&it.digest)).collect::<Vec<_>>();
            prop_assert_eq!(kept.iter().map(|it| it.size_bytes).sum::<u64>(), made.kept_bytes);
            for it in &kept {
                let over = budget.is_some_and(|it| made.kept_bytes > it);
                let may_go = !must_stay(it, &keep);
                prop_assert!(!may_go || it.last_used >= limits.unused_since);
                prop_assert!(!over || !may_go || it.last_used > limits.fresh_since);
            }
        }

        #[test]
        fn the_order_of_the_inventory_does_not_matter(mut inventory in any_inventory(), budget in 0..500_u64) {
            let made = plan(&inventory, &Keep::default(), &limits(300, Some(budget)));
            inventory.standing.reverse();
            prop_assert_eq!(plan(&inventory, &Keep::default(), &limits(300, Some(budget))), made);
        }
    }
}
