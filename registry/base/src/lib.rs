//! The words every other crate speaks: digests, names, paths, keys and time.
//!
//! Pure: no file, no socket, no thread, no runtime. Each type is parsed once, at the door, and its
//! `Display` gives back what its `parse` takes.

pub mod digest;
pub mod hex;
pub mod key;
pub mod name;
pub mod path;
pub mod time;

pub use digest::{Hasher, Midstate, Sha256};
pub use key::{Address, PublicKey};
pub use name::{CommitId, ModelId};
pub use path::{EntryPath, PathError};
pub use time::{Clock, SystemClock, UnixSeconds};
