//! 1 / (1 + e^-x) in whole numbers: the library function differs between machines, this one cannot.
//!
//! e^-|x| is a Taylor series at 10^24 after the argument was halved to at most 1/8, squared back as often. The
//! result is within half a unit of the ninth place.

use num_bigint::BigInt;

use crate::num::{Num, big_divide_half_even};

/// How many units of 10^-24 a unit of 10^-9 has.
const FINER: u64 = 1_000_000_000_000_000;
const TERMS: u32 = 24;
/// From here on the result is 0 or 1 in all nine places.
const FAR: u64 = 64;

/// Returns the sigmoid of a number.
pub(crate) fn sigmoid(x: Num) -> Num {
    let magnitude = x.units().unsigned_abs();
    if magnitude >= Num::whole(FAR).units().unsigned_abs() {
        return if x > Num::ZERO { Num::ONE } else { Num::ZERO };
    }
    let one = BigInt::from(FINER) * FINER / 1_000_000_u32;
    let mut argument = BigInt::from(magnitude) * FINER;
    let mut halvings = 0;
    while &argument * 8_u32 > one {
        argument /= 2_u32;
        halvings += 1;
    }
    let (mut term, mut power) = (one.clone(), one.clone());
    for index in 1..=TERMS {
        term = big_divide_half_even(&(-term * &argument), &(&one * index));
        power += &term;
    }
    for _ in 0..halvings {
        power = big_divide_half_even(&(&power * &power), &one);
    }
    let numerator = if x >= Num::ZERO { &one } else { &power };
    let units = big_divide_half_even(&(numerator * Num::ONE.units()), &(&one + &power));
    // Between 0 and 1, so it fits.
    Num::from_units(i128::try_from(units).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values_hold() {
        let check = |x: &str, expected: &str| {
            assert_eq!(sigmoid(Num::parse(x).unwrap()).to_string(), expected, "{x}");
        };
        check("0", "0.5");
        check("1", "0.731058579");
        check("-1", "0.268941421");
        check("0.000000001", "0.5");
        check("20", "0.999999998");
        check("-20", "0.000000002");
        check("63.999999999", "1");
        check("64", "1");
        check("-100000000000000000", "0");
    }

    proptest! {
        #[test]
        #[expect(clippy::disallowed_methods, reason = "the library function is what this is compared with")]
        fn it_is_the_library_function_to_half_a_unit(x in -40.0_f64..40.0) {
            let number = Num::of_double((x * 1e6).round() / 1e6).unwrap();
            let exact = 1.0 / (1.0 + (-number.to_double()).exp());
            prop_assert!((sigmoid(number).to_double() - exact).abs() < 5.1e-10);
        }

        #[test]
        fn it_grows_and_mirrors(x in -50_000_000_000_i128..50_000_000_000, step in 0_i128..1_000_000_000) {
            let (low, high) = (sigmoid(Num::from_units(x)), sigmoid(Num::from_units(x + step)));
            prop_assert!(low <= high);
            let mirrored = sigmoid(Num::from_units(-x));
            prop_assert!((low.units() + mirrored.units() - Num::ONE.units()).abs() <= 1);
        }
    }
}
