//! The second tier: results of heavy models, accepted by commit, reveal and attest.
//!
//! - Who runs the model commits to a core before anyone sees it, and reveals it some checkpoints later.
//! - Attesters run it too. As many as the policy asks for have to agree; one who differs opens a dispute, as long as
//!   the challenge lasts.
//! - The state is a fold over the phases: the order in which events of one checkpoint come changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use base::digest::Sha256;

use crate::{
    flaw::{Code, Flaw},
    item::Item,
    json::Json,
    lint,
    num::Num,
    reader::Reader,
};

/// The keys of a phase's content.
const KEYS: [&str; 8] = ["phase", "item", "commit", "core", "salt", "cid", "reveal", "stake"];
/// The longest content of a phase.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// The most attestations of one result that are kept.
const ATTESTERS_MAX: usize = 1024;

/// How results are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How many checkpoints lie at least between commit and reveal.
    pub reveal_after: u64,
    /// How many attesters have to agree.
    pub quorum: usize,
    /// For how many checkpoints after the reveal an attester may differ.
    pub challenge: u64,
    /// Who attests, if they were drawn; anyone but the executor, if not.
    pub drawn: Option<BTreeSet<String>>,
}

/// What one event of the second tier says.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// "I have a result", without saying which.
    Commit {
        /// The id of the card's event.
        item: String,
        /// SHA-256 of the core's canonical text and the salt.
        digest: Sha256,
    },
    /// "This is it."
    Reveal {
        /// The id of the commit's event.
        commit: String,
        /// The core.
        core: Json,
        /// What made the commit unguessable.
        salt: String,
    },
    /// "I get this."
    Attest {
        /// The id of the reveal's event.
        reveal: String,
        /// The core that the attester gets.
        core: Json,
    },
}

impl Phase {
    /// Reads the content of an event. `None` if it has no `phase`: then it is an UPDATE.
    pub fn read(content: &str) -> Result<Option<Self>, Vec<Flaw>> {
        if content.len() > TEXT_BYTES_MAX {
            let text = format!("a phase has at most {TEXT_BYTES_MAX} bytes");
            return Err(vec![Flaw::new(Code::EMismatch, "", text)]);
        }
        let json =
            Json::parse(content).map_err(|error| vec![lint::explain(Code::EMismatch, content, &error)])?;
        if json.get("phase").is_none() {
            return Ok(None);
        }
        let mut flaws = Vec::new();
        let phase = parse(&json, &mut flaws);
        match phase {
            Some(phase) if flaws.is_empty() => Ok(Some(phase)),
            _ => Err(flaws),
        }
    }

    /// Returns the digest that a commit to a core has.
    pub fn commit_digest(core: &Json, salt: &str) -> Sha256 {
        Sha256::of(format!("{}{salt}", core.canonical()).as_bytes())
    }
}

fn parse(json: &Json, flaws: &mut Vec<Flaw>) -> Option<Phase> {
    let mut reader = Reader::of(json, "", Code::EMismatch, &KEYS, flaws)?;
    let core = |reader: &mut Reader| match reader.needed("core")? {
        core @ Json::Map(_) => Some(core.clone()),
        other => {
            reader.wrong("core", format!("expected an object, found {}", other.kind()));
            None
        }
    };
    match reader.text("phase", 16)? {
        "commit" => {
            let item = reader.text("item", 128)?.to_owned();
            let hex = reader.text("commit", 66)?;
            let digest = hex.strip_prefix("0x").and_then(|it| Sha256::parse(it).ok());
            if digest.is_none() {
                reader.wrong("commit", "expected 0x and 64 hex digits");
            }
            Some(Phase::Commit { item, digest: digest? })
        }
        "reveal" => {
            let commit = reader.text("commit", 128)?.to_owned();
            let salt = reader.text("salt", 128)?.to_owned();
            Some(Phase::Reveal { commit, core: core(&mut reader)?, salt })
        }
        "attest" => {
            let reveal = reader.text("reveal", 128)?.to_owned();
            Some(Phase::Attest { reveal, core: core(&mut reader)? })
        }
        _ => {
            reader.wrong("phase", "expected commit, reveal or attest");
            None
        }
    }
}

/// One event of the second tier, its signature checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The event's id.
    pub event: String,
    /// Who signed it.
    pub author: String,
    /// The checkpoint that it came before.
    pub checkpoint: u64,
    /// What it says.
    pub phase: Phase,
}

/// How far a result has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Promised, not shown.
    Committed,
    /// Shown; attesters are awaited.
    Revealed {
        /// What was shown.
        core: Json,
        /// How many agree so far.
        agree: usize,
    },
    /// Enough agree, and nobody differed in time.
    Accepted {
        /// The result.
        core: Json,
        /// Who agrees.
        agree: BTreeSet<String>,
    },
    /// Somebody differs: a jury decides.
    Disputed {
        /// What was shown.
        core: Json,
        /// Who differs.
        differ: BTreeSet<String>,
    },
}

#[derive(Clone, Debug)]
struct Promise {
    executor: String,
    item: String,
    digest: Sha256,
    committed: u64,
    revealed: Option<Revealed>,
}

#[derive(Clone, Debug)]
struct Revealed {
    core: Json,
    checkpoint: u64,
    attests: BTreeMap<String, (String, u64, Json)>,
}

/// All results of heavy models.
#[derive(Clone, Debug, Default)]
pub struct Heavy {
    results: BTreeMap<String, Promise>,
    /// Which commit a reveal belongs to.
    reveals: BTreeMap<String, String>,
}

