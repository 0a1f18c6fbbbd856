//! The way of an event into the log: proven on a few threads, examined, then written by one.

use std::{sync::Arc, time::Instant};

use ledger::{AppendError, Claimed, Outcome, Prepared, Signed, VerifyError, log::ClaimError};
use tokio::{sync::oneshot, task::spawn_blocking};

use super::Ledger;
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

impl Ledger {
    /// Checks an event and puts it into the log. Returns what became of it, when that is on disk.
    pub(crate) async fn publish(&self, json: String) -> Result<Outcome, PublishError> {
        let prepared = {
            let _seat = self.0.verifiers.acquire().await.map_err(|_| AppendError::Closed)?;
            let (limits, leniency) = (self.0.config.limits(), self.0.config.leniency());
            let verified = spawn_blocking(move || Prepared::verify(&json, &limits, leniency)).await;
            verified.map_err(|_| AppendError::Closed)?.inspect_err(|_| self.0.metrics.event("invalid"))?
        };
        self.foresee(prepared.event()).await?;
        Ok(self.submit(prepared).await?)
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

    /// Checks the signature of an event on one of the threads for that.
    pub(crate) async fn verify(&self, claimed: Claimed) -> Result<Result<Signed, VerifyError>, AppendError> {
        let seat = self.0.verifiers.acquire().await.map_err(|_| AppendError::Closed)?;
        let leniency = self.0.config.leniency();
        let verified =
            spawn_blocking(move || claimed.verify(leniency)).await.map_err(|_| AppendError::Closed)?;
        drop(seat);
        if let Ok(event) = &verified {
            self.foresee(event).await?;
        }
        Ok(verified)
    }

    /// Queues an event for the log at once. The future says what became of it, when that is on disk.
    pub(crate) fn submit(
        &self,
        prepared: Prepared,
    ) -> impl Future<Output = Result<Outcome, AppendError>> + Send + use<> {
        let (answer, outcome) = oneshot::channel();
        let (metrics, begun) = (Arc::clone(&self.0.metrics), Instant::now());
        // Whoever asked may have gone away; the event stays.
        let queued = self.0.log.submit(vec![prepared], Box::new(move |it| drop(answer.send(it))));
        async move {
            let outcome = async {
                queued?;
                let outcomes = outcome.await.map_err(|_| AppendError::Closed)??;
                outcomes.into_iter().next().ok_or(AppendError::Closed)
            };
            let outcome = outcome.await;
            match &outcome {
                Ok(Outcome::Accepted(_)) => metrics.append(begun.elapsed()),
                Ok(Outcome::Duplicate(_)) => metrics.event("duplicate"),
                Ok(Outcome::Refused(why)) => metrics.event(why.prefix()),
                Err(_) => metrics.event("error"),
            }
            outcome
        }
    }
}
