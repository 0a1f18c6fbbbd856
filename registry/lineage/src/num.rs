//! Numbers: whole multiples of 10^-9, so that a sum has one value whatever the order, language or machine.
//!
//! - A value read from outside is smaller than 10^18, an aggregate smaller than 10^27, a score smaller than 10^9.
//! - Rounding is to the even neighbour, and happens once: nothing is rounded in between.

use std::fmt;

use num_bigint::BigInt;

use crate::json::{Json, number_text};

/// One, in units of 10^-9.
pub(crate) const ONE: i128 = 1_000_000_000;
/// The first magnitude that is too large to come in.
const INPUT_LIMIT: i128 = 1_000_000_000_000_000_000 * ONE;
/// The first magnitude that is too large for an aggregate.
const AGGREGATE_LIMIT: i128 = 1_000_000_000 * INPUT_LIMIT;
/// A text longer than this is no number.
const TEXT_BYTES_MAX: usize = 64;
/// How many digits a number that may come in has, in units of 10^-9.
const DIGITS_MAX: i64 = 27;

/// A decimal number with nine places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Num(i128);

impl Num {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(ONE);

    /// Takes a number of units of 10^-9.
    pub(crate) const fn from_units(units: i128) -> Self {
        Self(units)
    }

    /// Returns a whole number.
    pub fn whole(number: u64) -> Self {
        Self(i128::from(number) * ONE)
    }

    /// Returns the number in units of 10^-9.
    pub const fn units(self) -> i128 {
        self.0
    }

    /// Reads a decimal text exactly and rounds it to nine places. `None` if it is no number or too large.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let (whole, places) = match mantissa.find('.') {
            Some(at) => (&mantissa[..at], Some(&mantissa[at + 1..])),
            None => (mantissa, None),
        };
        let is_digits = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
        let is_leading_zero = whole.len() > 1 && whole.starts_with('0');
        if !is_digits(whole) || is_leading_zero || places.is_some_and(|it| !is_digits(it)) {
            return None;
        }
        let places = places.unwrap_or_default();
        let digits: Vec<u8> = whole.bytes().chain(places.bytes()).map(|it| it - b'0').collect();
        let point = i64::try_from(whole.len()).ok()? + exponent;
        round_digits(&digits, point + 9).map(|units| Self(if negative { -units } else { units }))
    }

    /// Reads the number that a JSON number stands for: the shortest text of the double, exactly, rounded.
    pub fn of_double(number: f64) -> Option<Self> {
        Self::parse(&number_text(number))
    }

    /// Reads a number as cards and models write it: a JSON number, a text, or true for 1 and false for 0.
    pub fn of_json(value: &Json) -> Option<Self> {
        match value {
            Json::Number(number) => Self::of_double(*number),
            Json::Text(text) => Self::parse(text),
            Json::Bool(value) => Some(if *value { Self::ONE } else { Self::ZERO }),
            Json::Null | Json::List(_) | Json::Map(_) => None,
        }
    }

    /// Returns units of 10^-9 as an aggregate, or `None` beyond its range.
    pub(crate) fn aggregate(units: i128) -> Option<Self> {
        (units.unsigned_abs() < AGGREGATE_LIMIT.unsigned_abs()).then_some(Self(units))
    }

    /// Divides by a whole number and rounds once.
    pub(crate) fn mean(sum_units: i128, count: u64) -> Option<Self> {
        (count > 0).then(|| Self(divide_half_even(sum_units, i128::from(count))))
    }

    /// Returns the sum of products and the bias, rounded once; `None` beyond the range of an aggregate.
    pub(crate) fn dot(weights: &[Self], inputs: &[Self], bias: Self) -> Option<Self> {
        let products = weights.iter().zip(inputs).map(|(weight, input)| BigInt::from(weight.0) * input.0);
        let exact = products.sum::<BigInt>() + BigInt::from(bias.0) * ONE;
        let units = big_divide_half_even(&exact, &BigInt::from(ONE));
        Self::aggregate(i128::try_from(units).ok()?)
    }

    /// Returns the number rounded to six places, or `None` if a score cannot be that large.
    pub(crate) fn to_score(self) -> Option<Self> {
        let rounded = divide_half_even(self.0, 1000) * 1000;
        (rounded.unsigned_abs() < (ONE * ONE).unsigned_abs()).then_some(Self(rounded))
    }

    /// Returns the nearest double. For a score it prints as the same decimal text.
    pub fn to_double(self) -> f64 {
        // The decimal text is always a number.
        self.to_string().parse().unwrap_or_default()
    }
}

impl fmt::Display for Num {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (magnitude, one) = (self.0.unsigned_abs(), ONE.unsigned_abs());
        let (whole, places) = (magnitude / one, magnitude % one);
        if self.0 < 0 {
            out.write_str("-")?;
        }
        write!(out, "{whole}")?;
        if places > 0 {
            write!(out, ".{}", format!("{places:09}").trim_end_matches('0'))?;
        }
        Ok(())
    }
}

fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_written_right = (1..=3).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
    is_written_right.then(|| text.parse().ok()).flatten()
}

