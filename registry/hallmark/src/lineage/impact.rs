//! `hallmark lineage impact`: every model and host below something.

use clap::Args;

use super::daemon::{Daemon, part};
use crate::{
    Outcome,
    ancestry::{Impact, Target},
    event::Whom,
    out,
};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A dataset's name (perhaps with `@commit`), a sha256, a model's id, or an event's id
    of: String,
    /// List every event below it too
    #[arg(long)]
    down: bool,
    /// For programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whom: Whom,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let impact = ask(&Daemon::of(&arguments.whom)?, &arguments.of, arguments.down)?;
    let text = if arguments.json { serde_json::to_string_pretty(&impact)? + "\n" } else { told(&impact) };
    out::print(&text)?;
    let is_known = !impact.starts.is_empty();
    Ok(if is_known && impact.is_complete { Outcome::Holds } else { Outcome::DoesNotHold })
}

/// Asks the daemon what lies below something.
pub(crate) fn ask(daemon: &Daemon, of: &str, events: bool) -> anyhow::Result<Impact> {
    daemon.get(&format!("/v1/lineage/impact?of={}&events={events}", part(of)))
}

/// Writes down what lies below something.
pub(crate) fn told(impact: &Impact) -> String {
    let (sort, name) = match &impact.target {
        Target::Event(id) => ("event", id),
        Target::Artifact(digest) => ("artifact", digest),
        Target::Dataset(name) => ("dataset", name),
        Target::Model(id) => ("model", id),
    };
    if impact.starts.is_empty() {
        return format!("{sort} {name}: the log does not know it\n");
    }
    let mut lines = vec![format!(
        "{sort} {name}: {}, {}, {} below it",
        out::counted(impact.models.len() as u64, "model"),
        out::counted(impact.hosts.len() as u64, "place"),
        out::counted(impact.events_count as u64, "event"),
    )];
    for model in &impact.models {
        let version = model.version.as_deref().unwrap_or("of no version");
        lines.push(format!("  model {} {version}, by {}", model.model_id, model.author));
    }
    for host in &impact.hosts {
        lines.push(format!("  host {}: {} {}, by {}", host.host, host.model_id, host.state, host.author));
    }
    lines.extend(impact.events.iter().map(|it| format!("  event {it}")));
    lines.push(if impact.is_complete {
        format!("complete: all that the log had, {}", out::counted(impact.at, "event"))
    } else {
        "not complete: there is more than could be visited".to_owned()
    });
    lines.join("\n") + "\n"
}
