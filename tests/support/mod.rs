//! What the stories share.

pub(crate) mod daemon;
pub(crate) mod events;
pub(crate) mod git_server;
pub(crate) mod host;
pub(crate) mod hub;
pub(crate) mod peers;
pub(crate) mod pull;
pub(crate) mod relay;
pub(crate) mod ssh_server;
pub(crate) mod tls;
