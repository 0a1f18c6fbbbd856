//! What a decision rests on: ITEM cards, selectors, crawl, features, evaluation, UPDATE.
//!
//! The same card over the same events gives the same bits on every machine:
//! - no clock, no chance, no map order, no float in a feature: `clippy.toml` of this crate refuses them;
//! - numbers are whole multiples of 10^-9 (`num`), texts are canonical JSON (`json`) before they are hashed;
//! - gas is a function of the card and the events, so all agree on what was too dear;
//! - every walk is bounded by the card's limits, and a bound that is hit says so.

mod flaw;
pub mod json;
mod num;
mod selector;

pub use flaw::{Code, Flaw};
pub use num::Num;
pub use selector::{Agg, Condition, Op, Path, Root, Selector, SelectorError, Step};
