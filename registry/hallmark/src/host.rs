//! What a command works on: the config, the index in force, and this host's shelf and views.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, bail};
use base::SystemClock;
use bytes::Bytes;
use catalog::{
    Contract, Hashed, Index, Report, follow::Look, git, location::Location, watch::read_index_file,
};
use clap::Args;
use vault::{
    Shelf,
    view::{HfCache, ModelStore},
};

use crate::{config::Config, records::Records};

/// How long a command waits for a repository before it goes on with what it has.
const GIT_PATIENCE: Duration = Duration::from_mins(5);

/// Where everything stands; the same for every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// The config file; without it every setting has its default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The index, in place of the config's: a path, or `git+https://host/repo#branch:path`
    #[arg(long, value_name = "INDEX")]
    index: Option<Location>,
    /// The folder for all that hallmark keeps
    #[arg(long, value_name = "DIR", default_value = ".hallmark")]
    pub(crate) state: PathBuf,
}

impl Place {
    /// Names a config file and a state folder.
    pub(crate) fn of(config: PathBuf, state: PathBuf) -> Self {
        Self { config: Some(config), index: None, state }
    }

    /// Says whether more was given than where the state is: what to do there, which a daemon knows by itself.
    pub(crate) fn says_what_to_do(&self) -> bool {
        self.config.is_some() || self.index.is_some()
    }
}

/// This host, opened.
pub(crate) struct Host {
    pub(crate) config: Config,
    pub(crate) shelf: Shelf,
    pub(crate) store: ModelStore,
    pub(crate) cache: HfCache,
    pub(crate) records: Records,
    pub(crate) state: PathBuf,
}

impl Host {
    /// Opens what stands already, for a command that looks at it. A mistyped folder must not come to be by that, and then
    /// have nothing wrong with it.
    pub(crate) fn find(place: &Place) -> anyhow::Result<Self> {
        let state = std::path::absolute(&place.state).context("find the state folder")?;
        if !state.try_exists().with_context(|| format!("look for the state folder {}", state.display()))? {
            bail!(
                "there is no state folder {}, so nothing was deployed there: check --state, or begin with \
                 `hallmark sync`, which makes it",
                state.display()
            );
        }
        Self::open(place)
    }

    /// Reads the config and opens the folders, making what is missing.
    pub(crate) fn open(place: &Place) -> anyhow::Result<Self> {
        let mut config = match &place.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        if let Some(index) = &place.index {
            config.catalog.index = index.clone();
        }
        let state = std::path::absolute(&place.state).context("find the state folder")?;
        let beside = |set: &Option<PathBuf>, name: &str| set.clone().unwrap_or_else(|| state.join(name));
        let store = beside(&config.vault.store, "models");
        let cache = beside(&config.vault.cache, "hf-cache");
        make_folder(&state)?;
        make_folder(&store)?;
        let shelf =
            Shelf::open(&store).with_context(|| format!("open the model store {}", store.display()))?;
        let cache = HfCache::open(&cache, &shelf)
            .with_context(|| format!("open the Hugging Face cache {}", cache.display()))?;
        let records = Records::open(state.join("records"))?;
        Ok(Self { store: ModelStore::of(&shelf), shelf, cache, records, config, state })
    }

    /// Reads the index. One that does not hold is refused with its flaws.
    pub(crate) fn index(&self) -> anyhow::Result<Index> {
        let (contract, _) = self.contract()?;
        match self.config.catalog.index.clone() {
            Location::File(path) => {
                let found = Hashed::of(read_index_file(&path)?);
                let checked = catalog::check_again(found, &contract, None);
                in_force(checked.index, &checked.report, &path.display().to_string())
            }
            Location::Git(location) => self.index_from(location, contract),
        }
    }

    /// Fetches the branch. If it cannot be reached, the last good commit serves, and the reason is said.
    fn index_from(
        &self,
        location: catalog::location::GitLocation,
        contract: Contract,
    ) -> anyhow::Result<Index> {
        let name = location.to_string();
        let mut options = git::GitOptions::in_folder(self.state.join("catalog"));
        options.accept_rewritten_history = self.config.catalog.accept_rewritten_history;
        let read = catalog::reader(contract);
        let follower = git::follow_git(location, options, Arc::new(SystemClock), read, Box::new(|_| {}))
            .with_context(|| format!("follow {name}"))?;
        let snapshot = follower.reload_now(GIT_PATIENCE).unwrap_or_else(|| follower.latest());
        let index = snapshot.good.as_ref().map(|good| Index::clone(&good.value));
        match (&snapshot.look, index) {
            (Look::Failed(error), Some(index)) => {
                tracing::warn!("The last good index stays in force: {}", with_causes(error.as_ref()));
                Ok(index)
            }
            (Look::Failed(error), None) => bail!("{}", with_causes(error.as_ref())),
            (Look::Good(report) | Look::Bad { report, .. }, index) => in_force(index, report, &name),
        }
    }

    /// Returns what an index is held to, and its text.
    pub(crate) fn contract(&self) -> anyhow::Result<(Contract, Bytes)> {
        let Some(path) = &self.config.catalog.schema else {
            return Ok((Contract::ours(), Bytes::from_static(catalog::SCHEMA.as_bytes())));
        };
        crate::validate::foreign_contract(path).map(|(contract, text)| (contract, text.into()))
    }
}

fn in_force(index: Option<Index>, report: &Report, name: &str) -> anyhow::Result<Index> {
    index.with_context(|| {
        let first = report
            .flaws
            .first()
            .map_or_else(String::new, |it| format!("; the first at line {}: {}", it.place.line, it.message));
        format!(
            "{name} does not hold: {} error{}{first}\n  run `hallmark validate {name}` to see them all",
            report.errors,
            if report.errors == 1 { "" } else { "s" }
        )
    })
}

/// Writes out an error that others hold too, and so cannot be handed on as a cause.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |it| it.source());
    let lines = std::iter::once(error.to_string()).chain(causes.map(ToString::to_string));
    lines.collect::<Vec<_>>().join(": ")
}

fn make_folder(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("make the folder {}", path.display()))
}
