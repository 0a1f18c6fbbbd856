//! Packed numbers: the decimal that a number stands for, and the double itself where that says more.

use super::{EXACT, HUGE, ROUNDED};
use crate::{json::number_text, num::Num};

pub(super) fn pack_number(number: f64, out: &mut Vec<u8>) {
    if let Some(whole) = whole(number) {
        let (mantissa, zeros) = without_zeros(whole, 9);
        return pack_decimal(EXACT, mantissa, zeros, out);
    }
    if let Some((mantissa, zeros)) = short(number) {
        return pack_decimal(EXACT, mantissa, zeros, out);
    }
    let text = number_text(number);
    if let Some((mantissa, zeros)) = plain_decimal(&text) {
        return pack_decimal(EXACT, mantissa, zeros, out);
    }
    let Some(decimal) = Num::parse(&text) else {
        out.push(HUGE);
        out.extend_from_slice(&number.to_le_bytes());
        return;
    };
    let (mut mantissa, mut zeros) = (decimal.units(), 0);
    while mantissa != 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        zeros += 1;
    }
    // A double has at most 17 digits, so the mantissa fits.
    let mantissa = i64::try_from(mantissa).unwrap_or_default();
    let is_exact = decimal.to_string() == text;
    pack_decimal(if is_exact { EXACT } else { ROUNDED }, mantissa, zeros, out);
    if !is_exact {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// Appends the decimal that a number stands for.
fn pack_decimal(what: u8, mantissa: i64, zeros: u8, out: &mut Vec<u8>) {
    out.push(what | zeros);
    pack_whole((mantissa.unsigned_abs() << 1) | u64::from(mantissa < 0), out);
}

/// Appends a decimal of so many places that is the text of a number. `None` if it has more than nine.
pub(super) fn pack_short(digits: i64, places: usize, out: &mut Vec<u8>) -> Option<()> {
    let (mantissa, zeros) = without_zeros(digits, u8::try_from(9_usize.checked_sub(places)?).ok()?);
    pack_decimal(EXACT, mantissa, zeros, out);
    Some(())
}

/// Reads the text of nearly every number: at most 17 digits and nine places, no exponent. Such a text is its decimal.
///
/// Returns the digits as a whole number, and how many zeros follow it in units of 10^-9.
fn plain_decimal(text: &str) -> Option<(i64, u8)> {
    let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let mut zeros: u8 = 9;
    let (mut mantissa, mut count, mut is_behind_point) = (0_i64, 0, false);
    for byte in digits.bytes() {
        match byte {
            b'0'..=b'9' if count < 17 => {
                mantissa = mantissa * 10 + i64::from(byte - b'0');
                count += 1;
                zeros = zeros.checked_sub(u8::from(is_behind_point))?;
            }
            b'.' if !is_behind_point => is_behind_point = true,
            _ => return None,
        }
    }
    let (mantissa, zeros) = without_zeros(mantissa, zeros);
    Some((if is_negative { -mantissa } else { mantissa }, zeros))
}

/// Returns a number that is whole and small, as nearly all are that count something.
fn whole(number: f64) -> Option<i64> {
    const LIMIT: f64 = 1e15;
    #[expect(clippy::cast_possible_truncation, reason = "the guard leaves whole numbers below 10^15")]
    (number.fract() == 0.0 && number.abs() < LIMIT).then_some(number as i64)
}

/// Returns the decimal of a number that has at most nine places and 15 digits, and is written without exponent.
///
/// Of all decimals that short only one is nearest to any double, so it is the shortest text of the number too.
fn short(number: f64) -> Option<(i64, u8)> {
    const PLACES: f64 = 1e9;
    if !(1e-6..1e6).contains(&number.abs()) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the guard leaves whole numbers below 10^15")]
    let units = (number * PLACES).round() as i64;
    #[expect(
        clippy::cast_precision_loss,
        clippy::float_cmp,
        reason = "both sides of the division are exact, so it gives the double that is nearest to the decimal"
    )]
    let is_it = units as f64 / PLACES == number;
    is_it.then(|| without_zeros(units, 0))
}

/// Counts the zeros that a number ends in to those that follow it. Zero is written in one way.
fn without_zeros(mut mantissa: i64, mut zeros: u8) -> (i64, u8) {
    while mantissa != 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        zeros += 1;
    }
    (mantissa, if mantissa == 0 { 0 } else { zeros })
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
pub(super) fn pack_whole(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(low_bits(number) | 0x80);
        number >>= 7;
    }
    out.push(low_bits(number));
}

fn low_bits(number: u64) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_short_number_is_found_without_its_text_and_no_other_is() {
        let check =
            |number: f64, expected: Option<(i64, u8)>| assert_eq!(short(number), expected, "{number}");
        check(12.5, Some((125, 8)));
        check(-0.000_001, Some((-1, 3)));
        check(999_999.999_999_999, Some((999_999_999_999_999, 0)));
        check(0.1, Some((1, 8)));
        check(0.1 + 0.2, None);
        check(0.000_000_9, None);
        check(1e6 + 0.5, None);
        check(0.1_f64.next_up(), None);
        check(f64::NAN, None);
        check(0.0, None);
    }

    #[test]
    fn a_plain_decimal_is_what_parsing_its_text_gives() {
        let check =
            |text: &str, expected: Option<(i64, u8)>| assert_eq!(plain_decimal(text), expected, "{text}");
        check("0", Some((0, 0)));
        check("12.5", Some((125, 8)));
        check("-120", Some((-12, 10)));
        check("0.000001", Some((1, 3)));
        check("10000000000000000", Some((1, 25)));
        check("123456789012345680", None);
        check("0.1234567891", None);
        check("1e-7", None);
        check("1e+21", None);
    }

    proptest! {
        #[test]
        fn a_plain_decimal_is_exact(mantissa in -99_999_999_999_999_999_i64..99_999_999_999_999_999, small in -9999..9999, places in 0..20) {
            for written in [format!("{mantissa}e-{places}"), format!("{small}e-{places}"), format!("{small}e{places}")] {
                let number: f64 = written.parse().unwrap();
                let text = number_text(number);
                let plain = plain_decimal(&text);
                if let Some((mantissa, zeros)) = plain {
                    let decimal = Num::from_units(i128::from(mantissa) * 10_i128.pow(u32::from(zeros)));
                    prop_assert_eq!(Num::parse(&text), Some(decimal));
                    // The number has no other text, so none has to be kept.
                    prop_assert_eq!(decimal.to_string(), text);
                }
                if let Some(short) = short(number) {
                    prop_assert_eq!(plain, Some(short));
                }
                if let Some(whole) = whole(number) {
                    prop_assert_eq!(plain, Some(without_zeros(whole, 9)));
                }
            }
        }
    }
}
