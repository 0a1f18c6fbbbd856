//! How to fetch: limits and habits, with their defaults.

use std::{num::NonZeroU64, time::Duration};

use crate::{source::HubEndpoint, token::TokenFile};

/// How downloads behave. Every bound has a default that suits a host on the open network.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The hub that stands in for `https://huggingface.co`.
    pub endpoint: HubEndpoint,
    /// The token for the endpoint's origin.
    pub token: Option<TokenFile>,
    /// How many files are fetched at once.
    pub files_max: usize,
    /// How many ranges of one file are fetched at once.
    pub parts_max: usize,
    /// How long such a range is. Files shorter than two of them come in one piece.
    pub part_bytes: u64,
    /// What all downloads together may use of the network.
    pub bytes_per_second_max: Option<NonZeroU64>,
    /// How much memory the bytes in flight may take, over all downloads.
    pub memory_bytes_max: u32,
    /// How much arrives before it is synced and journalled; at most a second passes in any case.
    pub sync_bytes: u64,
    /// How much of the disk stays free.
    pub keep_free_bytes: u64,
    /// How long a connection may take to stand.
    pub connect_time_max: Duration,
    /// How long a server may be silent.
    pub idle_time_max: Duration,
    /// How long one file may take in all.
    pub whole_time_max: Duration,
    /// How slow a server may be, measured over [`slow_time_max`](Self::slow_time_max).
    pub bytes_per_second_min: u64,
    /// How long a server may stay below [`bytes_per_second_min`](Self::bytes_per_second_min).
    pub slow_time_max: Duration,
    /// How many tries in a row may fail without a mebibyte of progress.
    pub tries_max: u32,
    /// The first pause between tries; each further one may be twice as long.
    pub pause_first: Duration,
    /// The longest pause of our own choice.
    pub pause_max: Duration,
    /// The longest pause that a server may ask for; beyond it the source has failed for now.
    pub asked_pause_max: Duration,
    /// How long to wait for another process that writes the same file.
    pub lock_time_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoint: HubEndpoint::default(),
            token: None,
            files_max: 4,
            parts_max: 4,
            part_bytes: 32 << 20,
            bytes_per_second_max: None,
            // With the program itself, still less than half of what `hf` takes: see `tests/bench/vault`.
            memory_bytes_max: 10 << 20,
            sync_bytes: 128 << 20,
            keep_free_bytes: 64 << 20,
            connect_time_max: Duration::from_secs(15),
            idle_time_max: Duration::from_mins(1),
            whole_time_max: Duration::from_hours(24),
            bytes_per_second_min: 1 << 10,
            slow_time_max: Duration::from_mins(1),
            tries_max: 8,
            pause_first: Duration::from_millis(500),
            pause_max: Duration::from_mins(1),
            asked_pause_max: Duration::from_mins(15),
            lock_time_max: Duration::from_hours(1),
        }
    }
}
