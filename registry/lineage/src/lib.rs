//! What a decision rests on: ITEM cards, selectors, crawl, features, evaluation, UPDATE.
//!
//! Nothing stands here yet. Pure: no file, no socket, no runtime, no clock; it may rest on `ledger` and `base`.
