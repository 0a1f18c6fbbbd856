//! `hallmark lineage eval`: the harness by which two evaluators compare.

use std::path::{Path, PathBuf};

use ::lineage::{Caps, Checkpoint, Evaluation, Item, Model, evaluate};
use anyhow::Context as _;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::{batch, card, daemon::Daemon, events};
use crate::{Outcome, event::Whom, out};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The events, one a line as JSON
    #[arg(long, value_name = "FILE", required_unless_present_any = ["batch", "daemon"])]
    ledger: Option<PathBuf>,
    /// Look up names (`dataset_id`, `session_id` …) in the ledger, as a daemon does
    #[arg(long, requires = "ledger")]
    by_name: bool,
    /// Over the daemon's log: of the state folder, or at an address such as `http://127.0.0.1:8420`
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["ledger", "batch"])]
    daemon: Option<String>,
    /// The state folder of the daemon on this machine
    #[arg(long, value_name = "DIR", default_value = ".hallmark")]
    state: PathBuf,
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
    let (Some(card_path), Some(model_path)) = (&arguments.item, &arguments.model) else {
        anyhow::bail!("--item and --model are needed, or --batch");
    };
    if let Some(daemon) = &arguments.daemon {
        let url = Some(daemon).filter(|it| !it.is_empty()).map(|it| it.parse());
        let daemon = url.transpose().with_context(|| format!("read the address {daemon}"))?;
        let whom = Whom { daemon, state: arguments.state.clone() };
        return by_daemon(&whom, arguments, card_path, model_path);
    }
    let Some(ledger) = &arguments.ledger else {
        anyhow::bail!("--ledger or --daemon is needed, or --batch");
    };
    let item = match Item::read(&card::read(card_path)?) {
        Ok(item) => item,
        Err(flaws) => return card::refuse(card_path, &flaws).map(|()| Outcome::DoesNotHold),
    };
    let model = Model::read(&card::read(model_path)?);
    let ledger = events::read(ledger, arguments.by_name)?;
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

/// What the daemon answers.
#[derive(Deserialize)]
struct Answer {
    evaluation: Box<RawValue>,
}

fn by_daemon(whom: &Whom, arguments: &Arguments, item: &Path, model: &Path) -> anyhow::Result<Outcome> {
    // What is no JSON cannot be sent; what it is missing is said here as over files.
    let document = |path: &Path| {
        let text = card::read(path)?;
        RawValue::from_string(text.trim().to_owned()).with_context(|| format!("read {}", path.display()))
    };
    let asked = Asked { item: document(item)?, model: document(model)?, at: arguments.at };
    let body = serde_json::to_string(&asked).context("write the question")?;
    match Daemon::of(whom)?.post::<Answer>("/v1/lineage/evaluate", body)? {
        Ok(answer) if arguments.json => {
            out::print(&format!("{}\n", answer.evaluation.get())).map(|()| Outcome::Holds)
        }
        Ok(answer) => {
            let said = serde_json::from_str(answer.evaluation.get()).context("read the daemon's answer")?;
            out::print(&describe_answer(&said)).map(|()| Outcome::Holds)
        }
        Err(refused) => out::print(&format!("{refused}\n")).map(|()| Outcome::DoesNotHold),
    }
}

/// What the daemon is asked.
#[derive(Serialize)]
struct Asked {
    item: Box<RawValue>,
    model: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
}

fn describe_answer(said: &Value) -> String {
    let part = |name: &str| match &said[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut lines = vec![format!("result {}", said["result"])];
    for feature in said["fv"].as_array().into_iter().flatten() {
        lines.push(format!("  {} = {}", feature[0].as_str().unwrap_or_default(), feature[3]));
    }
    let (n, stop, miss, gas, at) = (part("n"), part("stop"), part("miss"), part("gas"), part("at"));
    lines.push(format!("visited {n}, stop {stop}, missing {miss}, gas {gas}, at {at}"));
    lines.push(format!("feature_hash {}", part("feature_hash")));
    lines.push(format!("visit_hash {}", part("visit_hash")));
    lines.join("\n") + "\n"
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
