//! What the stories share.

pub(crate) mod hub;
pub(crate) mod pull;
