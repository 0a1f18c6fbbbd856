//! What a model's state on this host says, as findings that can be signed.

use anyhow::Context as _;
use ledger::kinds::ValidResult;
use vault::Shelf;

use super::chain::Finding;
use crate::{order::Order, state::State, world::Model};

/// Lists what is to be said of a model that is asked for, each finding resting on the one before. Empty while the
/// model is on its way or failed, or the gate cannot be asked yet: nothing has been found out then.
pub(super) fn findings(model: &Model, shelf: &Shelf) -> anyhow::Result<Vec<Finding>> {
    let Some(order) = model.order.as_ref().filter(|_| !model.unjudged) else { return Ok(Vec::new()) };
    let digest = Some(order.digest.to_string());
    let verified = Finding { result: ValidResult::Verified, digest: digest.clone(), cause: None };
    let cause = (!model.why.is_empty()).then(|| model.why.join("; "));
    Ok(match model.state {
        State::Deployed if model.verified() == Some(true) => {
            vec![verified, Finding { result: ValidResult::Deployed, digest, cause }]
        }
        // The operator waived the proof: what the bytes are, nobody says.
        State::Deployed => vec![Finding { result: ValidResult::Deployed, digest: None, cause }],
        State::Held if is_here(order, shelf)? => {
            vec![verified, Finding { result: ValidResult::Held, digest, cause }]
        }
        State::Held => vec![Finding { result: ValidResult::Held, digest: None, cause }],
        State::Quarantined => mismatch(order, shelf)?.into_iter().collect(),
        _ => Vec::new(),
    })
}

/// Says whether every file of a model stands proven on the shelf.
fn is_here(order: &Order, shelf: &Shelf) -> anyhow::Result<bool> {
    for file in &order.files {
        let found = shelf.object(&file.want.digest);
        if found.with_context(|| format!("look for {} on the shelf", file.want.name))?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Names the bytes that came last in place of what was promised.
fn mismatch(order: &Order, shelf: &Shelf) -> anyhow::Result<Option<Finding>> {
    let mut found = None;
    for file in &order.files {
        let records = shelf.quarantined(&file.want.digest);
        let records = records.with_context(|| format!("look for {} in quarantine", file.want.name))?;
        found = records.into_iter().map(|it| (it.last, it, file)).chain(found).max_by_key(|it| it.0);
    }
    Ok(found.map(|(_, record, file)| Finding {
        result: ValidResult::Mismatch,
        digest: Some(record.found.to_string()),
        cause: Some(format!(
            "{}: {} came in place of {} from {}",
            file.path.as_str(),
            record.found,
            record.promised,
            record.source
        )),
    }))
}
