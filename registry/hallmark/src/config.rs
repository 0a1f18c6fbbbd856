//! `hallmark.toml`: plain data, every default in one place, wrong keys refused with a suggestion.

mod error;
mod http;
mod ledger;
mod propose;

use std::{
    num::{NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    time::Duration,
};

use base::ModelId;
use catalog::location::Location;
use serde::Deserialize;

pub(crate) use self::ledger::{LedgerConfig, RulesMode};
pub(crate) use error::ConfigError;
pub(crate) use http::HttpConfig;
pub(crate) use propose::ProposeConfig;

use crate::policy::PolicyConfig;

/// Everything that can be set. Nothing here is open or alive.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) catalog: CatalogConfig,
    pub(crate) hub: HubConfig,
    pub(crate) vault: VaultConfig,
    pub(crate) deploy: DeployConfig,
    pub(crate) policy: PolicyConfig,
    pub(crate) ledger: LedgerConfig,
    pub(crate) http: HttpConfig,
    pub(crate) propose: ProposeConfig,
}

/// `[catalog]`: where the index stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CatalogConfig {
    /// A path, or `git+https://host/repo#branch:path`.
    pub(crate) index: Location,
    /// Another organisation's schema.
    pub(crate) schema: Option<PathBuf>,
    /// Refuse an index with warnings.
    pub(crate) strict: bool,
    /// Take a branch whose history was rewritten.
    pub(crate) accept_rewritten_history: bool,
    /// How often the daemon asks a repository for news.
    pub(crate) fetch_seconds: NonZeroU64,
}

/// `[hub]`: whom to ask.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HubConfig {
    /// Stands in for <https://huggingface.co> in every download URL.
    pub(crate) endpoint: String,
    /// Holds the token for the endpoint, and for nobody else.
    pub(crate) token_file: Option<PathBuf>,
}

/// `[vault]`: where the bytes stand, and how they come.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct VaultConfig {
    /// The model store; `<state>/models` without it.
    pub(crate) store: Option<PathBuf>,
    /// The Hugging Face cache; `<state>/hf-cache` without it.
    pub(crate) cache: Option<PathBuf>,
    /// Other hallmarks, asked by digest before the hub.
    pub(crate) mirrors: Vec<String>,
    /// Folders whose files are adopted by digest, before any network.
    pub(crate) seeds: Vec<PathBuf>,
    /// Refuse bytes that differ from the index.
    pub(crate) verify_checksums: bool,
    pub(crate) downloads_max: NonZeroUsize,
    pub(crate) parts_max: NonZeroUsize,
    pub(crate) bandwidth_bytes_per_second: Option<NonZeroU64>,
    pub(crate) keep_free_bytes: u64,
    pub(crate) connect_seconds_max: u64,
    pub(crate) idle_seconds_max: u64,
    pub(crate) file_seconds_max: u64,
    pub(crate) speed_bytes_per_second_min: u64,
    pub(crate) tries_max: u32,
    /// How fast objects may be read to hash them again.
    pub(crate) scrub_bytes_per_second: Option<NonZeroU64>,
    pub(crate) keep_unused_days: u32,
    pub(crate) keep_partial_days: u32,
    pub(crate) keep_quarantine_days: u32,
    /// What all objects together may take.
    pub(crate) size_bytes_max: Option<u64>,
    /// Models that gc never touches, wanted or not.
    pub(crate) pins: Vec<ModelId>,
}

/// `[deploy]`: what this host wants.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DeployConfig {
    pub(crate) models: Wanted,
    /// The same, sorted by the energy centre each model is filed under.
    pub(crate) by_chakra: std::collections::BTreeMap<String, Vec<String>>,
    /// How often the daemon looks whether all that is wanted still stands.
    pub(crate) look_again_seconds: NonZeroU64,
    /// How long the daemon waits before it tries again what failed; each pause is twice the last.
    pub(crate) retry_seconds_first: NonZeroU64,
    /// The longest such pause.
    pub(crate) retry_seconds_max: NonZeroU64,
}

/// Which models are wanted: a list of ids, or `"all"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    These(Vec<String>),
}

