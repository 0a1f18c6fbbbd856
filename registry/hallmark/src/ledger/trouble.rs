//! What an operator is told when the log cannot be written: by far most often, its disk is full.
//!
//! Writing may fail with every event that comes, or with every other one. So it is said when it begins, at most once a
//! minute, and once that it is over.

use std::sync::atomic::{AtomicBool, Ordering};

use ledger::StoreError;

use crate::{host::with_causes, quiet::Quiet};

/// What was said of it.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    quiet: Quiet,
    /// Whether the last word was that writing fails.
    is_told: AtomicBool,
}

impl Trouble {
    /// Takes that a write has failed.
    pub(super) fn fails(&self, error: &StoreError) {
        if !self.quiet.is_over() {
            return;
        }
        self.is_told.store(true, Ordering::Relaxed);
        let remedy = match error {
            StoreError::Sqlite { .. } => "Make room, or look after the disk, and it goes on by itself",
            StoreError::Gone { .. } => {
                "Put the file back and it goes on by itself, or restart the daemon to begin with what is there now"
            }
            StoreError::Row { .. } => {
                "Restart the daemon: it checks the file, and says what is wrong with it"
            }
        };
        tracing::error!(
            "Nothing can be written down, and what comes is refused: {}. {remedy}",
            with_causes(error)
        );
    }

    /// Takes that a write has succeeded after one failed.
    pub(super) fn goes_on(&self) {
        // Who was not told of the trouble is not told of its end.
        if self.is_told.swap(false, Ordering::Relaxed) {
            tracing::info!("The event log is written again; what was refused meanwhile may be sent again");
        }
    }
}

/// Says why the log cannot be written, without where it is: anybody may ask that.
pub(super) fn why(error: &StoreError) -> String {
    let cause = match error {
        StoreError::Sqlite { source, .. } => source.to_string(),
        StoreError::Gone { .. } => "its file was moved, removed or replaced".to_owned(),
        StoreError::Row { .. } => "its file is damaged".to_owned(),
    };
    format!("nothing can be written down ({cause}), and what comes is refused")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_told_why_and_nobody_where() {
        let error = StoreError::Gone { path: "/srv/ledger.sqlite".into() };
        assert!(error.to_string().contains("/srv/ledger.sqlite"));
        let why = why(&error);
        assert!(why.contains("removed") && !why.contains("/srv"), "{why}");
    }
}
