//! Fetch, verify, shelve: artifacts whose bytes are the bytes the catalog promised.
//!
//! - Nothing reaches [`Shelf`] unverified: [`Shelf::place`] takes a [`Verified`], and only `verify` makes one.
//! - A crash leaves whole objects and resumable partials, never half an object.
//! - One copy of the bytes: every view is links into the shelf.

pub mod chunks;
pub mod gc;
pub mod inspect;
pub mod quarantine;
pub mod scrub;
pub mod shelf;
pub mod upload;
pub mod verify;
pub mod view;

mod backoff;
mod client;
mod cursor;
mod durable;
mod fault;
mod fetch;
mod hub;
mod journal;
mod judge;
mod lease;
mod limit;
mod obtain;
mod partial;
mod progress;
mod reply;
mod resolve;
mod room;
mod scribe;
mod settings;
mod source;
mod spans;
mod token;
mod want;

pub use backoff::{Pause, RealPause};
pub use cursor::CHUNK_BYTES;
pub use durable::DiskError;
pub use fault::{Shown, SourceError};
pub use fetch::{Downloader, FetchError, SourceFailure};
pub use hub::{Hub, HubEntry, HubError};
pub use judge::{Try, Verdict, judge};
pub use lease::Lease;
pub use obtain::ObtainError;
pub use partial::{Partial, Partials};
pub use progress::{Meter, Phase, Progress};
pub use quarantine::Quarantined;
pub use room::{DiskRoom, Room};
pub use settings::Settings;
pub use shelf::{Loose, Object, Shelf};
pub use source::{EndpointError, HubEndpoint, HubFile, Source};
pub use token::{Token, TokenError, TokenFile};
pub use verify::{Checked, Promise, Refused, Unverified, Verified, VerifyError, check_file, verify_file};
pub use want::Want;
