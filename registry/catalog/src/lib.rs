//! `index.json`: parse, validate, compare, watch.
//!
//! - What is wrong with an index is a [`Flaw`]: all of them are reported, each with its place and a remedy.
//! - An [`Index`] exists only if it holds; the last good one is never replaced by a broken one.
//! - No runtime, no network but git's: whoever watches gets told by a channel.

pub mod bump;
pub mod check;
pub mod diff;
pub mod document;
pub mod edit;
pub mod entry;
pub mod flaw;
pub mod follow;
pub mod git;
mod glance;
pub mod hashed;
pub mod index;
pub mod location;
pub mod reader;
pub mod rules;
pub mod schema;
pub mod watch;
pub mod work_tree;

pub use bump::Bump;
pub use check::{Checked, check, check_again, check_typed, validate, validate_file};
pub use diff::{Changes, diff};
pub use entry::Entry;
pub use flaw::{Flaw, Report, Severity};
pub use hashed::Hashed;
pub use index::{Index, Listed, NotFound};
pub use reader::reader;
pub use schema::{Contract, ContractError, SCHEMA};
