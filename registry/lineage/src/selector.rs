//! Selectors: which values of an event a feature looks at.
//!
//! - A selector is at most [`TEXT_BYTES_MAX`] bytes and [`STEPS_MAX`] steps, has no recursion and no arithmetic, so
//!   its text bounds what reading and running it costs.
//! - [`Selector::parse`] and `Display` are inverse: what is printed parses to the same value.

mod parse;

use std::fmt;

pub use parse::SelectorError;

use crate::num::Num;

/// The longest text of a selector.
pub(crate) const TEXT_BYTES_MAX: usize = 256;
/// The most steps after the root.
pub(crate) const STEPS_MAX: usize = 16;
/// The most conditions in one filter.
pub(crate) const CONDITIONS_MAX: usize = 4;
/// The longest name that needs no quotes, and the longest bare literal.
pub(crate) const WORD_BYTES_MAX: usize = 64;

/// How many values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Agg {
    /// Their sum, 0 without any.
    Sum,
    /// Their mean, rounded once.
    Avg,
    /// How many there are, whatever their type.
    Count,
    /// The smallest; of texts the first by bytes.
    Min,
    /// The largest; of texts the last by bytes.
    Max,
    /// The earliest by time, id and place in the event.
    First,
    /// The latest by time, id and place in the event.
    Last,
    /// How often each value occurs, or how many lie between given edges.
    Hist,
}

impl Agg {
    const ALL: [Self; 8] =
        [Self::Sum, Self::Avg, Self::Count, Self::Min, Self::Max, Self::First, Self::Last, Self::Hist];

    /// Reads the name of an aggregation.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Returns the name, as cards write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::First => "first",
            Self::Last => "last",
            Self::Hist => "hist",
        }
    }
}

/// A parsed selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The function around the path, if there is one. Never [`Agg::Hist`].
    pub function: Option<Agg>,
    /// Where the values are.
    pub path: Path,
}

impl Selector {
    /// Reads a selector.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        parse::selector(text)
    }
}

/// Where values are found in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// `txid`: the event's id.
    TxId,
    /// `time`: when its author says it was made.
    Time,
    /// `blk.height`: its place in the ledger.
    Height,
    /// `rel.parents`: the ids of its parents.
    Parents,
    /// `rel.children`: the ids of the events that name it as parent.
    Children,
    /// A walk through named fields.
    Fields {
        /// Where it starts.
        root: Root,
        /// What the root must fulfil; empty for no filter.
        filter: Vec<Condition>,
        /// Which fields to enter, at least one.
        steps: Vec<Step>,
    },
}

/// What has named fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// Tags and content, content first.
    Meta,
    /// Tags alone.
    Tag,
    /// The event itself: `kind`, `pubkey`, `id`, `value`.
    Tx,
}

/// The fields that [`Root::Tx`] has.
pub(crate) const TX_FIELDS: [&str; 4] = ["kind", "pubkey", "id", "value"];

/// One field to enter; lists are walked on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The field's name.
    pub name: String,
    /// What an element found there must fulfil; empty for no filter.
    pub filter: Vec<Condition>,
}

/// A test of one field. An absent field passes none, not even `!=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The field's name.
    pub name: String,
    /// How to compare.
    pub op: Op,
    /// With what.
    pub literal: String,
}

/// How two values are compared: `=` and `!=` as text, the others as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Op {
    /// Every comparison; a sign that begins another stands behind it.
    pub(crate) const ALL: [Self; 6] =
        [Self::NotEqual, Self::LessOrEqual, Self::GreaterOrEqual, Self::Equal, Self::Less, Self::Greater];

    /// Reads a sign.
    pub fn parse(sign: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.sign() == sign)
    }

    /// Returns the sign.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// Says whether it compares texts, and not numbers.
    pub(crate) const fn is_textual(self) -> bool {
        matches!(self, Self::Equal | Self::NotEqual)
    }

    /// Compares two numbers.
    pub(crate) fn holds(self, left: Num, right: Num) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.function {
            Some(function) => write!(out, "{}({})", function.name(), self.path),
            None => self.path.fmt(out),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TxId => out.write_str("txid"),
            Self::Time => out.write_str("time"),
            Self::Height => out.write_str("blk.height"),
            Self::Parents => out.write_str("rel.parents"),
            Self::Children => out.write_str("rel.children"),
            Self::Fields { root, filter, steps } => {
                out.write_str(match root {
                    Root::Meta => "meta",
                    Root::Tag => "tag",
                    Root::Tx => "tx",
                })?;
                write_filter(out, filter)?;
                for step in steps {
                    out.write_str(".")?;
                    write_word(out, &step.name, parse::is_ident(&step.name))?;
                    write_filter(out, &step.filter)?;
                }
                Ok(())
            }
        }
    }
}

fn write_filter(out: &mut fmt::Formatter<'_>, filter: &[Condition]) -> fmt::Result {
    for (index, condition) in filter.iter().enumerate() {
        out.write_str(if index == 0 { "[" } else { "," })?;
        write_word(out, &condition.name, parse::is_ident(&condition.name))?;
        out.write_str(condition.op.sign())?;
        write_word(out, &condition.literal, parse::is_bare(&condition.literal))?;
    }
    out.write_str(if filter.is_empty() { "" } else { "]" })
}

fn write_word(out: &mut fmt::Formatter<'_>, word: &str, is_plain: bool) -> fmt::Result {
    if is_plain {
        return out.write_str(word);
    }
    write!(out, "\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
