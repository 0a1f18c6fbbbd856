//! The way that a proposal takes: the clone, the keys, and the forge.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use base::SystemClock;
use catalog::{
    git::{Author, GitLimits, GitLogin, SigningKey, Workbench},
    location::{GitLocation, Location},
};
use clap::Args;
use ledger::SecretKey;
use proposal::{Address, Client, ClientError, Kind, Limits, Request, Text, TokenFile};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use url::Url;

use super::Arguments;
use crate::config::{Config, ProposeConfig};

/// Where the index is kept, and how to get there.
#[derive(Debug, Args)]
pub(crate) struct GitFlags {
    /// The repository that holds the index: `git+https://host/repo#branch:path`, or the folder of a clone, whose
    /// files stay as they are
    #[arg(long, value_name = "REPO")]
    repo: Option<String>,
    /// Whose commit it is; unless given, the clone's own git config says
    #[arg(long, value_name = "NAME <ADDRESS>")]
    author: Option<String>,
    /// A file with the token for git over https
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A file with the private key for git over ssh
    #[arg(long, value_name = "FILE")]
    ssh_key: Option<PathBuf>,
    /// A file with the host keys that are trusted over ssh
    #[arg(long, value_name = "FILE")]
    known_hosts: Option<PathBuf>,
    /// A file with the ssh key that signs the commit
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
}

/// Which forge keeps the pull requests.
#[derive(Debug, Args)]
pub(crate) struct ForgeFlags {
    /// The kind of forge, if the repository's host does not tell: github, forgejo, gitea or gitlab
    #[arg(long, value_name = "KIND")]
    forge: Option<Kind>,
    /// Where people reach the forge, if that is not the repository's host
    #[arg(long, value_name = "URL")]
    forge_url: Option<Url>,
    /// What the repository is called there, if that is not its path
    #[arg(long, value_name = "OWNER/NAME")]
    forge_repo: Option<String>,
    /// A file with the token for the forge; unless given, the one for git
    #[arg(long, value_name = "FILE")]
    forge_token_file: Option<PathBuf>,
}

/// All that a proposal needs on its way, opened and read.
pub(super) struct Route {
    pub(super) config: Config,
    pub(super) bench: Workbench,
    pub(super) key: Option<SigningKey>,
    pub(super) event_key: Option<SecretKey>,
    pub(super) forge: Option<Forge>,
    pub(super) state: PathBuf,
    address: Option<Address>,
    author: Option<Author>,
    /// A fresh clone, which goes with the route.
    _clone: Option<TempDir>,
}

/// A forge that is asked from a place that knows no futures.
pub(crate) struct Forge {
    runtime: Runtime,
    client: Client,
}

impl Route {
    pub(super) fn open(arguments: &Arguments) -> anyhow::Result<Self> {
        let config = match &arguments.config {
            Some(path) => Config::read(path)?,
            None => Config::default(),
        };
        let set = &config.propose;
        let flags = &arguments.git;
        std::fs::create_dir_all(&arguments.state)
            .with_context(|| format!("make the folder {}", arguments.state.display()))?;
        let (place, given) = place(flags.repo.as_deref(), set)?;
        let login = GitLogin {
            token_file: flags.token_file.clone().or_else(|| set.token_file.clone()),
            ssh_key_file: flags.ssh_key.clone().or_else(|| set.ssh_key_file.clone()),
            ssh_passphrase_file: set.ssh_passphrase_file.clone(),
            known_hosts_file: flags.known_hosts.clone().or_else(|| set.known_hosts_file.clone()),
            ..GitLogin::default()
        };
        let address = arguments.forge.address(place.url(), set);
        let (address, forge) = if arguments.no_pr {
            (address.ok(), None)
        } else {
            let address = address?;
            let token = arguments.forge.token(set).or_else(|| login.token_file.clone());
            (Some(address.clone()), Some(Forge::new(address, token)?))
        };
        let limits = GitLimits::default();
        let (bench, clone) = if let Some(folder) = given {
            (Workbench::given(&folder, place, login, limits)?, None)
        } else {
            let folder = tempfile::Builder::new().prefix("clone-").tempdir_in(&arguments.state);
            let folder = folder.context("make a folder for a fresh clone")?;
            (Workbench::fresh(folder.path(), place, login, limits)?, Some(folder))
        };
        let signing = flags.signing_key.as_ref().or(set.signing_key_file.as_ref());
        let key =
            signing.map(|it| SigningKey::read(it, set.signing_passphrase_file.as_deref())).transpose()?;
        let event_key = arguments.event_key.as_ref().or(set.event_key_file.as_ref());
        let event_key = event_key.map(|it| SecretKey::read(it)).transpose()?;
        let author = flags.author.as_ref().or(set.author.as_ref());
        let author = author.map(|it| Author::parse(it).context("--author: it is written \"Name <address>\""));
        let (author, state) = (author.transpose()?, arguments.state.clone());
        Ok(Self { bench, key, event_key, forge, state, address, author, config, _clone: clone })
    }

