//! `[propose]`: where new models are proposed, and in whose name.

use std::path::PathBuf;

use catalog::{git::Author, location::Location};
use serde::Deserialize;
use url::Url;

/// What `hallmark propose` and `hallmark review` go by where no flag says otherwise.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProposeConfig {
    /// The repository that holds the index: `git+https://host/repo#branch:path`.
    pub(crate) repo: Option<Location>,
    /// Whose commits they are: `Name <address>`; the clone's own git config without it.
    pub(crate) author: Option<String>,
    /// Holds the token for git over https.
    pub(crate) token_file: Option<PathBuf>,
    /// Holds the key for git over ssh.
    pub(crate) ssh_key_file: Option<PathBuf>,
    /// Holds that key's passphrase.
    pub(crate) ssh_passphrase_file: Option<PathBuf>,
    /// Holds the host keys that are trusted over ssh.
    pub(crate) known_hosts_file: Option<PathBuf>,
    /// Holds the ssh key that signs commits.
    pub(crate) signing_key_file: Option<PathBuf>,
    /// Holds that key's passphrase.
    pub(crate) signing_passphrase_file: Option<PathBuf>,
    /// Which forge: `github`, `forgejo`, `gitea` or `gitlab`.
    pub(crate) forge: Option<String>,
    /// Where people reach the forge.
    pub(crate) forge_url: Option<Url>,
    /// What the repository is called there.
    pub(crate) forge_repo: Option<String>,
    /// Holds the token for the forge; git's own without it.
    pub(crate) forge_token_file: Option<PathBuf>,
    /// Holds the key that signs events.
    pub(crate) event_key_file: Option<PathBuf>,
    /// The daemon that takes the events.
    pub(crate) daemon: Option<Url>,
    /// What of the repository's flake has to evaluate with the new index.
    pub(crate) nix_eval: Option<String>,
}

impl ProposeConfig {
    /// Says what is wrong with the values.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(Location::File(path)) = &self.repo {
            return Err(format!(
                "[propose] repo: {} is a path; give git+https://host/repo#branch:path, or a clone with --repo",
                path.display()
            ));
        }
        if let Some(author) = &self.author
            && Author::parse(author).is_none()
        {
            return Err("[propose] author: it is written Name <address>".to_owned());
        }
        let kind = self.forge.as_deref().map(str::parse::<proposal::Kind>).transpose();
        kind.map(drop).map_err(|error| format!("[propose] forge: {error}"))
    }
}
