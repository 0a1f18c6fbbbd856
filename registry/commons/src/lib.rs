//! People, tasks, reputation and ML-Net, as folds over the log.
//!
//! Nothing stands here yet. Pure where it decides; it may rest on `lineage`, `ledger` and `base`.
