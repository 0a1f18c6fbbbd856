//! Being built.

pub mod follow;
pub mod watch;
