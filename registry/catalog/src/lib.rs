//! Being built.

pub mod follow;
pub mod git;
pub mod location;
pub mod watch;