    /// Returns whose commit it is.
    pub(super) fn author(&self) -> anyhow::Result<Author> {
        let author = self.author.clone().or_else(|| self.bench.configured_author());
        author.context("whose commit is it? say --author \"Name <address>\", or set [propose] author")
    }

    /// Returns what the repository is called, for people.
    pub(super) fn repository(&self) -> String {
        self.address.as_ref().map_or_else(|| self.bench.url(), ToString::to_string)
    }

    /// Returns where people see what a branch would change, if a forge shows it.
    pub(super) fn compare_link(&self, base: &str, branch: &str) -> Option<String> {
        self.address.as_ref().map(|it| it.forge().compare_link(base, branch))
    }
}

/// Returns where the index is kept, and the clone to work in if one was given.
fn place(repo: Option<&str>, set: &ProposeConfig) -> anyhow::Result<(GitLocation, Option<PathBuf>)> {
    let Some(text) = repo else {
        return match &set.repo {
            Some(Location::Git(place)) => Ok((place.clone(), None)),
            _ => bail!("where is the index kept? say --repo git+https://host/repo, or set [propose] repo"),
        };
    };
    match Location::parse(text).context("--repo")? {
        Location::Git(place) => Ok((place, None)),
        Location::File(folder) => {
            let (branch, path) = match &set.repo {
                Some(Location::Git(place)) => (place.branch().unwrap_or_default(), place.path()),
                _ => ("", "index.json"),
            };
            Ok((place_of_clone(&folder, branch, path)?, Some(folder)))
        }
    }
}

/// Returns where a clone comes from.
fn place_of_clone(folder: &Path, branch: &str, path: &str) -> anyhow::Result<GitLocation> {
    let origin = catalog::work_tree::origin(folder)?;
    let origin =
        origin.with_context(|| format!("the clone in {} has no remote to push to", folder.display()))?;
    let whole = format!("git+{origin}#{branch}:{path}");
    match Location::parse(&whole)
        .with_context(|| format!("use the remote of the clone in {}", folder.display()))?
    {
        Location::Git(place) => Ok(place),
        Location::File(_) => bail!("the clone in {} has a remote that is no URL", folder.display()),
    }
}

impl ForgeFlags {
    /// Returns which forge keeps a repository.
    pub(crate) fn address(&self, repository: &Url, set: &ProposeConfig) -> anyhow::Result<Address> {
        let kind = match (self.forge, &set.forge) {
            (Some(kind), _) => Some(kind),
            (None, Some(name)) => Some(name.parse()?),
            (None, None) => None,
        };
        let web = self.forge_url.as_ref().or(set.forge_url.as_ref());
        let path = self.forge_repo.as_deref().or(set.forge_repo.as_deref());
        Ok(Address::of(repository, kind, web, path)?)
    }

    /// Returns the file with the forge's token, if there is one of its own.
    pub(crate) fn token(&self, set: &ProposeConfig) -> Option<PathBuf> {
        self.forge_token_file.clone().or_else(|| set.forge_token_file.clone())
    }
}

impl Forge {
    /// Prepares to ask a forge.
    pub(crate) fn new(address: Address, token: Option<PathBuf>) -> anyhow::Result<Self> {
        let name = address.kind().name();
        let token = token.with_context(|| {
            format!("{name} wants a token: name its file with --forge-token-file, or stop at the push with --no-pr")
        })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let client = Client::new(address, TokenFile(token), Limits::default(), Arc::new(SystemClock))?;
        Ok(Self { runtime: runtime.context("start the runtime")?, client })
    }

    pub(super) fn newest(&self, branch: &str) -> Result<Option<Request>, ClientError> {
        self.runtime.block_on(self.client.newest(branch))
    }

    pub(super) fn open(&self, branch: &str, base: &str, text: &Text) -> Result<Request, ClientError> {
        self.runtime.block_on(self.client.open(branch, base, text))
    }

    pub(super) fn update(&self, number: u64, text: &Text) -> Result<Request, ClientError> {
        self.runtime.block_on(self.client.update(number, text))
    }

    /// Puts a remark under a pull request, in the place of the one that begins the same way.
    pub(crate) fn remark(&self, number: u64, mark: &str, text: &str) -> Result<bool, ClientError> {
        self.runtime.block_on(self.client.remark(number, mark, text))
    }
}

/// Returns the forge that keeps the repository of a file in a clone.
pub(crate) fn forge_of_clone(file: &Path, flags: &ForgeFlags, set: &ProposeConfig) -> anyhow::Result<Forge> {
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = place_of_clone(folder, "", "index.json")?;
    Forge::new(flags.address(place.url(), set)?, flags.token(set).or_else(|| set.token_file.clone()))
}
