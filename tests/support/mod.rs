//! What the stories share.

pub(crate) mod hub;
pub(crate) mod peers;
pub(crate) mod pull;
