//! `hallmark lineage gate`: whether what a model rests on is good enough for this host, and why not.

use clap::Args;

use super::daemon::{Daemon, part};
use crate::{
    Outcome,
    event::Whom,
    gate::{Found, Report},
    out,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The model's id
    id: String,
    /// Read the card in plain words, and list every feature
    #[arg(long)]
    explain: bool,
    /// For programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whom: Whom,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let path = format!("/v1/lineage/gate/{}", part(&arguments.id));
    let report: Report = Daemon::of(&arguments.whom)?.get(&path)?;
    let text = if arguments.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        told(&report, arguments.explain)
    };
    out::print(&text)?;
    Ok(if report.passes { Outcome::Holds } else { Outcome::DoesNotHold })
}

fn told(report: &Report, explain: bool) -> String {
    let id = &report.model_id;
    let mut lines = vec![match &report.why {
        None => format!("{id} passes"),
        Some(why) => format!("{id} does not pass: {why}"),
    }];
    if !report.in_force {
        lines.push("no [policy.lineage] asks this gate: the card that hallmark ships answered".to_owned());
    }
    if let Some(event) = &report.event {
        lines.push(format!("its event {event}"));
    }
    if let (Some(found), true) = (&report.evaluation, explain) {
        lines.extend(explained(found));
    }
    lines.join("\n") + "\n"
}

fn explained(found: &Found) -> Vec<String> {
    let mut lines = vec![String::new()];
    lines.extend(found.card.lines().map(str::to_owned));
    lines.push(String::new());
    let label = found.label.as_ref().map_or_else(String::new, |it| format!(", {it}"));
    lines.push(format!("{} says {}{label}:", found.model, found.score));
    let width = found.features.iter().map(|it| it.name.len()).max().unwrap_or(0);
    for feature in &found.features {
        let short = found.shortfalls.iter().any(|it| it.starts_with(&format!("{} ", feature.name)));
        let mark = if short { "  ← falls short" } else { "" };
        lines.push(format!("  {:width$} = {}{mark}", feature.name, feature.value));
    }
    lines
        .push(format!("visited {}, stop {}, missing {}, gas {}", found.n, found.stop, found.miss, found.gas));
    lines.push(format!("at {} of {}", found.seq, found.root));
    lines.push(format!("item_hash {}", found.item_hash));
    lines.push(format!("feature_hash {}", found.feature_hash));
    lines
}
