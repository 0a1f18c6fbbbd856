//! Keeps artifacts whose bytes are the bytes the catalog promised.
//!
//! - Nothing reaches [`Shelf`] unverified: [`Shelf::place`] takes a [`Verified`].
//! - A crash leaves whole objects and stray temporary files, never half an object.
//! - One copy of the bytes: every view is links into the shelf.

pub mod chunks;
pub mod gc;
pub mod inspect;
pub mod quarantine;
pub mod scrub;
pub mod shelf;
pub mod verify;
pub mod view;

pub use durable::DiskError;
pub use lease::Lease;
pub use quarantine::Quarantined;
pub use shelf::{Loose, Object, Shelf};
pub use verify::{Checked, Promise, Refused, Unverified, Verified, VerifyError, check_file, verify_file};

/// Length of the pieces whose digests are kept beside an object.
pub const CHUNK_BYTES: u64 = 16 << 20;

mod durable;
mod lease;
