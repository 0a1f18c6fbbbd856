//! What the log has already: the answers to REQ and COUNT.

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc};

use base::Address;
use ledger::{
    Filter,
    relay::{self, Session, SubscriptionId},
};

use super::{Client, End};
use crate::ledger::Ledger;

/// How many bytes of stored events one answer has.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// How many of them are read while others wait.
const AT_ONCE_BYTES_MAX: usize = 512 << 10;

impl Client {
    /// Sends the stored events that a subscription asks for.
    pub(super) async fn read(&mut self, id: SubscriptionId, filters: Arc<[Filter]>) -> ControlFlow<End> {
        // It listens before it looks how far the log is, and is told nothing while it looks: so nothing comes between.
        if self.place.is_none() {
            self.place = self.hall.enter(&self.line);
        }
        let (size, proved) = {
            let mut state = self.line.state();
            let (size, _) = self.ledger.log().head();
            state.session.begin(&id, size);
            (size, state.session.proved().clone())
        };
        let found = find(&self.ledger, &id, &filters, size, &proved).await;
        let (found, is_cut) = match found {
            Ok(found) => found,
            Err(error) => {
                tracing::error!("A subscription could not be answered: {error:#}");
                let frame = self.line.state().session.failed(&id);
                return self.say(frame).await;
            }
        };
        for frame in found {
            self.say(frame).await?;
        }
        if is_cut {
            let text =
                format!("{id}: the answer was cut at {ANSWER_BYTES_MAX} bytes; ask for the rest with until");
            self.say(serde_json::json!(["NOTICE", text]).to_string()).await?;
        }
        self.say(Session::end_of_stored(&id)).await
    }

    pub(super) async fn count(&mut self, id: SubscriptionId, filters: Arc<[Filter]>) -> ControlFlow<End> {
        let proved = self.line.state().session.proved().clone();
        let count = move |ledger: &Ledger| relay::count(ledger.log(), ledger.relay(), &filters, &proved);
        let frame = match self.ledger.read(count).await {
            Ok((count, is_all)) => Session::counted(&id, count, is_all),
            Err(error) => {
                tracing::error!("A count could not be made: {error:#}");
                self.line.state().session.failed(&id)
            }
        };
        self.say(frame).await
    }
}

/// Finds the frames with the stored events that a subscription asks for, and says whether they were cut.
async fn find(
    ledger: &Ledger,
    id: &SubscriptionId,
    filters: &[Filter],
    size: u64,
    proved: &BTreeSet<Address>,
) -> anyhow::Result<(Vec<String>, bool)> {
    let look = |bytes_max: usize| {
        move |ledger: &Ledger| {
            let (mut found, mut left, mut is_cut) = (Vec::<String>::new(), bytes_max, false);
            relay::stored(ledger.log(), ledger.relay(), filters, size, proved, |it| {
                let Some(rest) = left.checked_sub(it.json.len()) else {
                    is_cut = true;
                    return ControlFlow::Break(());
                };
                left = rest;
                found.push(Session::stored(id, it));
                ControlFlow::Continue(())
            })?;
            Ok((found, is_cut))
        }
    };
    if relay::is_found_at_once(ledger.relay(), filters) {
        let (found, is_cut) = ledger.read_at_once(look(AT_ONCE_BYTES_MAX)).await?;
        if !is_cut {
            return Ok((found, false));
        }
    }
    ledger.read_here(look(ANSWER_BYTES_MAX)).await
}
