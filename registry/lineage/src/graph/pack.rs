//! Fields of events in a form that is walked without parsing.
//!
//! A value is one byte that says what it is, and what belongs to it. A number keeps the decimal it stands for, so
//! that nothing is converted when a million of them are summed. Only this module writes the form and only [`View`]
//! reads it; it is never stored or sent.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    json::{Json, number_text},
    num::Num,
};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const TEXT: u8 = 3;
const LIST: u8 = 4;
const MAP: u8 = 5;
/// A double too large to be a number here; its eight bytes follow.
const HUGE: u8 = 6;
/// A number whose text is its decimal. The lower bits say how many zeros follow the mantissa.
const EXACT: u8 = 0x20;
/// The same for a number that was rounded to nine places, so its double follows for its text.
const ROUNDED: u8 = 0x40;
const ZEROS: u8 = 0x1f;

/// Gives every field name a number.
#[derive(Debug, Default)]
pub(crate) struct Keys(BTreeMap<String, u32>);

impl Keys {
    /// Returns the number of a name, if any event has a field of that name.
    pub(crate) fn get(&self, name: &str) -> Option<u32> {
        self.0.get(name).copied()
    }

    fn intern(&mut self, name: &str) -> u32 {
        if let Some(known) = self.get(name) {
            return known;
        }
        let key = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.insert(name.to_owned(), key);
        key
    }
}

/// Appends a map.
pub(super) fn pack_map<'j>(
    keys: &mut Keys,
    out: &mut Vec<u8>,
    fields: impl ExactSizeIterator<Item = (&'j str, &'j Json)>,
) {
    let mut inner = Vec::new();
    for (name, value) in fields {
        pack_whole(u64::from(keys.intern(name)), &mut inner);
        pack(keys, value, &mut inner);
    }
    pack_block(MAP, &inner, out);
}

/// Appends what has no fields.
pub(super) fn pack_nothing(out: &mut Vec<u8>) {
    out.push(NULL);
}

fn pack(keys: &mut Keys, value: &Json, out: &mut Vec<u8>) {
    match value {
        Json::Null => out.push(NULL),
        Json::Bool(value) => out.push(if *value { TRUE } else { FALSE }),
        Json::Number(number) => pack_number(*number, out),
        Json::Text(text) => pack_block(TEXT, text.as_bytes(), out),
        Json::List(list) => {
            let mut inner = Vec::new();
            for it in list {
                pack(keys, it, &mut inner);
            }
            pack_block(LIST, &inner, out);
        }
        Json::Map(map) => pack_map(keys, out, map.iter().map(|(name, value)| (name.as_str(), value))),
    }
}

fn pack_block(what: u8, inner: &[u8], out: &mut Vec<u8>) {
    out.push(what);
    pack_whole(inner.len() as u64, out);
    out.extend_from_slice(inner);
}

fn pack_number(number: f64, out: &mut Vec<u8>) {
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
    while mantissa != 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        zeros += 1;
    }
    // Zero is written in one way, whatever its sign.
    let zeros = if mantissa == 0 { 0 } else { zeros };
    Some((if is_negative { -mantissa } else { mantissa }, zeros))
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn pack_whole(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(low_bits(number) | 0x80);
        number >>= 7;
    }
    out.push(low_bits(number));
}

fn low_bits(number: u64) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

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

    fn whole(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unpack(view: View<'_>, keys: &Keys) -> Json {
        let name = |key: u64| keys.0.iter().find(|it| u64::from(*it.1) == key).unwrap().0.clone();
        match view {
            View::Null => Json::Null,
            View::Bool(value) => Json::Bool(value),
            View::Exact(number) => Json::Number(number.to_string().parse().unwrap()),
            View::Double(_, double) => Json::Number(double),
            View::Text(text) => Json::Text(text.into_owned()),
            View::List(bytes) => Json::List(Values(bytes).map(|it| unpack(it, keys)).collect()),
            View::Map(bytes) => {
                let mut values = Values(bytes);
                let mut map = BTreeMap::new();
                while let Some(key) = values.whole() {
                    map.insert(name(key), unpack(values.next().unwrap(), keys));
                }
                Json::Map(map)
            }
        }
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let number = prop_oneof![
            any::<f64>().prop_filter("finite", |it| it.is_finite()),
            any::<i32>().prop_map(f64::from),
            (-1_000_000..1_000_000).prop_map(|it| f64::from(it) / 1000.0),
        ];
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            number.prop_map(Json::Number),
            ".{0,9}".prop_map(Json::Text),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::List),
                prop::collection::btree_map(".{0,3}", inner, 0..4).prop_map(Json::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_packed_is_what_is_viewed(value in any_json()) {
            let (mut keys, mut out) = (Keys::default(), Vec::new());
            pack(&mut keys, &value, &mut out);
            let view = Values::of(&out).next().unwrap();
            prop_assert_eq!(unpack(view.clone(), &keys).canonical(), value.canonical());
            if let Json::Number(number) = value {
                prop_assert_eq!(view.to_num(), Num::of_double(number));
                prop_assert_eq!(view.into_text().unwrap().into_owned(), number_text(number));
            }
        }
    }
}
