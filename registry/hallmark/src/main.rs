//! The `hallmark` command.
//!
//! Exit codes: 0 for success, 1 when what was checked does not hold, 2 when hallmark could not do its work.

mod cli;
mod config;
mod gc;
mod host;
mod lineage;
mod order;
mod out;
mod records;
mod scrub;
mod status;
mod sync;
mod validate;

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
    out::start_log();
    match cli::run(cli::Cli::parse()) {
        Ok(Outcome::Holds) => ExitCode::SUCCESS,
        Ok(Outcome::DoesNotHold) => ExitCode::from(1),
        Err(error) => {
            out::failure(&error);
            ExitCode::from(2)
        }
    }
}
