//! What a decision rests on: ITEM cards, selectors, crawl, features, evaluation, UPDATE.
//!
//! The same card over the same events gives the same bits on every machine:
//! - no clock, no chance, no map order, no float in a feature: `clippy.toml` of this crate refuses them;
//! - numbers are whole multiples of 10^-9 (`num`), texts are canonical JSON (`json`) before they are hashed;
//! - gas is a function of the card and the events, so all agree on what was too dear;
//! - every walk is bounded by the card's limits, and a bound that is hit says so.

mod bits;
pub mod case;
mod claim;
mod crawl;
mod evaluate;
mod event;
mod explain;
mod extraction;
mod features;
mod flaw;
mod fold;
mod gas;
mod graph;
mod item;
pub mod json;
pub mod lint;
mod listing;
mod model;
mod num;
mod reader;
mod schema;
mod selector;
mod sigmoid;
mod standing;
pub mod tiers;
mod update;
mod value;
mod walk;
mod window;

pub use claim::{CARD, Claim, MODEL, VALIDATION};
pub use crawl::Stop;
pub use evaluate::{Caps, Checkpoint, Evaluation, evaluate};
pub use event::{Content, Event, Fact, Id};
pub use explain::explain;
pub use extraction::{Extraction, extract};
pub use features::{Extracted, FeatureVector};
pub use flaw::{Code, Flaw};
pub use graph::{Below, Graph, GraphError};
pub use item::{
    Control, Direction, EventFilter, Feature, Item, Job, ModelName, ModelNameError, Output, Provenance,
    Query, ResultFields, Spec, Start,
};
pub use listing::{Crawl, Visit, list};
pub use model::{Judgement, Model};
pub use num::Num;
pub use schema::{ITEM_SCHEMA, UPDATE_SCHEMA};
pub use selector::{Agg, Condition, Op, Path, Root, Selector, SelectorError, Step};
pub use standing::{Standing, Written, is_same_author, may_write};
pub use update::{Update, cid_of, parse_cid, payload};
pub use value::Type;
pub use window::{Unit, Window, WindowError};
