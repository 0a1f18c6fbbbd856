//! The gate of the demo: models that rest on one dataset need somebody's approval, and somebody gives it.
//!
//! The card goes up from the model's own event, as the one that hallmark ships does; it asks for less.

use std::path::Path;

use anyhow::Context as _;
use base::{Clock as _, SystemClock};
use ledger::{
    EventId, SecretKey, Sid,
    event::Scheme,
    kinds::{Operation, Vote},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{event::Whom, gate::Report, lineage::Daemon};

/// The dataset whose models need an approval.
pub(super) const DELICATE: &str = "demo/people";

/// Returns the card.
pub(super) fn card() -> Value {
    let count =
        |name: &str, selector: &str| json!({ "n": name, "sel": selector, "agg": "count", "t": "text" });
    json!({
        "v": "1", "s": "$model", "o": { "ut": "UPDATE" },
        "j": { "jid": "demo", "m": "OP_AI_EVAL", "mod": "demo-gate:1", "limit": 100, "spec": [
            count("approvals", "tag[vote=yes].vote"),
            count("delicate", &format!("tag[dataset_id={DELICATE}].dataset_id")),
        ] },
        "ctl": {
            "maxN": 100, "gas": 100_000, "dir": "up",
            "f": { "pk": ["$trusted"] }, "st": { "kinds": [30302, 30408], "pk": ["$trusted"] },
        },
    })
}

/// Returns the model that judges.
pub(super) fn model() -> Value {
    let trusted = |condition: Value| json!({ "if": [condition], "score": "1", "label": "trusted" });
    json!({
        "v": 1, "id": "demo-gate:1", "eng": "rules", "in": [],
        "rules": [trusted(json!(["approvals", ">=", "1"])), trusted(json!(["delicate", "<=", "0"]))],
        "else": { "score": "0", "label": "waits" },
    })
}

/// What the daemon says of its log.
#[derive(Deserialize)]
struct About {
    sid: Sid,
}

/// Approves a model as its operator: signs a vote for its event, and publishes it.
pub(super) fn approve(state: &Path, id: &str) -> anyhow::Result<()> {
    let daemon = Daemon::of(&Whom { daemon: None, state: state.to_owned() })?;
    let report: Report = daemon.get(&format!("/v1/lineage/gate/{id}"))?;
    let event = report.event.context("the daemon says what the model is")?;
    let about: About = daemon.get("/v1/log")?;
    let operation = Operation {
        created_at: SystemClock.now(),
        sid: Some(about.sid),
        auth: None,
        parents: vec![EventId::parse(&event)?],
        content: String::new(),
    };
    let vote = Vote { vote: Some("yes".to_owned()), ..Vote::default() };
    let key = SecretKey::read(&state.join("daemon.key"))?;
    let signed = key.sign(vote.draft(operation), Scheme::SpecEip191);
    daemon.post::<Value>("/v1/events", signed.to_json())??;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_and_the_model_of_the_demo_hold() {
        let item = ::lineage::Item::admit(&card().to_string()).unwrap();
        let model = ::lineage::Model::read(&model().to_string()).unwrap();
        model.check_name(&item.job.model).unwrap();
    }
}
