//! `hallmark status`: what is where on this host, and why.

mod disk;
mod row;
mod table;

use anyhow::Context as _;
use base::{Clock as _, SystemClock};
use clap::Args;

pub(crate) use self::{
    row::Row,
    table::{Sheet, again, tone},
};
use crate::{
    Outcome,
    host::{Host, Place},
    out,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A JSON array in place of the table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let host = Host::open(&arguments.place)?;
    let index = host.index()?;
    let rows = disk::rows(&host, &index)?;
    if arguments.json {
        out::print(&(serde_json::to_string_pretty(&rows).context("write the status as JSON")? + "\n"))?;
    } else {
        out::print(&Sheet::of_terminal().table(&rows, SystemClock.now()))?;
    }
    Ok(Outcome::Holds)
}
