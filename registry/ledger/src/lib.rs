//! Every fact signed, ordered and provable: events, the clock, subspaces, the relay, the log.
//!
//! - An event goes through three types: a [`Draft`] says something, a [`Signed`] proves who said it, an
//!   [`Accepted`] has its place in the log. There is no other way from one to the next.
//! - Nothing signed is ever printed anew: what an author wrote is kept and given back byte for byte.
//! - SQL stands in one module, which opens, appends and reads; nothing in it ever updates or deletes an event.
//! - What is derived (clocks, members, trees) is a pure fold over the log: a replay gives the same, digest for digest.
//! - No socket and no runtime: a relay session takes a frame and returns replies, the log is called and answers.

pub mod admission;
pub mod auth;
pub mod event;
pub mod filter;
pub mod fold;
pub mod inbox;
pub mod key;
pub mod kinds;
mod lately;
pub mod log;
pub mod outbox;
pub mod relay;
pub mod rules;
mod store;
pub mod subspace;
pub mod tree;

pub use admission::{Objection, Policy, Refusal};
pub use auth::{Auth, AuthTag};
pub use event::{
    Accepted, Author, BodyId, Claimed, Draft, EventId, Kind, Leaf, Leniency, Limits, ParseError, Position,
    Scheme, Sid, Signed, Tag, TagView, VerifyError,
};
pub use filter::Filter;
pub use fold::{Derived, Fold, Live};
pub use inbox::{Heard, Inbox};
pub use key::{SecretKey, signed_text};
pub use log::{AppendError, Log, Options, Outcome, PageMark, Prepared, Query, Told};
pub use outbox::Outbox;
pub use store::{Brief, DamageError, OpenError, StoreError, Stored};
pub use subspace::Membership;
pub use tree::{Checkpoint, CheckpointKey, ProofBundle};
