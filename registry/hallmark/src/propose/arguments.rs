//! What `hallmark propose` can be told.

use std::path::PathBuf;

use clap::Args;

use super::route::{ForgeFlags, GitFlags};
use crate::{add::Facts, config::Config, event::Whom};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) facts: Facts,
    #[command(flatten)]
    pub(crate) git: GitFlags,
    #[command(flatten)]
    pub(crate) forge: ForgeFlags,
    /// Stop after the push, and print where the change can be seen
    #[arg(long)]
    pub(crate) no_pr: bool,
    /// Propose it although the last pull request for it was closed
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) checks: CheckFlags,
    /// Sign the proposal, the run and the dataset as events with the key in this file
    #[arg(long, value_name = "FILE")]
    pub(crate) event_key: Option<PathBuf>,
    /// The daemon that takes the events; unless given, the one on the state folder
    #[arg(long, value_name = "URL")]
    pub(crate) daemon: Option<url::Url>,
    /// The config file; without it every setting has its default
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The folder for all that hallmark keeps
    #[arg(long, value_name = "DIR", default_value = ".hallmark")]
    pub(crate) state: PathBuf,
    /// What was done, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is checked before anything is pushed.
#[derive(Debug, Args)]
pub(crate) struct CheckFlags {
    /// Do not fetch the artifact to compare its checksum; the description says so
    #[arg(long)]
    pub(crate) skip_checksum: bool,
    /// What of the repository's flake has to evaluate with the new index, such as
    /// `nixosConfigurations.host.config.system.build.toplevel.drvPath`
    #[arg(long, value_name = "ATTRIBUTE")]
    pub(crate) nix_eval: Option<String>,
}

impl Arguments {
    /// Returns the daemon that takes the events.
    pub(super) fn whom(&self, config: &Config) -> Whom {
        let daemon = self.daemon.clone().or_else(|| config.propose.daemon.clone());
        Whom { daemon, state: self.state.clone() }
    }
}
