//! From an order to a deployed model, or to the reason why not: what `sync` and the daemon have in common.
//!
//! - Nothing is shown that was not proven and that the policy does not allow.
//! - One model's trouble is its own; its reason is kept on record, its bytes are not thrown away.

pub(crate) mod deploy;
pub(crate) mod fetch;
pub(crate) mod look;

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use base::{Clock as _, ModelId, Sha256, SystemClock};
use serde::{Deserialize, Serialize};
use vault::{
    Object,
    inspect::{Format, inspect},
    view::EntryPath,
};

use self::fetch::{Bytes, Fetched};
use crate::{
    gate::Gate,
    host::Host,
    order::Order,
    out,
    policy::{Descent, LINEAGE, Objection, Ruling},
    records::{Event, Inside, Record},
};

/// What holds a model where nobody can say what it rests on.
const NO_GATE: &str =
    "what it rests on is judged over the daemon's log: start `hallmark serve`, with [ledger] enabled";
/// How many files of one model are named when they did not come; wrong bytes come first.
const WHYS_MAX: usize = 3;

/// How one model ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(crate) enum End {
    /// Every file is there, proven, and visible.
    Deployed {
        version: String,
        size_bytes: u64,
        /// Whether anything had to be done for it.
        changed: bool,
        /// Whether every file is what the index promises; false only where the operator waived that.
        verified: bool,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        flaws: Vec<String>,
        /// Whether the gate cannot be asked yet, so that it stays what it was.
        #[serde(skip)]
        unjudged: bool,
    },
    /// The gate cannot be asked yet; nothing is done until it can.
    Waiting {
        why: Vec<Objection>,
    },
    /// The policy objects.
    Held {
        why: Vec<Objection>,
        /// Whether what was deployed of it stays.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        keeps_previous: bool,
    },
    Failed {
        why: String,
        /// Whether nothing changes until the entry, a source or the token does.
        #[serde(skip)]
        is_final: bool,
    },
    Quarantined {
        why: String,
    },
    Stub {
        why: String,
    },
    Missing {
        why: String,
    },
}

impl End {
    /// Makes an end out of trouble that may pass.
    pub(crate) fn failed(error: &anyhow::Error) -> Self {
        Self::Failed { why: format!("{error:#}"), is_final: false }
    }
}

/// Asks the policy before anything is fetched.
pub(crate) fn gate_before(host: &Host, order: &Order) -> Ruling {
    host.config.policy.judge(&order.facts(None))
}

/// Deploys a model if all its files are there. Its trouble is its own: the others go on.
pub(crate) fn finish(
    host: &Host,
    gate: Option<&Gate>,
    order: &Order,
    fetched: &BTreeMap<Sha256, Fetched>,
) -> End {
    decide(host, gate, order, fetched).unwrap_or_else(|error| End::failed(&error))
}

/// Deploys a model or says why not, and keeps a record of what became of it.
fn decide(
    host: &Host,
    gate: Option<&Gate>,
    order: &Order,
    fetched: &BTreeMap<Sha256, Fetched>,
) -> anyhow::Result<End> {
    let mut whys = Vec::new();
    let mut quarantined = false;
    let mut is_final = false;
    for file in &order.files {
        match fetched.get(&file.want.digest) {
            Some(Fetched::Wrong { why }) => {
                quarantined = true;
                whys.insert(0, why.clone());
            }
            Some(Fetched::Failed { why, is_final: last }) => {
                is_final |= last;
                whys.push(why.clone());
            }
            Some(Fetched::Stands(_) | Fetched::StandsUnproven(_) | Fetched::Came { .. }) | None => {}
        }
    }
    if whys.is_empty() {
        return match gate_after(host, gate, order, fetched)? {
            Verdict::Passes => deploy::model(host, order, fetched, gate.map(Gate::digest)),
            Verdict::Objects(why) => hold(host, order, why),
            Verdict::NotYet(why) => stay(host, gate, order, fetched, why),
        };
    }
    if whys.len() > WHYS_MAX {
        // A hub that is down says the same of every file.
        let more = whys.split_off(WHYS_MAX).len();
        whys.push(format!("and {} more of this model did not come", out::counted(more as u64, "file")));
    }
    let why = whys.join("\n");
    let event = if quarantined {
        Event::Quarantined { why: why.clone() }
    } else {
        Event::Failed { why: why.clone(), is_final }
    };
    // The reason is worth more than its record: on a full disk there may be no room for that.
    let why =
        match note(host, &order.id, order.digest, event).and_then(|()| withdraw_doubtful(host, &order.id)) {
            Ok(()) => why,
            Err(error) => format!("{why}\n  and: {error:#}"),
        };
    Ok(if quarantined { End::Quarantined { why } } else { End::Failed { why, is_final } })
}

/// What the policy says of a model whose files are all there.
enum Verdict {
    Passes,
    Objects(Vec<Objection>),
    /// Nothing else is wrong with it, and the gate cannot be asked yet.
    NotYet(Vec<Objection>),
}