impl Default for Wanted {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl<'de> Deserialize<'de> for Wanted {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a list of model ids, or \"all\"")]
        enum Written {
            Word(String),
            List(Vec<String>),
        }
        match Written::deserialize(deserializer)? {
            Written::List(ids) => Ok(Self::These(ids)),
            Written::Word(word) if word == "all" => Ok(Self::All),
            Written::Word(word) => Err(serde::de::Error::custom(format!(
                "\"{word}\" is neither a list of model ids nor \"all\""
            ))),
        }
    }
}

impl Default for DeployConfig {
    fn default() -> Self {
        let seconds = |it| NonZeroU64::new(it).unwrap_or(NonZeroU64::MIN);
        Self {
            models: Wanted::default(),
            by_chakra: std::collections::BTreeMap::new(),
            look_again_seconds: seconds(300),
            retry_seconds_first: seconds(15),
            retry_seconds_max: seconds(3600),
        }
    }
}

impl Default for CatalogConfig {
    fn default() -> Self {
        Self {
            index: Location::File("index.json".into()),
            schema: None,
            strict: false,
            accept_rewritten_history: false,
            fetch_seconds: NonZeroU64::new(300).unwrap_or(NonZeroU64::MIN),
        }
    }
}

impl Default for HubConfig {
    fn default() -> Self {
        Self { endpoint: "https://huggingface.co".to_owned(), token_file: None }
    }
}

impl Default for VaultConfig {
    fn default() -> Self {
        let fetch = vault::Settings::default();
        let few = NonZeroUsize::new(4).unwrap_or(NonZeroUsize::MIN);
        Self {
            store: None,
            cache: None,
            mirrors: Vec::new(),
            seeds: Vec::new(),
            verify_checksums: true,
            downloads_max: NonZeroUsize::new(fetch.files_max).unwrap_or(few),
            parts_max: NonZeroUsize::new(fetch.parts_max).unwrap_or(few),
            bandwidth_bytes_per_second: None,
            keep_free_bytes: fetch.keep_free_bytes,
            connect_seconds_max: fetch.connect_time_max.as_secs(),
            idle_seconds_max: fetch.idle_time_max.as_secs(),
            file_seconds_max: fetch.whole_time_max.as_secs(),
            speed_bytes_per_second_min: fetch.bytes_per_second_min,
            tries_max: fetch.tries_max,
            scrub_bytes_per_second: None,
            keep_unused_days: 30,
            keep_partial_days: 7,
            keep_quarantine_days: 30,
            size_bytes_max: None,
            pins: Vec::new(),
        }
    }
}

