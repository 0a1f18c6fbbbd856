//! Whoever asks about the log, and as of when.

use axum::{extract::FromRequestParts, http::request::Parts};
use ledger::{Filter, Kind, Query, StoreError, Stored};

use super::super::{App, Problem, sight::Sight};
use crate::ledger::Ledger;

/// Whoever asks, and about which moment.
#[derive(Clone)]
pub(super) struct Reader {
    sight: Sight,
    /// How many of the log's first events they ask about; all of them unless they say.
    at: Option<u64>,
}

impl FromRequestParts<App> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Self { sight: Sight::from_request_parts(parts, app).await?, at: None })
    }
}

impl Reader {
    /// Looks at the log as it was when it had so many events.
    pub(super) fn at(self, at: Option<u64>) -> Self {
        Self { at, ..self }
    }

    pub(super) fn ledger(&self) -> &Ledger {
        self.sight.ledger()
    }

    /// Says whether they may see events of a kind.
    pub(super) fn sees(&self, kind: Kind) -> bool {
        self.sight.sees(kind)
    }

    /// Says whether the log had the event of a place at that moment.
    pub(super) fn had(&self, seq: u64) -> bool {
        self.at.is_none_or(|at| seq < at)
    }

    /// Puts a filter into a question about the log as it was at that moment.
    pub(super) fn query(&self, filter: Filter) -> Query {
        Query { filter, size: self.at, after: None }
    }

    /// Asks the log as it was at that moment.
    pub(super) fn find(&self, filter: Filter) -> Result<Vec<Stored>, StoreError> {
        self.ledger().log().query(&self.query(filter))
    }

    /// Looks into the log on a thread that may wait for the disk.
    pub(super) async fn read<T: Send + 'static>(
        self,
        look: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let ledger = self.ledger().clone();
        ledger.read(move |_| look(&self)).await.map_err(|error| Problem::internal(&error))
    }
}
