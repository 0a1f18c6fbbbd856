//! `hallmark status`: what is where on this host, and why.

mod disk;
mod follows;
mod relays;
mod row;
mod table;
mod watch;

use anyhow::Context as _;
use base::{Clock as _, SystemClock};
use clap::Args;
use serde::Serialize;

pub(crate) use self::{
    follows::Follow,
    relays::Relay,
    row::Row,
    table::{Sheet, again, one_line, tone},
};
use crate::{
    Outcome,
    host::{Host, Place},
    http::GraphStanding,
    out,
    remote::{Ailments, Remote},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Go on and show what changes, until Ctrl-C; needs a daemon
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// A JSON object in place of the tables: `models`, and `relays`, `follows`, `log` and `graph`, which only a daemon knows
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let daemon = Remote::find(&arguments.place)?;
    if arguments.watch {
        let daemon = daemon.with_context(|| {
            let state = arguments.place.state.display();
            format!("no daemon runs on {state}, so nothing changes by itself: start `hallmark serve`")
        })?;
        return watch::run(&daemon).map(|()| Outcome::Holds);
    }
    let status = if let Some(daemon) = daemon {
        daemon.converse(async {
            let (models, relays) = (daemon.rows().await?, daemon.relays().await?);
            let Ailments { log, graph } = daemon.ailments().await?;
            Ok(Status { models, relays: Some(relays.relays), follows: Some(relays.follows), log, graph })
        })?
    } else {
        let host = Host::find(&arguments.place)?;
        let index = host.index()?;
        Status { models: disk::rows(&host, &index)?, relays: None, follows: None, log: None, graph: None }
    };
    if arguments.json {
        out::print(&(serde_json::to_string_pretty(&status).context("write the status as JSON")? + "\n"))?;
    } else {
        let now = SystemClock.now();
        out::print(&Sheet::of_terminal().table(&status.models, now))?;
        let (relays, follows) = (status.relays.unwrap_or_default(), status.follows.unwrap_or_default());
        let ailments = Ailments { log: status.log, graph: status.graph };
        out::print(&below(&relays, &follows, &ailments, now))?;
    }
    Ok(Outcome::Holds)
}

/// Draws what stands below the models: the relays, and what ails the daemon, if anything does.
fn below(relays: &[Relay], follows: &[Follow], ailments: &Ailments, now: base::UnixSeconds) -> String {
    let log = ailments.log.as_ref().map(|it| format!("event log: {it}\n")).unwrap_or_default();
    let graph = ailments.graph.as_ref().map(|it| format!("{}\n", it.why)).unwrap_or_default();
    let parts = [relays::table(relays, now), follows::table(follows, now), log, graph];
    parts.into_iter().filter(|it| !it.is_empty()).flat_map(|it| ["\n".to_owned(), it]).collect()
}

/// All that there is to say.
#[derive(Serialize)]
struct Status {
    models: Vec<Row>,
    /// The relays that are published to; null where no daemon runs.
    relays: Option<Vec<Relay>>,
    /// The relays that are followed; null where no daemon runs.
    follows: Option<Vec<Follow>>,
    /// Why the event log cannot be written; null while it can, and where no daemon runs.
    log: Option<String>,
    /// How far the lineage graph is; null once it is whole, and where no daemon runs.
    graph: Option<GraphStanding>,
}