impl Config {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let config: Self = toml::from_str(&text).map_err(|error| ConfigError::toml(path, &text, &error))?;
        config.settings().map_err(|what| ConfigError::Value { path: path.to_owned(), what })?;
        config.mirrors().map_err(|what| ConfigError::Value { path: path.to_owned(), what })?;
        let lineage = config.policy.lineage.as_ref().map_or(Ok(()), crate::policy::LineageRule::check);
        lineage.map_err(|what| ConfigError::Value { path: path.to_owned(), what })?;
        config.ledger.check().map_err(|what| ConfigError::Value { path: path.to_owned(), what })?;
        config.propose.check().map_err(|what| ConfigError::Value { path: path.to_owned(), what })?;
        Ok(config)
    }

    /// Returns how downloads behave.
    pub(crate) fn settings(&self) -> Result<vault::Settings, String> {
        let endpoint = vault::HubEndpoint::parse(&self.hub.endpoint)
            .map_err(|error| format!("[hub] endpoint: {error}"))?;
        let vault = &self.vault;
        Ok(vault::Settings {
            endpoint,
            token: self.hub.token_file.clone().map(vault::TokenFile),
            files_max: vault.downloads_max.get(),
            parts_max: vault.parts_max.get(),
            bytes_per_second_max: vault.bandwidth_bytes_per_second,
            keep_free_bytes: vault.keep_free_bytes,
            connect_time_max: Duration::from_secs(vault.connect_seconds_max),
            idle_time_max: Duration::from_secs(vault.idle_seconds_max),
            whole_time_max: Duration::from_secs(vault.file_seconds_max),
            bytes_per_second_min: vault.speed_bytes_per_second_min,
            tries_max: vault.tries_max,
            ..vault::Settings::default()
        })
    }

    /// Returns the other hallmarks that are asked by digest.
    pub(crate) fn mirrors(&self) -> Result<Vec<vault::Source>, String> {
        let mirror = |text: &String| {
            let endpoint =
                vault::HubEndpoint::parse(text).map_err(|error| format!("[vault] mirrors: {error}"))?;
            Ok(vault::Source::Mirror(endpoint.url().clone()))
        };
        self.vault.mirrors.iter().map(mirror).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hallmark.toml");
        std::fs::write(&path, text).unwrap();
        let error = anyhow::Error::from(Config::read(&path).unwrap_err());
        error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }

    #[test]
    fn a_wrong_key_is_refused_with_its_place_and_a_suggestion() {
        let error = wrong("[vault]\nmirors = []\n");
        assert!(error.contains("hallmark.toml:2:1"), "{error}");
        assert!(error.contains("did you mean `mirrors`?"), "{error}");
        assert!(wrong("[vaults]\n").contains("did you mean `vault`?"));
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_reason() {
        assert!(wrong("[deploy]\nmodels = \"some\"\n").contains("neither a list of model ids nor \"all\""));
        assert!(wrong("[vault]\ndownloads_max = 0\n").contains("hallmark.toml:2:17"));
        assert!(wrong("[hub]\nendpoint = \"ftp://x\"\n").contains("[hub] endpoint"));
        assert!(wrong("[vault]\nmirrors = [\"nowhere\"]\n").contains("[vault] mirrors"));
        assert!(wrong("[catalog]\nindex = \"git+https://me:secret@h/r\"\n").contains("hallmark.toml:2:"));
        assert!(!wrong("[catalog]\nindex = \"git+https://me:secret@h/r\"\n").contains("secret"));
        assert!(wrong("[ledger]\nrelays = [\"https://h\"]\n").contains("a ws:// or wss:// address"));
        assert!(!wrong("[ledger]\nrelays = [\"wss://me:secret@h\"]\n").contains("secret"));
        assert!(wrong("[ledger]\norigin = \"my log\"\n").contains("[ledger] origin"));
        assert!(wrong("[ledger]\nrules_mode = \"obey\"\n").contains("hallmark.toml:2:14"));
        assert!(wrong("[ledger]\nrelay = []\n").contains("did you mean `relays`?"));
        assert!(wrong("[propose]\nrepo = \"models\"\n").contains("[propose] repo"));
        assert!(wrong("[propose]\nauthor = \"Ada\"\n").contains("it is written Name <address>"));
        assert!(wrong("[propose]\nforge = \"bucket\"\n").contains("[propose] forge"));
    }

    #[test]
    fn the_daemons_sections_are_checked_like_the_others() {
        assert!(wrong("[policy]\nlicence = []\n").contains("did you mean `licenses`?"));
        assert!(wrong("[policy]\nlicenses = [\"Apache 2\"]\n").contains("is no SPDX licence id"));
        assert!(wrong("[policy]\nsources = [\"huggingface.co\"]\n").contains("is no origin"));
        assert!(wrong("[http]\nlisten = \"8420\"\n").contains("hallmark.toml:2:10"));
        assert!(wrong("[http]\nlistn = \"127.0.0.1:1\"\n").contains("did you mean `listen`?"));
        assert!(wrong("[http]\nclient_requests_per_second = 0\n").contains("hallmark.toml:2:"));
        assert!(wrong("[deploy]\nretry_seconds_first = 0\n").contains("hallmark.toml:2:"));
    }

    #[test]
    fn an_empty_file_has_every_default() {
        let config: Config = toml::from_str("").unwrap();
        assert_eq!(config.deploy.models, Wanted::These(Vec::new()));
        assert!(config.vault.verify_checksums);
        assert_eq!(toml::from_str::<Config>("deploy.models = \"all\"").unwrap().deploy.models, Wanted::All);
    }
}
