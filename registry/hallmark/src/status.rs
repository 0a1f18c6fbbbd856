//! `hallmark status`: what is where on this host, and why.

mod disk;
mod row;
mod table;
mod watch;

use anyhow::Context as _;
use base::{Clock as _, SystemClock};
use clap::Args;

pub(crate) use self::{
    row::Row,
    table::{Sheet, again, one_line, tone},
};
use crate::{
    Outcome,
    host::{Host, Place},
    out,
    remote::Remote,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Go on and show what changes, until Ctrl-C; needs a daemon
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// A JSON array in place of the table
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
    let rows = if let Some(daemon) = daemon {
        daemon.converse(daemon.rows())?
    } else {
        let host = Host::open(&arguments.place)?;
        let index = host.index()?;
        disk::rows(&host, &index)?
    };
    if arguments.json {
        out::print(&(serde_json::to_string_pretty(&rows).context("write the status as JSON")? + "\n"))?;
    } else {
        out::print(&Sheet::of_terminal().table(&rows, SystemClock.now()))?;
    }
    Ok(Outcome::Holds)
}