/// Returns 0.d1d2d3… · 10^point, rounded half to even, or `None` from 10^27 on.
fn round_digits(digits: &[u8], point: i64) -> Option<i128> {
    let zeros = digits.iter().take_while(|it| **it == 0).count();
    let digits = &digits[zeros..];
    if digits.is_empty() {
        return Some(0);
    }
    let point = point - i64::try_from(zeros).ok()?;
    if point > DIGITS_MAX {
        return None;
    }
    let Ok(kept) = usize::try_from(point) else { return Some(0) };
    let digit_at = |index: usize| digits.get(index).copied().unwrap_or(0);
    let units = (0..kept).fold(0_i128, |units, index| units * 10 + i128::from(digit_at(index)));
    let is_more = digits.iter().skip(kept + 1).any(|it| *it != 0);
    let up = match digit_at(kept) {
        0..=4 => false,
        5 => is_more || units % 2 == 1,
        _ => true,
    };
    let units = units + i128::from(up);
    (units < INPUT_LIMIT).then_some(units)
}

/// Divides by a positive number and rounds half to even.
pub(crate) fn divide_half_even(number: i128, by: i128) -> i128 {
    let (quotient, rest) = (number.div_euclid(by), number.rem_euclid(by));
    // Compared without doubling the rest, which might not fit.
    let up = match rest.cmp(&(by - rest)) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => quotient.rem_euclid(2) == 1,
        std::cmp::Ordering::Greater => true,
    };
    quotient + i128::from(up)
}

/// Divides by a positive number and rounds half to even.
pub(crate) fn big_divide_half_even(number: &BigInt, by: &BigInt) -> BigInt {
    let (mut quotient, mut rest) = (number / by, number % by);
    if rest < BigInt::ZERO {
        quotient -= 1;
        rest += by;
    }
    let twice: BigInt = &rest * 2;
    let up = twice > *by || (twice == *by && quotient.bit(0));
    if up { quotient + 1 } else { quotient }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_text_is_read_exactly_and_rounded_once() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Num::parse(text).map_or("none".to_owned(), |it| it.to_string()), expected, "{text}");
        };
        check("2.60", "2.6");
        check("-0", "0");
        check("-0.000000001", "-0.000000001");
        check("0.0000000005", "0");
        check("0.0000000015", "0.000000002");
        check("0.00000000050000000000000000000000000000000000000000000001", "0.000000001");
        check("-0.0000000015", "-0.000000002");
        check("1e3", "1000");
        check("1E-9", "0.000000001");
        check("5e-10", "0");
        check("9e-999", "0");
        check("0e999", "0");
        check("999999999999999999.999999999", "999999999999999999.999999999");
        check("999999999999999999.9999999995", "none");
        check("1e18", "none");
        check("1e17", "100000000000000000");
        check("123456789012345678901234567890e-20", "1234567890.123456789");
        for wrong in [
            "", "-", "+1", "1.", ".5", "00.5", "01", "0x10", " 1", "1 ", "1e", "1e1234", "1e+", "NaN", "1_0",
            "--1", "１",
        ] {
            check(wrong, "none");
        }
        check(&"1".repeat(65), "none");
    }

    #[test]
    fn a_json_number_is_the_shortest_text_of_its_double() {
        let check =
            |number: f64, expected: &str| assert_eq!(Num::of_double(number).unwrap().to_string(), expected);
        check(0.1 + 0.2, "0.3");
        check(123_456_789_012_345.67, "123456789012345.67");
        check(2.5e-9, "0.000000002");
        check(1e-7, "0.0000001");
        check(-0.0, "0");
        assert_eq!(Num::of_double(1e18), None);
        assert_eq!(Num::of_double(1e300), None);
    }

    #[test]
    fn a_product_beyond_128_bits_is_exact_and_one_beyond_the_range_is_none() {
        let num = |text: &str| Num::parse(text).unwrap();
        let large = num("999999999999999999");
        let dot = Num::dot(&[large, large], &[num("1000"), num("-1000")], num("0.5"));
        assert_eq!(dot, Some(num("0.5")));
        assert_eq!(Num::dot(&[large], &[Num::from_units(AGGREGATE_LIMIT - 1)], Num::ZERO), None);
        assert_eq!(Num::aggregate(AGGREGATE_LIMIT), None);
        assert_eq!(num("999999999.9999995").to_score(), None);
        assert_eq!(num("999999999.999999").to_score(), Some(num("999999999.999999")));
        assert_eq!(num("-0.0000005").to_score(), Some(Num::ZERO));
    }

    proptest! {
        #[test]
        fn display_and_parse_are_inverse(units in -(INPUT_LIMIT - 1)..INPUT_LIMIT) {
            prop_assert_eq!(Num::parse(&Num(units).to_string()), Some(Num(units)));
        }

        #[test]
        fn both_divisions_round_to_the_nearest_and_ties_to_even(number: i64, by in 1_i64..1000) {
            let (number, by) = (i128::from(number), i128::from(by));
            let quotient = divide_half_even(number, by);
            let off = (number - quotient * by).abs() * 2;
            prop_assert!(off < by || (off == by && quotient % 2 == 0));
            prop_assert_eq!(big_divide_half_even(&number.into(), &by.into()), BigInt::from(quotient));
        }

        #[test]
        fn parse_never_panics(text in "[-+0-9eE.]{0,70}") {
            let _ = Num::parse(&text);
        }

        #[test]
        fn a_score_prints_as_the_same_text_through_a_double(units in -999_999_999_999_999_i128..999_999_999_999_999) {
            let score = Num(units * 1000);
            prop_assert_eq!(number_text(score.to_double()), score.to_string());
        }
    }
}
