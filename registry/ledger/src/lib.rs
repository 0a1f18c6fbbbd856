//! Every fact signed, ordered and provable: events, the clock, subspaces, the relay, the log.
//!
//! Nothing stands here yet. SQLite will live in this crate only, in its `store`; `base` is all it may rest on.
