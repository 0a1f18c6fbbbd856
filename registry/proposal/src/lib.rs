//! Pull requests: what they say to a reviewer, what to do about the ones there are, and the forges that keep them.
//!
//! - What a forge is asked and what its answer means is pure ([`Forge`]); one [`Client`] carries it, with bounds on
//!   time, size and tries.
//! - A description is a pure function of entries and checks ([`review`]): the same proposal reads the same.
//! - The token goes to the forge's own address only, over an encrypted connection, and into no message.

mod address;
mod client;
mod decide;
pub mod forge;
pub mod review;

pub use address::{Address, AddressError, Kind};
pub use client::{Client, ClientError, Limits, TokenFile};
pub use decide::{Branch, Decision, Refusal, decide};
pub use forge::{Forge, Note, Question, Request, State, Text};
