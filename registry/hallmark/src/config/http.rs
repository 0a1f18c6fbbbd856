//! `[http]`: where the daemon listens, who may ask, and how much at once.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroU64},
    path::PathBuf,
    time::Duration,
};

use serde::Deserialize;

/// `[http]`: where the daemon listens, who may ask, and how much at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HttpConfig {
    /// Address and port; port 0 picks a free one.
    pub(crate) listen: SocketAddr,
    /// Holds the token without which nothing can be read; without it reading is open.
    pub(crate) read_token_file: Option<PathBuf>,
    /// Holds the token for acting on the host over TCP; without it that is possible over the Unix socket only.
    pub(crate) operator_token_file: Option<PathBuf>,
    /// How many connections may stand at once.
    pub(crate) connections_max: usize,
    /// How many requests may be answered at once; one more is told to come back.
    pub(crate) requests_max: usize,
    /// How large the body of a request may be.
    pub(crate) body_bytes_max: usize,
    /// How long a client may take for the head of a request.
    pub(crate) header_seconds_max: u64,
    /// How long a request may take until its answer begins, its body included.
    pub(crate) answer_seconds_max: NonZeroU64,
    /// How long a client may leave what it asked for unread.
    pub(crate) write_seconds_max: u64,
    /// How many requests a second one client may make. Unless set, that is 2,000 for clients on other machines and
    /// unlimited for this one.
    pub(crate) client_requests_per_second: Option<NonZeroU32>,
    /// Origins whose web pages may read this daemon's answers; none by default.
    pub(crate) cors_origins: Vec<String>,
    /// How many clients may watch `/v1/watch` at once.
    pub(crate) watchers_max: usize,
    /// How often those who watch hear that the daemon is still there.
    pub(crate) heartbeat_seconds: NonZeroU64,
    /// How many past events a client that comes back can still get.
    pub(crate) events_kept: usize,
    /// How long requests and transfers may go on after a stop was asked for.
    pub(crate) stop_seconds_max: u64,
}

impl HttpConfig {
    /// Returns how long a request may take until its answer begins.
    pub(crate) fn answer_limit(&self) -> Duration {
        Duration::from_secs(self.answer_seconds_max.get())
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8420)),
            read_token_file: None,
            operator_token_file: None,
            connections_max: 4096,
            requests_max: 1024,
            body_bytes_max: 1 << 20,
            header_seconds_max: 10,
            answer_seconds_max: const { NonZeroU64::new(30).unwrap() },
            write_seconds_max: 30,
            client_requests_per_second: None,
            cors_origins: Vec::new(),
            watchers_max: 256,
            heartbeat_seconds: const { NonZeroU64::new(15).unwrap() },
            events_kept: 1024,
            stop_seconds_max: 10,
        }
    }
}
