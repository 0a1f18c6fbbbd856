//! `hallmark lineage eval`: the harness by which two evaluators compare.

use std::path::PathBuf;

use ::lineage::{Caps, Checkpoint, Evaluation, Item, Model, evaluate};
use clap::Args;

use super::{batch, card, events};
use crate::{Outcome, out};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The events, one a line as JSON
    #[arg(long, value_name = "FILE", required_unless_present = "batch")]
    ledger: Option<PathBuf>,
    /// The card
    #[arg(long, value_name = "FILE", required_unless_present = "batch")]
    item: Option<PathBuf>,
    /// The model that judges
    #[arg(long, value_name = "FILE", required_unless_present = "batch")]
    model: Option<PathBuf>,
    /// The last place in the ledger that is visible; the newest, if it is not given
    #[arg(long, value_name = "SEQ", conflicts_with = "batch")]
    at: Option<u64>,
    /// The whole evaluation as canonical JSON
    #[arg(long, conflicts_with = "batch")]
    json: bool,
    /// Cases, one a line: {"events", "item", "model", "at"}; a result or {"err"} a line comes out. `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ledger", "item", "model"])]
    batch: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    if let Some(path) = &arguments.batch {
        return batch::run(path);
    }
    let (Some(ledger), Some(card_path), Some(model_path)) =
        (&arguments.ledger, &arguments.item, &arguments.model)
    else {
        anyhow::bail!("--ledger, --item and --model are needed, or --batch");
    };
    let item = match Item::read(&card::read(card_path)?) {
        Ok(item) => item,
        Err(flaws) => return card::refuse(card_path, &flaws).map(|()| Outcome::DoesNotHold),
    };
    let model = Model::read(&card::read(model_path)?);
    let ledger = events::read(ledger)?;
    let at = Checkpoint::at(arguments.at.unwrap_or(ledger.newest));
    match evaluate(&ledger.graph, &item, &model, at, Caps::NONE) {
        Ok(evaluation) if arguments.json => {
            out::print(&(evaluation.to_line() + "\n")).map(|()| Outcome::Holds)
        }
        Ok(evaluation) => out::print(&describe(&evaluation)).map(|()| Outcome::Holds),
        Err(flaw) if arguments.json => {
            let error = serde_json::json!({ "err": flaw.code, "place": flaw.place, "text": flaw.text });
            out::print(&format!("{error}\n")).map(|()| Outcome::DoesNotHold)
        }
        Err(flaw) => {
            let path = if flaw.code == ::lineage::Code::EModel { model_path } else { card_path };
            card::refuse(path, &[flaw]).map(|()| Outcome::DoesNotHold)
        }
    }
}

fn describe(evaluation: &Evaluation) -> String {
    let result = &evaluation.result;
    let label = result.label.as_ref().map_or(String::new(), |it| format!(", {it}"));
    let action = result.action.as_ref().map_or(String::new(), |it| format!(" → {it}"));
    let mut lines = vec![format!("score {}{label}{action}", result.score)];
    for feature in &evaluation.features.0 {
        lines.push(format!("  {} = {}", feature.name, feature.value_text()));
    }
    lines.push(format!(
        "visited {}, stop {}, missing {}, gas {}, at {}",
        evaluation.visited.len(),
        evaluation.stop.name(),
        evaluation.missing,
        evaluation.gas,
        evaluation.at
    ));
    lines.push(format!("feature_hash {}", evaluation.features.hash_text()));
    lines.push(format!("visit_hash {}", evaluation.visit_hash()));
    lines.join("\n") + "\n"
}
