//! The proposal as signed events: what the model was trained on, how, and that it is proposed; so that whoever reviews
//! it can vote on exactly these bytes.

use anyhow::Context as _;
use base::{Clock as _, SystemClock};
use catalog::Listed;
use ledger::{
    Draft, EventId, SecretKey, Tag,
    event::{Author, Scheme, Tags},
    kinds::{Operation, Propose},
};
use proposal::review::Vote;
use serde::Deserialize;
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use crate::{
    event::Whom,
    ledger::{Ledger, chain::Occasion},
    remote::{Remote, parse, refusal},
};

/// How many events about one thing are looked through for the one that says the same.
const ALIKE_MAX: usize = 100;

/// An event of the proposal.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct Told {
    pub(super) kind: u16,
    pub(super) id: String,
    /// Whether it was signed now.
    pub(super) is_new: bool,
}

/// Signs what is not in the daemon's log yet, and puts it there.
pub(super) fn tell(
    key: &SecretKey,
    whom: &Whom,
    listed: &Listed,
    link: Option<&str>,
) -> anyhow::Result<Vec<Told>> {
    let teller = Teller { key, daemon: whom.remote()? };
    let (entry, now) = (&listed.entry, Occasion { sid: Ledger::own_space(), now: SystemClock.now() });
    let mut told = Vec::new();
    let mut parents = Vec::new();
    if let Some(draft) = now.dataset(entry) {
        let dataset = teller.say(&draft, "dataset_id", &mut told)?;
        if let Some(draft) = now.finetune(entry, dataset) {
            parents.push(teller.say(&draft, "model_id", &mut told)?);
        }
    }
    teller.say(&proposal(&now, listed, link, parents), "model_id", &mut told)?;
    Ok(told)
}

/// Returns what a proposal is called, and who signs it.
pub(super) fn vote(key: &SecretKey, listed: &Listed) -> Vote {
    Vote { name: name(listed), signer: Author::lower(key.address()).to_string() }
}

/// Returns what a proposal is called. The first of a name is the one that counts, so other bytes have another name.
fn name(listed: &Listed) -> String {
    let digest = listed.entry.artifact.sha256.to_string();
    format!("{}@{}+{}", listed.entry.id, listed.entry.version, &digest[..16])
}

/// Says that a version of a model, with these bytes, is proposed.
fn proposal(now: &Occasion, listed: &Listed, link: Option<&str>, parents: Vec<EventId>) -> Draft {
    let (entry, digest) = (&listed.entry, listed.entry.artifact.sha256.to_string());
    let content = json!({
        "name": proposal::review::title(&entry.id),
        "model_id": entry.id.as_str(),
        "version": entry.version.to_string(),
        "sha256": digest,
        "size": entry.artifact.size_bytes.get(),
        "license": entry.license.as_str(),
        "pull_request": link,
    });
    let operation = Operation {
        created_at: now.now,
        sid: Some(now.sid.clone()),
        auth: None,
        parents,
        content: content.to_string(),
    };
    let mut draft = Propose { proposal_id: Some(name(listed)), rules: None }.draft(operation);
    draft.tags.push(Tag::pair("model_id", entry.id.as_str()));
    draft.tags.push(Tag::pair("version", &entry.version.to_string()));
    draft.tags.push(Tag::pair("sha256", &digest));
    draft
}

struct Teller<'k> {
    key: &'k SecretKey,
    daemon: Remote,
}

#[derive(Deserialize)]
struct Page {
    events: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    event: Known,
}

#[derive(Deserialize)]
struct Known {
    id: String,
    tags: Tags,
    content: String,
}

impl Teller<'_> {
    /// Returns the event that says this, signed now if the log has none. `tag` tells what it is about.
    fn say(&self, draft: &Draft, tag: &str, told: &mut Vec<Told>) -> anyhow::Result<EventId> {
        let kind = draft.kind.0;
        let (id, is_new) = match self.known(draft, tag)? {
            Some(id) => (id, false),
            None => (self.publish(draft)?, true),
        };
        told.push(Told { kind, id: id.clone(), is_new });
        EventId::parse(&id).context("read the daemon's answer")
    }

    fn known(&self, draft: &Draft, tag: &str) -> anyhow::Result<Option<String>> {
        let mut query = Serializer::new(String::new());
        query.append_pair("kind", &draft.kind.to_string());
        query.append_pair("author", &Author::lower(self.key.address()).to_string());
        query.append_pair("limit", &ALIKE_MAX.to_string());
        query.append_pair(&format!("tag.{tag}"), draft.tags.first(tag).unwrap_or_default());
        let path = format!("/v1/events?{}", query.finish());
        let page: Page = self.daemon.converse(self.daemon.get(&path))?;
        let same = |it: &Known| it.tags == draft.tags && it.content == draft.content;
        Ok(page.events.into_iter().map(|it| it.event).find(same).map(|it| it.id))
    }

    fn publish(&self, draft: &Draft) -> anyhow::Result<String> {
        let event = self.key.sign(draft.clone(), Scheme::SpecEip191);
        let (status, said) = self.daemon.converse(self.daemon.publish(&event))?;
        if status != 200 {
            let what = || format!("put an event of kind {} into the log", draft.kind);
            return Err(refusal(&said)).with_context(what);
        }
        let said: Value = parse(&said)?;
        let id = said.get("id").and_then(Value::as_str);
        id.map(str::to_owned).context("the daemon's answer names no event")
    }
}
