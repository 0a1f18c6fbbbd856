//! The `hallmark` command.
//!
//! Exit codes: 0 for success, 1 when what was checked does not hold, 2 when hallmark could not do its work.

mod add;
mod ancestry;
mod cli;
mod config;
mod delivery;
mod demo;
mod engine;
mod event;
mod export;
mod gate;
mod gc;
mod host;
mod http;
mod key;
mod ledger;
mod lineage;
mod metrics;
mod news;
mod order;
mod out;
mod policy;
mod propose;
mod publish;
mod quiet;
mod records;
mod remote;
mod repos;
mod review;
mod scrub;
mod serve;
mod state;
mod status;
mod sync;
mod validate;
mod wait;
mod world;

use std::process::ExitCode;

use clap::Parser;

/// How a command ended, if it could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// All is well.
    Holds,
    /// What was checked does not hold.
    DoesNotHold,
}

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    out::start_log(cli.log_level());
    match cli::run(cli) {
        Ok(Outcome::Holds) => ExitCode::SUCCESS,
        Ok(Outcome::DoesNotHold) => ExitCode::from(1),
        Err(error) => {
            out::failure(&error);
            ExitCode::from(2)
        }
    }
}
