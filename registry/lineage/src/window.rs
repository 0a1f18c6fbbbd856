//! Windows: which of the visited events count, by how recent they are.
//!
//! A window trails the newest visited event, never the wall clock, so the same set gives the same answer tomorrow.
//! Only a window that ends in `@at` trails the time of the checkpoint that the evaluation names.

use std::fmt;

/// The most digits of a window's length; 10^10 weeks still fit into 64 bits.
const DIGITS_MAX: usize = 10;

/// What a window is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Places in the ledger.
    Blocks,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Days.
    Days,
    /// Weeks.
    Weeks,
}

impl Unit {
    const ALL: [(Self, &'static str, u64); 6] = [
        (Self::Blocks, "blocks", 1),
        (Self::Seconds, "s", 1),
        (Self::Minutes, "m", 60),
        (Self::Hours, "h", 3600),
        (Self::Days, "d", 86_400),
        (Self::Weeks, "w", 604_800),
    ];
}

/// A trailing window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How many units, at least 1.
    pub length: u64,
    /// Of what.
    pub unit: Unit,
    /// Whether it ends at the checkpoint instead of the newest visited event.
    pub from_checkpoint: bool,
}

/// Why a text is no window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a whole number from 1 and blocks, s, m, h, d or w, such as `10blocks`, `24h` or `30d@at`")]
pub struct WindowError;

impl Window {
    /// Reads a window.
    pub fn parse(text: &str) -> Result<Self, WindowError> {
        let (text, from_checkpoint) = text.strip_suffix("@at").map_or((text, false), |it| (it, true));
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        if !(1..=DIGITS_MAX).contains(&digits) {
            return Err(WindowError);
        }
        let (length, unit) = text.split_at(digits);
        let unit = if unit == "block" { "blocks" } else { unit };
        let unit = Unit::ALL.iter().find(|it| it.1 == unit).ok_or(WindowError)?.0;
        let length: u64 = length.parse().map_err(|_| WindowError)?;
        // A checkpoint has a time; its place in the ledger is that of the newest event anyway.
        if length == 0 || (from_checkpoint && unit == Unit::Blocks) {
            return Err(WindowError);
        }
        Ok(Self { length, unit, from_checkpoint })
    }

    /// Returns the length in places or in seconds.
    pub fn span(self) -> u64 {
        let (_, _, factor) = Unit::ALL[self.unit as usize];
        self.length.saturating_mul(factor)
    }

    /// Says whether a value lies in the window that ends at `anchor`.
    pub(crate) fn holds(self, value: u64, anchor: u64) -> bool {
        value <= anchor && anchor - value < self.span()
    }
}

impl fmt::Display for Window {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, unit, _) = Unit::ALL[self.unit as usize];
        write!(out, "{}{unit}{}", self.length, if self.from_checkpoint { "@at" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_a_length_and_a_unit() {
        let check =
            |text: &str, span: u64| assert_eq!(Window::parse(text).map(Window::span), Ok(span), "{text}");
        check("10blocks", 10);
        check("1block", 1);
        check("30s", 30);
        check("2m", 120);
        check("24h", 86_400);
        check("1d", 86_400);
        check("2w", 1_209_600);
        check("30d@at", 2_592_000);
        for wrong in
            ["", "0s", "h", "-1h", "1.5h", "1 h", "1y", "10blocks@at", "99999999999s", "1h@", "+1h", "1H"]
        {
            assert_eq!(Window::parse(wrong), Err(WindowError), "{wrong}");
        }
        assert_eq!(Window::parse("10block").unwrap().to_string(), "10blocks");
        assert_eq!(Window::parse("30d@at").unwrap().to_string(), "30d@at");
    }

    #[test]
    fn ten_blocks_are_ten_places_and_nothing_ahead_counts() {
        let window = Window::parse("10blocks").unwrap();
        assert_eq!(
            (0..30).filter(|it| window.holds(*it, 20)).collect::<Vec<_>>(),
            (11..=20).collect::<Vec<_>>()
        );
        assert!(window.holds(0, 5));
    }
}