/// Leaves a model as it is while the gate cannot be asked: one that the same gate let through stays deployed, anything
/// else waits.
fn stay(
    host: &Host,
    gate: Option<&Gate>,
    order: &Order,
    fetched: &BTreeMap<Sha256, Fetched>,
    why: Vec<Objection>,
) -> anyhow::Result<End> {
    let gate = gate.map(Gate::digest);
    let passed = match host.records.read(&order.id, order.digest)?.map(|it| it.event) {
        Some(Event::Deployed { gate, .. }) => gate,
        _ => None,
    };
    let view = host.store.view(&order.id).with_context(|| format!("look at the view of {}", order.id))?;
    let shown =
        view.into_iter().flat_map(|it| it.files).map(|it| (it.path, it.digest)).collect::<BTreeMap<_, _>>();
    let ordered = order.files.iter().map(|it| (it.path.clone(), it.want.digest)).collect::<BTreeMap<_, _>>();
    if gate.is_none() || passed != gate || shown != ordered {
        return Ok(End::Waiting { why });
    }
    let mut end = deploy::model(host, order, fetched, gate)?;
    if let End::Deployed { unjudged, .. } = &mut end {
        *unjudged = true;
    }
    Ok(end)
}

/// Asks the policy once all files are there: what they are inside counts, not what they are called.
fn gate_after(
    host: &Host,
    gate: Option<&Gate>,
    order: &Order,
    fetched: &BTreeMap<Sha256, Fetched>,
) -> anyhow::Result<Verdict> {
    let mut formats = BTreeMap::new();
    let looked_into = host.config.policy.formats.is_some();
    for file in order.files.iter().filter(|_| looked_into) {
        let (path, name) = (file.path.as_str(), &file.want.name);
        let found = fetched.get(&file.want.digest).and_then(Fetched::path);
        let found = found.with_context(|| format!("look for {name} on the shelf"))?;
        formats.insert(path.to_owned(), format_of(found, path)?);
    }
    let mut facts = order.facts(looked_into.then_some(&formats));
    if host.config.policy.lineage.is_some() {
        facts.descent = match gate {
            Some(gate) => gate.descent(order, proven(order, fetched).is_some()),
            None => Descent::Unknown(NO_GATE.to_owned()),
        };
    }
    let why = host.config.policy.judge(&facts).objections;
    let is_read = !matches!(facts.descent, Descent::BeingRead);
    // Who cannot be asked yet holds nothing back that another rule does not.
    let others = why.iter().filter(|it| is_read || it.rule != LINEAGE).cloned().collect::<Vec<_>>();
    Ok(match (others.is_empty(), is_read) {
        (false, _) => Verdict::Objects(others),
        (true, true) => Verdict::Passes,
        (true, false) => Verdict::NotYet(why),
    })
}

fn format_of(found: &Path, name: &str) -> anyhow::Result<Format> {
    Ok(inspect(found, name).with_context(|| format!("look inside {name}"))?.format)
}

/// Keeps a model out of sight. Its bytes stay on the shelf, so that a changed policy needs no network.
pub(crate) fn hold(host: &Host, order: &Order, why: Vec<Objection>) -> anyhow::Result<End> {
    note(host, &order.id, order.digest, Event::Held { why: why.clone() })?;
    let keeps_previous = host.config.policy.keeps_previous(&why);
    if !keeps_previous {
        deploy::hide(host, order)?;
    }
    Ok(End::Held { why, keeps_previous })
}

/// Takes away a view of unverified bytes that an earlier sync was allowed to make and this one is not.
fn withdraw_doubtful(host: &Host, id: &ModelId) -> anyhow::Result<()> {
    if !host.config.vault.verify_checksums {
        return Ok(());
    }
    let view = host.store.view(id).with_context(|| format!("look at the view of {id}"))?;
    if view.is_some_and(|it| it.files.iter().any(|file| !file.verified)) {
        host.store.remove(id).with_context(|| format!("remove the unverified view of {id}"))?;
    }
    Ok(())
}

/// Writes a record unless the last one says the same.
fn note(host: &Host, id: &ModelId, digest: Sha256, event: Event) -> anyhow::Result<()> {
    if host.records.read(id, digest)?.is_some_and(|it| it.event == event) {
        return Ok(());
    }
    host.records.write(id, &Record { digest, at: SystemClock.now(), event })
}

/// Returns the parts of a look inside that a record keeps.
fn inside(bytes: Option<&Bytes>) -> Option<Inside> {
    bytes.and_then(|it| it.inspected.as_ref()).map(Inside::from)
}

/// Lists the proven files of a model by their paths; `None` if one of them is not there or not proven.
pub(crate) fn proven(order: &Order, fetched: &BTreeMap<Sha256, Fetched>) -> Option<Vec<(EntryPath, Object)>> {
    let files = order.files.iter();
    files.map(|it| Some((it.path.clone(), deploy::object(it, fetched)?.clone()))).collect()
}
