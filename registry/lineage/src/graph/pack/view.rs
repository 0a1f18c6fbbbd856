//! Packed fields, read where they stand.

use std::borrow::Cow;

use super::{EXACT, FALSE, HUGE, LIST, MAP, ROUNDED, TEXT, TRUE, ZEROS};
use crate::{json::number_text, num::Num};

/// A value of an event, as it stands in memory.
#[derive(Clone, Debug)]
pub(crate) enum View<'g> {
    Null,
    Bool(bool),
    /// A number that came as a decimal of at most nine places.
    Exact(Num),
    /// A number that was rounded, or is too large to be one here.
    Double(Option<Num>, f64),
    Text(Cow<'g, str>),
    List(&'g [u8]),
    Map(&'g [u8]),
}

/// Reads packed values one after the other.
pub(crate) struct Values<'g>(&'g [u8]);

impl<'g> Values<'g> {
    pub(crate) fn of(bytes: &'g [u8]) -> Self {
        Self(bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn whole(&mut self) -> Option<u64> {
        let first = self.byte()?;
        // Nearly all are so small.
        if first < 0x80 {
            return Some(u64::from(first));
        }
        let mut number = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// Passes over one value.
    fn pass_over(&mut self) -> Option<()> {
        match self.byte()? {
            TEXT | LIST | MAP => _ = self.block()?,
            HUGE => _ = self.double()?,
            what if what & ROUNDED != 0 => {
                self.whole()?;
                self.double()?;
            }
            what if what & EXACT != 0 => _ = self.whole()?,
            _ => {}
        }
        Some(())
    }

    fn block(&mut self) -> Option<&'g [u8]> {
        let length = usize::try_from(self.whole()?).ok()?;
        let (block, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(block)
    }

    fn double(&mut self) -> Option<f64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(f64::from_le_bytes(*bytes))
    }

    fn decimal(&mut self, zeros: u8) -> Option<Num> {
        let packed = self.whole()?;
        let magnitude = i128::from(packed >> 1);
        let mantissa = if packed & 1 == 1 { -magnitude } else { magnitude };
        Some(Num::from_units(mantissa * POWERS_OF_TEN[usize::from(zeros & ZEROS)]))
    }
}

/// Enough for every number that may come in.
const POWERS_OF_TEN: [i128; 32] = {
    let mut powers = [1; 32];
    let mut index = 1;
    while index < 32 {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
};

impl<'g> Iterator for Values<'g> {
    type Item = View<'g>;

    fn next(&mut self) -> Option<View<'g>> {
        Some(match self.byte()? {
            FALSE => View::Bool(false),
            TRUE => View::Bool(true),
            // Only whole strings were packed.
            TEXT => View::Text(String::from_utf8_lossy(self.block()?)),
            LIST => View::List(self.block()?),
            MAP => View::Map(self.block()?),
            HUGE => View::Double(None, self.double()?),
            what if what & ROUNDED != 0 => View::Double(Some(self.decimal(what)?), self.double()?),
            what if what & EXACT != 0 => View::Exact(self.decimal(what)?),
            _ => View::Null,
        })
    }
}

impl<'g> View<'g> {
    /// Returns a number as packing and viewing it would.
    pub(crate) fn of_double(number: f64) -> Self {
        match Num::of_double(number) {
            Some(decimal) if decimal.to_string() == number_text(number) => Self::Exact(decimal),
            decimal => Self::Double(decimal, number),
        }
    }

    /// Returns the value of a field, if this is a map that has it.
    pub(crate) fn field(&self, key: u32) -> Option<View<'g>> {
        let Self::Map(bytes) = self else { return None };
        let mut values = Values(bytes);
        loop {
            let found = values.whole()?;
            if found == u64::from(key) {
                return values.next();
            }
            values.pass_over()?;
        }
    }

    /// Hands on the value, or each element of a list, lists in it opened too.
    pub(crate) fn flatten(self, each: &mut impl FnMut(View<'g>)) {
        match self {
            Self::List(bytes) => Values(bytes).for_each(|it| it.flatten(each)),
            other => each(other),
        }
    }

    /// Returns the value as a number, if it is one or its text is.
    pub(crate) fn to_num(&self) -> Option<Num> {
        match self {
            Self::Bool(value) => Some(if *value { Num::ONE } else { Num::ZERO }),
            Self::Exact(number) => Some(*number),
            Self::Double(number, _) => *number,
            Self::Text(text) => Num::parse(text),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// Returns the text of a string, a number or a boolean.
    pub(crate) fn into_text(self) -> Option<Cow<'g, str>> {
        match self {
            Self::Bool(value) => Some(Cow::Borrowed(if value { "true" } else { "false" })),
            Self::Exact(number) => Some(Cow::Owned(number.to_string())),
            Self::Double(_, double) => Some(Cow::Owned(number_text(double))),
            Self::Text(text) => Some(text),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// Returns the value as a boolean, if it says yes or no.
    pub(crate) fn to_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Exact(Num::ONE) => Some(true),
            Self::Exact(Num::ZERO) => Some(false),
            Self::Text(text) => match text.as_ref() {
                "true" | "1" | "yes" => Some(true),
                "false" | "0" | "no" => Some(false),
                _ => None,
            },
            Self::Null | Self::Exact(_) | Self::Double(..) | Self::List(_) | Self::Map(_) => None,
        }
    }
}
