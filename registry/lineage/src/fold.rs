//! Many values into one. No result depends on the order in which values come.

use std::collections::BTreeMap;

use crate::{
    flaw::{Code, Flaw},
    num::Num,
    selector::Agg,
    value::Value,
};

/// The most different values of a histogram.
pub(crate) const BINS_MAX: usize = 256;
/// Sums are kept in two parts, so that no order of adding leaves 128 bits on the way.
const PART: i128 = 1_000_000_000_000_000_000;

/// What a feature comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Nothing,
    One(Value<'static>),
    Bins(BTreeMap<String, u64>),
}

/// Takes values and makes one of them.
///
/// `K` is the time and place of a value's event. Within one event all have the same.
pub(crate) enum Fold<'e, K> {
    Count(u64),
    Sum(Sum),
    Avg(Sum),
    /// The smallest, or with `true` the largest.
    Extreme(bool, Option<Value<'static>>),
    /// The earliest, or with `true` the latest.
    Edge(bool, Option<(K, Value<'static>)>),
    Bins(BTreeMap<String, u64>, Option<&'e [Num]>),
}

#[derive(Default)]
pub(crate) struct Sum {
    high: i128,
    low: i128,
    count: u64,
}

impl Sum {
    fn add(&mut self, number: Num) {
        self.add_total(number.units(), 1);
    }

    fn add_total(&mut self, units: i128, count: u64) {
        self.high += units.div_euclid(PART);
        self.low += units.rem_euclid(PART);
        self.count += count;
    }

    fn units(&self) -> Option<i128> {
        let carried = self.high.checked_add(self.low.div_euclid(PART))?;
        carried.checked_mul(PART)?.checked_add(self.low.rem_euclid(PART))
    }
}

impl<'e, K> Fold<'e, K> {
    pub(crate) fn new(agg: Agg, edges: Option<&'e [Num]>) -> Self {
        match agg {
            Agg::Count => Self::Count(0),
            Agg::Sum => Self::Sum(Sum::default()),
            Agg::Avg => Self::Avg(Sum::default()),
            Agg::Min => Self::Extreme(false, None),
            Agg::Max => Self::Extreme(true, None),
            Agg::First => Self::Edge(false, None),
            Agg::Last => Self::Edge(true, None),
            Agg::Hist => Self::Bins(BTreeMap::new(), edges),
        }
    }

    /// Takes one value. Values of one event come in their order there; `is_before` compares events.
    pub(crate) fn add(&mut self, value: Value, key: K, is_before: impl Fn(&K, &K) -> bool) {
        match self {
            Self::Count(count) => *count += 1,
            Self::Sum(sum) | Self::Avg(sum) => sum.add(value.addend()),
            Self::Extreme(is_max, best) => {
                let is_better =
                    best.as_ref().is_none_or(|best| if *is_max { value > *best } else { value < *best });
                if is_better {
                    *best = Some(value.into_owned());
                }
            }
            Self::Edge(is_last, best) => {
                let is_better = best.as_ref().is_none_or(|(found, _)| {
                    if *is_last { !is_before(&key, found) } else { is_before(&key, found) }
                });
                if is_better {
                    *best = Some((key, value.into_owned()));
                }
            }
            Self::Bins(bins, edges) => {
                let bin =
                    edges.map_or_else(|| value.to_text().into_owned(), |it| bin_between(it, value.addend()));
                // One bin too many is enough to refuse the result.
                if bins.len() <= BINS_MAX || bins.contains_key(&bin) {
                    *bins.entry(bin).or_default() += 1;
                }
            }
        }
    }

    /// Says whether only the sum of the values matters, and how many there are.
    pub(crate) fn is_sum(&self) -> bool {
        matches!(self, Self::Sum(_) | Self::Avg(_))
    }

    /// Takes many values by their sum, in units of 10^-9, and their number.
    pub(crate) fn add_total(&mut self, units: i128, count: u64) {
        if let Self::Sum(sum) | Self::Avg(sum) = self {
            sum.add_total(units, count);
        }
    }

    /// Counts values that nobody looks at.
    pub(crate) fn add_count(&mut self, more: u64) {
        if let Self::Count(count) = self {
            *count += more;
        }
    }

    /// Returns what all values come to.
    pub(crate) fn finish(self, place: &str) -> Result<Outcome, Flaw> {
        let overflow = || Flaw::new(Code::EOverflow, place, "the sum is not smaller than 10^27");
        let some = |it: Option<Value<'static>>| it.map_or(Outcome::Nothing, Outcome::One);
        Ok(match self {
            Self::Count(count) => Outcome::One(Value::Num(Num::whole(count))),
            Self::Sum(found) => {
                let total = found.units().and_then(Num::aggregate);
                Outcome::One(Value::Num(total.ok_or_else(overflow)?))
            }
            Self::Avg(found) => {
                some(Num::mean(found.units().ok_or_else(overflow)?, found.count).map(Value::Num))
            }
            Self::Extreme(_, best) => some(best),
            Self::Edge(_, best) => some(best.map(|(_, value)| value)),
            Self::Bins(bins, _) if bins.len() > BINS_MAX => {
                let text = format!("more than {BINS_MAX} different values; give edges in `b`, or a filter");
                return Err(Flaw::new(Code::EHist, place, text));
            }
            Self::Bins(bins, _) => Outcome::Bins(bins),
        })
    }
}

/// Names the bin of a number: from one edge, to below the next.
fn bin_between(edges: &[Num], number: Num) -> String {
    let above = edges.partition_point(|edge| *edge <= number);
    let text =
        |index: Option<usize>| index.and_then(|it| edges.get(it)).map_or(String::new(), Num::to_string);
    format!("{}..{}", text(above.checked_sub(1)), text(Some(above)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fold(agg: Agg, values: &[(u64, Value<'static>)]) -> Outcome {
        let mut fold = Fold::new(agg, None);
        for (key, value) in values {
            fold.add(value.clone(), *key, |left, right| left < right);
        }
        fold.finish("").unwrap()
    }

    #[test]
    fn a_number_lies_from_one_edge_to_below_the_next() {
        let edges = ["0", "2.5"].map(|it| Num::parse(it).unwrap());
        let check =
            |number: &str, bin: &str| assert_eq!(bin_between(&edges, Num::parse(number).unwrap()), bin);
        check("-1", "..0");
        check("0", "0..2.5");
        check("2.499999999", "0..2.5");
        check("2.5", "2.5..");
    }

    #[test]
    fn a_sum_may_leave_its_range_on_the_way_but_not_at_the_end() {
        let huge = || Value::Num(Num::from_units(i128::MAX / 2));
        let minus = || Value::Num(Num::from_units(-(i128::MAX / 2)));
        let values = [huge(), huge(), huge(), minus(), minus(), minus()].map(|it| (0, it));
        assert_eq!(fold(Agg::Sum, &values), Outcome::One(Value::Num(Num::ZERO)));
        let mut sum: Fold<u64> = Fold::new(Agg::Sum, None);
        (0..3).for_each(|_| sum.add(huge(), 0, |_, _| false));
        assert_eq!(sum.finish("/j/spec/0").unwrap_err().code, Code::EOverflow);
    }

    #[test]
    fn a_histogram_of_too_many_values_is_refused_and_takes_no_more_memory() {
        let mut bins: Fold<u64> = Fold::new(Agg::Hist, None);
        (0..100_000).for_each(|it| bins.add(Value::Num(Num::whole(it)), 0, |_, _| false));
        assert!(matches!(&bins, Fold::Bins(bins, _) if bins.len() == BINS_MAX + 1));
        assert_eq!(bins.finish("").unwrap_err().code, Code::EHist);
    }

    proptest! {
        #[test]
        fn the_order_of_events_changes_nothing(
            numbers in prop::collection::vec(-1000_i32..1000, 1..30), turn in 0_usize..30,
        ) {
            let number = |it: i32| Value::Num(Num::parse(&it.to_string()).unwrap());
            let values: Vec<_> = numbers.iter().enumerate().map(|(key, it)| (key as u64, number(*it))).collect();
            let mut turned = values.clone();
            turned.rotate_left(turn % values.len());
            for agg in [Agg::Sum, Agg::Avg, Agg::Count, Agg::Min, Agg::Max, Agg::First, Agg::Last, Agg::Hist] {
                prop_assert_eq!(fold(agg, &values), fold(agg, &turned), "{:?}", agg);
            }
            prop_assert_eq!(fold(Agg::First, &turned), Outcome::One(number(numbers[0])));
            prop_assert_eq!(fold(Agg::Last, &turned), Outcome::One(number(numbers[numbers.len() - 1])));
            let sum: i64 = numbers.iter().map(|it| i64::from(*it)).sum();
            prop_assert_eq!(fold(Agg::Sum, &turned), Outcome::One(number(i32::try_from(sum).unwrap())));
        }
    }
}
