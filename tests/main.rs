//! Stories that drive the real `hallmark`, one binary for all of them.

mod support;

mod corpus;
mod crash;
mod fetch;
mod fetch_faults;
mod gc;
mod git_source;
mod hf_cache;
mod layering;
mod lineage;
mod scrub;
mod shelf;
mod sync;
mod validate;
mod watch;
