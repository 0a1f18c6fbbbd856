//! `hallmark lineage export`: what the log knows of a model, in the words of other tools.

use clap::Args;
use serde_json::Value;

use super::daemon::{Daemon, part};
use crate::{Outcome, event::Whom, out};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The model's id
    id: String,
    /// The runs that it came from, as run events of OpenLineage, one a line
    #[arg(long, required_unless_present = "vsa", conflicts_with = "vsa")]
    openlineage: bool,
    /// Whether it passes the gate: a verification summary, as an in-toto statement
    #[arg(long)]
    vsa: bool,
    #[command(flatten)]
    whom: Whom,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let daemon = Daemon::of(&arguments.whom)?;
    let id = part(&arguments.id);
    if arguments.vsa {
        let statement: Value = daemon.get(&format!("/v1/lineage/models/{id}/vsa"))?;
        out::print(&(serde_json::to_string_pretty(&statement)? + "\n"))?;
        return Ok(Outcome::Holds);
    }
    let runs: Vec<Value> = daemon.get(&format!("/v1/lineage/models/{id}/openlineage"))?;
    for run in runs {
        out::print(&format!("{run}\n"))?;
    }
    Ok(Outcome::Holds)
}
