//! `[ledger]`: the log of signed events, who signs in it, and what it lets in.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use ledger::{Kind, Leniency, Limits, Policy, event::Scheme};
use serde::Deserialize;
use url::Url;

/// How many relays may be published to, and how many followed.
const RELAYS_MAX: usize = 32;

/// `[ledger]`: the log of signed events, who signs in it, and what it lets in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the file")]
pub(crate) struct LedgerConfig {
    /// Whether there is a log at all. Without one nothing is signed, and its pages answer 404.
    pub(crate) enabled: bool,
    /// The log's file; unless set, `ledger.sqlite` in the state folder.
    file: Option<PathBuf>,
    /// What the daemon signs with; unless set, the credential `signing-key` of the service manager, else `daemon.key`
    /// in the state folder. Made if it is missing.
    pub(crate) key_file: Option<PathBuf>,
    /// What signs the log's checkpoints; unless set, `checkpoint.key` in the state folder. Made if it is missing.
    checkpoint_key_file: Option<PathBuf>,
    /// The log's name in its checkpoints, as in `registry.example.org/log`; unless set, it is made of the daemon's
    /// address. It holds from the first start on.
    pub(crate) origin: Option<String>,
    /// What this host is called in what the daemon signs; unless set, its host name.
    pub(crate) host: Option<String>,
    /// How the daemon signs: `spec`, or `sdk` for clients that take nothing else.
    pub(crate) signs_as: SignsAs,
    /// Relays that get what was signed here.
    pub(crate) relays: Vec<RelayUrl>,
    /// Relays whose events are taken in here too.
    pub(crate) follow: Vec<RelayUrl>,
    /// Kinds that only their parties and the operator may read, such as conversations, 30410, and sessions, 30411.
    pub(crate) private_kinds: Vec<u16>,
    /// The host names that clients reach the relay by; an AUTH that is meant for another is refused. Empty takes any.
    pub(crate) relay_hosts: Vec<String>,
    /// Whether a subspace may be named by a symbol such as `0xMG`, which nothing can check.
    allow_symbolic_sids: bool,
    /// Whether events are let in before their subspace is known.
    allow_orphans: bool,
    /// Whether kinds are kept that the protocol does not declare.
    keep_other_kinds: bool,
    /// Whether a wallet's signature over the text of an id is taken.
    accept_id_text: bool,
    /// Whether 64-byte signatures with the parity in their top bit are taken (EIP-2098).
    accept_eip2098: bool,
    /// What becomes of the rules of a subspace: their outcome is written down, or what they do not allow is refused.
    pub(crate) rules_mode: RulesMode,
    /// How far the date of an event may lie in the future.
    future_seconds_max: u64,
    /// How large an event may be.
    event_bytes_max: usize,
    /// How many tags an event may have.
    tags_max: usize,
    /// How much memory the graph of the log may take: about 300 bytes an event. A log that needs more has no gate.
    pub(crate) graph_bytes_max: usize,
    /// How many clients the relay serves at once.
    pub(crate) clients_max: usize,
    /// How many events may wait for a client that does not read; one more ends it.
    pub(crate) client_queue_max: usize,
}

/// How the daemon signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SignsAs {
    /// The id is the SHA-256 of the event, as the specification has it.
    Spec,
    /// The id is the EIP-191 Keccak of the event, as the clients' libraries have it.
    Sdk,
}

/// What becomes of the rules of a subspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RulesMode {
    /// Their outcome is written down.
    Record,
    /// What they do not allow is refused.
    Enforce,
}

/// Where a relay is: `ws://` or `wss://`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct RelayUrl(pub(crate) Url);

impl TryFrom<String> for RelayUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // The text itself is not repeated: it may hold a secret put there by mistake.
        let url =
            Url::parse(&text).map_err(|error| format!("a relay is a ws:// or wss:// address: {error}"))?;
        if !matches!(url.scheme(), "ws" | "wss") || url.host_str().is_none() {
            return Err("a relay is a ws:// or wss:// address".to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a relay's address holds no user or password".to_owned());
        }
        Ok(Self(url))
    }
}

impl Default for LedgerConfig {
    fn default() -> Self {
        let (policy, limits) = (Policy::default(), Limits::default());
        Self {
            enabled: true,
            file: None,
            key_file: None,
            checkpoint_key_file: None,
            origin: None,
            host: None,
            signs_as: SignsAs::Spec,
            relays: Vec::new(),
            follow: Vec::new(),
            private_kinds: Vec::new(),
            relay_hosts: Vec::new(),
            allow_symbolic_sids: policy.allow_symbolic_sids,
            allow_orphans: policy.allow_orphans,
            keep_other_kinds: policy.keep_other_kinds,
            accept_id_text: false,
            accept_eip2098: false,
            rules_mode: RulesMode::Record,
            future_seconds_max: policy.ahead_max.as_secs(),
            event_bytes_max: limits.event_bytes_max,
            tags_max: limits.tags_max,
            graph_bytes_max: 2 << 30,
            clients_max: 2048,
            client_queue_max: 4096,
        }
    }
}

impl LedgerConfig {
    /// Says what makes no sense, if anything does not.
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(origin) = &self.origin
            && (origin.is_empty() || origin.contains(|it: char| it.is_whitespace() || it == '+'))
        {
            return Err("[ledger] origin: a log's name has no spaces and no plus".to_owned());
        }
        for (key, relays) in [("relays", &self.relays), ("follow", &self.follow)] {
            if relays.len() > RELAYS_MAX {
                return Err(format!("[ledger] {key}: at most {RELAYS_MAX}, not {}", relays.len()));
            }
        }
        if !self.follow.is_empty() && !self.allow_orphans {
            // Relays show the newest first, so an event comes before the one that made its subspace.
            return Err("[ledger] follow needs allow_orphans = true".to_owned());
        }
        Ok(())
    }

    /// Returns the log's file.
    pub(crate) fn file(&self, state: &Path) -> PathBuf {
        self.file.clone().unwrap_or_else(|| state.join("ledger.sqlite"))
    }

    /// Returns the file of the key that signs checkpoints.
    pub(crate) fn checkpoint_key_file(&self, state: &Path) -> PathBuf {
        self.checkpoint_key_file.clone().unwrap_or_else(|| state.join("checkpoint.key"))
    }

    /// Returns what the log lets in.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            ahead_max: Duration::from_secs(self.future_seconds_max),
            allow_symbolic_sids: self.allow_symbolic_sids,
            allow_orphans: self.allow_orphans,
            keep_other_kinds: self.keep_other_kinds,
        }
    }

    /// Returns how large an event may be.
    pub(crate) fn limits(&self) -> Limits {
        Limits { event_bytes_max: self.event_bytes_max, tags_max: self.tags_max, ..Limits::default() }
    }

    /// Returns what is taken besides the ordinary.
    pub(crate) fn leniency(&self) -> Leniency {
        Leniency { accept_id_text: self.accept_id_text, accept_eip2098: self.accept_eip2098 }
    }

    /// Says whether only its parties and the operator may read a kind.
    pub(crate) fn is_private(&self, kind: Kind) -> bool {
        self.private_kinds.contains(&kind.0)
    }

    /// Returns how the daemon signs.
    pub(crate) fn scheme(&self) -> Scheme {
        match self.signs_as {
            SignsAs::Spec => Scheme::SpecEip191,
            SignsAs::Sdk => Scheme::Sdk,
        }
    }
}
