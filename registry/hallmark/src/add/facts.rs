//! What is given about a model on the command line; the same for every command that makes an entry.

use std::path::PathBuf;

use base::ModelId;
use catalog::{Bump, Contract};
use clap::{Args, ValueEnum};

use super::{dataset::DatasetName, given::Given};
use crate::validate::foreign_contract;

/// Where the facts about a model are.
#[derive(Clone, Debug, Args)]
pub(crate) struct Facts {
    /// The model's main file, as it was trained
    pub(crate) file: PathBuf,
    /// The model's id: `<chakra>-<purpose>-v<version>`; one that is in the index already is revised
    #[arg(long)]
    pub(crate) id: ModelId,
    /// A log of the run, of whatever kind; may be given several times, and the later one counts
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Vec<PathBuf>,
    /// The working copy of the training code: its address, its commit, and whether it was changed since
    #[arg(long, value_name = "DIR")]
    pub(crate) training_repo: Option<PathBuf>,
    /// The dataset on the Hugging Face Hub, pinned: `<org>/<name>@<commit>`
    #[arg(long, value_name = "NAME@COMMIT")]
    pub(crate) dataset: Option<DatasetName>,
    /// A companion file such as config.json, or a folder of them; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) with: Vec<PathBuf>,
    /// Where the main file is fetched from
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Any field of the entry, such as license=MIT or provenance.runId=run-7; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<Given>,
    /// Raise the version of an entry that is revised
    #[arg(long, value_enum, value_name = "PART")]
    pub(crate) bump: Option<Part>,
    /// Ask for what is missing
    #[arg(long)]
    pub(crate) interactive: bool,
    /// Write TODO-STUB-… for what is missing; such an entry is never deployed
    #[arg(long)]
    pub(crate) allow_stub: bool,
    /// Another organisation's schema; id, version, artifact, license and provenance stay as they are
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<PathBuf>,
}

/// Which part of a version goes up.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Part {
    Major,
    Minor,
    Patch,
}

impl From<Part> for Bump {
    fn from(part: Part) -> Self {
        match part {
            Part::Major => Self::Major,
            Part::Minor => Self::Minor,
            Part::Patch => Self::Patch,
        }
    }
}

impl Facts {
    /// Returns the contract that the entry is held to.
    pub(crate) fn contract(&self) -> anyhow::Result<Contract> {
        match &self.schema {
            Some(path) => Ok(foreign_contract(path)?.0),
            None => Ok(Contract::ours()),
        }
    }
}
