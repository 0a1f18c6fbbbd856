//! Stories that drive the real `hallmark`, one binary for all of them.

mod support;

mod add;
mod clients;
mod corpus;
mod crash;
mod daemon;
mod daemon_life;
mod demo;
mod fetch;
mod fetch_faults;
mod gc;
mod git_source;
mod hf_cache;
mod http_api;
mod http_bytes;
mod http_contract;
mod http_door;
mod hub_endpoint;
mod layering;
mod ledger;
mod lineage;
mod nix_builds;
mod propose;
mod publish;
mod relay;
mod remote;
mod scrub;
mod shelf;
mod sync;
mod validate;
mod wait;
mod watch;