impl Heavy {
    /// Says why an event would be refused, if it would.
    pub fn check(&self, policy: &Policy, said: &Said) -> Result<(), Flaw> {
        let wrong = |place: &str, text: &str| Err(Flaw::new(Code::EMismatch, place, text));
        match &said.phase {
            Phase::Commit { .. } => Ok(()),
            Phase::Reveal { commit, core, salt } => {
                let Some(result) = self.results.get(commit) else {
                    return wrong("/commit", "no such commit is known");
                };
                if result.executor != said.author {
                    let text = format!("{} committed, {} reveals", result.executor, said.author);
                    return Err(Flaw::new(Code::EUpdater, "/commit", text));
                }
                if said.checkpoint < result.committed.saturating_add(policy.reveal_after) {
                    return wrong("/phase", "revealed too soon after the commit");
                }
                if Phase::commit_digest(core, salt) != result.digest {
                    return wrong("/core", "this is not what was committed to");
                }
                Ok(())
            }
            Phase::Attest { reveal, .. } => {
                let result = self.reveals.get(reveal).and_then(|it| self.results.get(it));
                let Some((executor, revealed)) =
                    result.and_then(|it| Some((&it.executor, it.revealed.as_ref()?)))
                else {
                    return wrong("/reveal", "no such reveal is known");
                };
                let is_drawn = policy.drawn.as_ref().is_none_or(|it| it.contains(&said.author));
                if *executor == said.author || !is_drawn {
                    let text = format!("{} is not among those who attest this", said.author);
                    return Err(Flaw::new(Code::EUpdater, "", text));
                }
                if !revealed.attests.contains_key(&said.author) && revealed.attests.len() >= ATTESTERS_MAX {
                    let text = format!("at most {ATTESTERS_MAX} attest one result");
                    return Err(Flaw::new(Code::ELimits, "", text));
                }
                Ok(())
            }
        }
    }

    /// Takes one event. What is refused changes nothing, and the flaw says why.
    pub fn take(&mut self, policy: &Policy, said: Said) -> Result<(), Flaw> {
        self.check(policy, &said)?;
        match said.phase {
            Phase::Commit { item, digest } => {
                let result = Promise {
                    executor: said.author,
                    item,
                    digest,
                    committed: said.checkpoint,
                    revealed: None,
                };
                self.results.entry(said.event).or_insert(result);
            }
            Phase::Reveal { commit, core, .. } => {
                let Some(result) = self.results.get_mut(&commit) else { return Ok(()) };
                // Only one core fits the commit, so a second reveal says the same as the first.
                if result.revealed.is_none() {
                    let attests = BTreeMap::new();
                    result.revealed = Some(Revealed { core, checkpoint: said.checkpoint, attests });
                }
                self.reveals.insert(said.event, commit);
            }
            Phase::Attest { reveal, core } => {
                let result = self.reveals.get(&reveal).and_then(|it| self.results.get_mut(it));
                let Some(revealed) = result.and_then(|it| it.revealed.as_mut()) else { return Ok(()) };
                let known = revealed.attests.get(&said.author);
                // Whoever attests twice is held to the first; of two in one checkpoint, to the smaller id.
                let place = (said.checkpoint, said.event);
                if known.is_none_or(|(event, checkpoint, _)| place < (*checkpoint, event.clone())) {
                    revealed.attests.insert(said.author, (place.1, place.0, core));
                }
            }
        }
        Ok(())
    }

    /// Lists the commits to results of a card.
    pub fn commits<'h>(&'h self, item: &'h str) -> impl Iterator<Item = &'h str> {
        self.results.iter().filter(move |it| it.1.item == item).map(|it| it.0.as_str())
    }

    /// Returns how far the result of a commit has come at a checkpoint, or `None` if there is no such commit.
    pub fn stage(&self, policy: &Policy, item: &Item, commit: &str, now: u64) -> Option<Stage> {
        let result = self.results.get(commit)?;
        let Some(revealed) = &result.revealed else { return Some(Stage::Committed) };
        let last = revealed.checkpoint.saturating_add(policy.challenge);
        let in_time = revealed.attests.iter().filter(|(_, (_, checkpoint, _))| *checkpoint <= last);
        let (agree, differ): (Vec<_>, Vec<_>) =
            in_time.partition(|(_, (_, _, core))| agrees(item, &revealed.core, core));
        let names =
            |list: Vec<(&String, _)>| list.into_iter().map(|it| it.0.clone()).collect::<BTreeSet<String>>();
        let core = revealed.core.clone();
        Some(if !differ.is_empty() {
            Stage::Disputed { core, differ: names(differ) }
        } else if agree.len() >= policy.quorum && now > last {
            Stage::Accepted { core, agree: names(agree) }
        } else {
            Stage::Revealed { core, agree: agree.len() }
        })
    }
}

/// Says whether two cores are the same, or near enough if the card says that bits may differ.
fn agrees(item: &Item, revealed: &Json, attested: &Json) -> bool {
    if item.control.deterministic {
        return revealed.canonical() == attested.canonical();
    }
    let label = |core: &Json| core.get("result").and_then(|it| it.get("label")).cloned();
    let score = |core: &Json| core.get("result").and_then(|it| it.get("score")).and_then(Num::of_json);
    let (Some(left), Some(right)) = (score(revealed), score(attested)) else { return false };
    let apart = left.units().abs_diff(right.units());
    apart <= item.control.tolerance.units().unsigned_abs() && label(revealed) == label(attested)
}

#[cfg(test)]
mod tests;
