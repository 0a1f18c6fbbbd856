//! The way of an event into the log: proven on a few threads, examined, then written by one.

use std::{sync::Arc, time::Instant};

use ledger::{AppendError, Claimed, Kind, Outcome, Prepared, Signed, VerifyError, log::ClaimError};
use tokio::{sync::oneshot, task::spawn_blocking};

use super::{Ledger, checkers::Unchecked};
use crate::ancestry::Ancestry;

/// Why nobody knows what became of an event, or why it is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// It is no event, or its author did not sign it.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// It may be sent again.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl From<Unchecked> for AppendError {
    fn from(_: Unchecked) -> Self {
        Self::Closed
    }
}

impl From<Unchecked> for PublishError {
    fn from(unchecked: Unchecked) -> Self {
        Self::Append(unchecked.into())
    }
}

impl Ledger {
    /// Checks an event and puts it into the log. Returns what became of it, when that is on disk.
    pub(crate) async fn publish(&self, json: String) -> Result<Outcome, PublishError> {
        let (limits, leniency) = (self.0.config.limits(), self.0.config.leniency());
        let verified = self.0.checkers.run(move || Prepared::verify(&json, &limits, leniency)).await?;
        let prepared = verified.inspect_err(|_| self.0.metrics.event("invalid"))?;
        self.foresee(prepared.event()).await?;
        let outcomes = self.submit(vec![prepared]).await?;
        outcomes.into_iter().next().ok_or(PublishError::Append(AppendError::Closed))
    }

    /// Says whether events of a kind may take so long to check that others should not be in one group with them.
    pub(crate) fn takes_long(kind: Kind) -> bool {
        Ancestry::may_be_heavy(kind)
    }

    /// Checks the signatures of some events on one of the threads for that, and returns what became of each, in order.
    pub(crate) async fn verify(
        &self,
        claimed: Vec<Claimed>,
    ) -> Result<Vec<Result<Prepared, VerifyError>>, AppendError> {
        let expected = self.log().expect();
        let verified = self.0.checkers.verify(claimed).await?;
        drop(expected);
        for prepared in verified.iter().flatten() {
            self.foresee(prepared.event()).await?;
        }
        Ok(verified)
    }

    /// Does an UPDATE again before its turn comes, away from the thread that writes.
    async fn foresee(&self, event: &Signed) -> Result<(), AppendError> {
        if Ancestry::is_heavy(event) {
            let _seat = self.0.examiners.acquire().await.map_err(|_| AppendError::Closed)?;
            let (ancestry, event) = (self.0.ancestry.clone(), event.clone());
            spawn_blocking(move || ancestry.foresee(&event)).await.map_err(|_| AppendError::Closed)?;
        }
        Ok(())
    }

    /// Queues events for the log at once. The future says what became of each, in order, when that is on disk.
    pub(crate) fn submit(
        &self,
        prepared: Vec<Prepared>,
    ) -> impl Future<Output = Result<Vec<Outcome>, AppendError>> + Send + use<> {
        let (answer, outcomes) = oneshot::channel();
        let (metrics, begun, count) = (Arc::clone(&self.0.metrics), Instant::now(), prepared.len());
        // Whoever asked may have gone away; the events stay.
        let queued = self.0.log.submit(prepared, Box::new(move |it| drop(answer.send(it))));
        async move {
            let outcomes = async {
                queued?;
                outcomes.await.map_err(|_| AppendError::Closed)?
            };
            let outcomes = outcomes.await;
            let took = begun.elapsed();
            match &outcomes {
                Ok(outcomes) => outcomes.iter().for_each(|it| match it {
                    Outcome::Accepted(_) => metrics.append(took),
                    Outcome::Duplicate(_) => metrics.event("duplicate"),
                    Outcome::Refused(why) => metrics.event(why.prefix()),
                }),
                Err(_) => (0..count).for_each(|_| metrics.event("error")),
            }
            outcomes
        }
    }
}
