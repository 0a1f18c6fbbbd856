//! UPDATE: what an evaluation writes back.
//!
//! - The core is all but `ts` and `sig`. It is the same for everyone, so a daemon does the work again and refuses a
//!   core that differs.
//! - The payload is the vector and what was visited. Its CID is another spelling of its SHA-256.
//! - Signatures are for the caller: this module says which message is signed.

use std::collections::BTreeMap;

use base::digest::Sha256;
use cid::Cid;
use multihash::Multihash;
use serde::Serialize;

use crate::{
    evaluate::Evaluation,
    features::FeatureVector,
    flaw::{Code, Flaw},
    item::{ID_BYTES_MAX, Item, ResultFields},
    json::{Json, canonical},
    lint,
    reader::Reader,
};

/// The keys of an UPDATE.
pub(crate) const KEYS: [&str; 18] = [
    "at",
    "cid",
    "feature_hash",
    "gas",
    "item",
    "item_hash",
    "jid",
    "miss",
    "model",
    "model_hash",
    "n",
    "result",
    "stop",
    "visit_hash",
    "ts",
    "sig",
    "proof",
    "proof_type",
];
/// Older names, and what they are called now.
const OLDER_KEYS: [(&str, &str); 2] = [("feat_hash", "feature_hash"), ("job", "jid")];
/// What is no part of the core.
const OUTSIDE_CORE: [&str; 4] = ["ts", "sig", "proof", "proof_type"];
/// Raw bytes, in the table of multicodecs.
const RAW: u64 = 0x55;
/// SHA-256, in the same table.
const SHA2_256: u64 = 0x12;

/// An UPDATE, its keys as they are called now.
#[derive(Clone, Debug, PartialEq)]
pub struct Update(BTreeMap<String, Json>);

impl Update {
    /// Makes the UPDATE of an evaluation, without time and signature.
    ///
    /// `item_event` is the id of the card's event, `root` the ledger's root at the evaluation's checkpoint.
    pub fn of(evaluation: &Evaluation, item: &Item, item_event: &str, root: &str) -> Self {
        let text = |it: &str| Json::Text(it.to_owned());
        #[expect(clippy::cast_precision_loss, reason = "counts and gas are far below 2^53")]
        let whole = |it: u64| Json::Number(it as f64);
        let at =
            Json::Map([("root".to_owned(), text(root)), ("seq".to_owned(), whole(evaluation.at))].into());
        let mut map: BTreeMap<String, Json> = [
            ("at", at),
            ("feature_hash", text(&evaluation.features.hash_text())),
            ("gas", whole(evaluation.gas)),
            ("item", text(item_event)),
            ("item_hash", text(&evaluation.item_hash)),
            ("jid", text(&evaluation.job)),
            ("miss", whole(evaluation.missing)),
            ("model", text(&evaluation.model)),
            ("model_hash", text(&evaluation.model_hash)),
            ("n", whole(evaluation.visited.len() as u64)),
            ("result", result(evaluation, &item.output.fields)),
            ("stop", text(evaluation.stop.name())),
            ("visit_hash", text(&evaluation.visit_hash())),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
        let wants_payload =
            item.output.fields != ResultFields::All && item.output.fields.key_of("cid").is_some();
        if wants_payload {
            map.insert("cid".to_owned(), Json::Text(cid_of(payload(evaluation).as_bytes())));
        }
        Self(map)
    }

    /// Reads an UPDATE.
    pub fn read(content: &str) -> Result<Self, Vec<Flaw>> {
        let json =
            Json::parse(content).map_err(|error| vec![lint::explain(Code::EMismatch, content, &error)])?;
        let Json::Map(mut map) = json else {
            let text = format!("expected an object, found {}", json.kind());
            return Err(vec![Flaw::new(Code::EMismatch, "", text)]);
        };
        for (older, now) in OLDER_KEYS {
            if !map.contains_key(now)
                && let Some(value) = map.remove(older)
            {
                map.insert(now.to_owned(), value);
            }
        }
        let mut flaws = Vec::new();
        check(&Json::Map(map.clone()), &mut flaws);
        if flaws.is_empty() { Ok(Self(map)) } else { Err(flaws) }
    }

    /// Adds when it was written, in seconds since 1970.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "seconds stay below 2^53 for a long time")]
    pub fn with_time(mut self, seconds: u64) -> Self {
        self.0.insert("ts".to_owned(), Json::Number(seconds as f64));
        self
    }

    /// Adds a signature of [`Update::message`].
    #[must_use]
    pub fn with_signature(mut self, signature: &str) -> Self {
        self.0.insert("sig".to_owned(), Json::Text(signature.to_owned()));
        self
    }

    /// Returns the canonical text, an event's content.
    pub fn canonical(&self) -> String {
        canonical(&self.0)
    }

    /// Returns the canonical text of what everyone agrees on.
    pub fn core(&self) -> String {
        let is_core = |key: &str| !OUTSIDE_CORE.contains(&key);
        canonical(&self.0.iter().filter(|it| is_core(it.0)).collect::<BTreeMap<_, _>>())
    }

    /// Returns what is signed if the card asks for it, as a message of EIP-191.
    pub fn message(&self) -> String {
        let unsigned = canonical(&self.0.iter().filter(|it| it.0 != "sig").collect::<BTreeMap<_, _>>());
        format!("hallmark/update/1\n{}", Sha256::of(unsigned.as_bytes()))
    }

    /// Returns the signature, if there is one.
    pub fn signature(&self) -> Option<&str> {
        self.text("sig")
    }

    /// Returns the id of the card's event.
    pub fn item(&self) -> &str {
        self.text("item").unwrap_or_default()
    }

    /// Returns the sequence that it was evaluated at.
    pub fn seq(&self) -> u64 {
        self.0.get("at").and_then(|it| it.get("seq")).and_then(Json::as_whole).unwrap_or(0)
    }

    /// Returns the root of the ledger's tree at that sequence.
    pub fn root(&self) -> &str {
        self.0.get("at").and_then(|it| it.get("root")).and_then(Json::as_text).unwrap_or_default()
    }

    /// Returns the hash of the model that judged.
    pub fn model_hash(&self) -> &str {
        self.text("model_hash").unwrap_or_default()
    }

    /// Returns the result: score, label, action, under the keys that the card gives them.
    pub fn result(&self) -> Option<&Json> {
        self.0.get("result")
    }

    /// Returns the CID of the payload, if the card wants one.
    pub fn cid(&self) -> Option<&str> {
        self.text("cid")
    }

    /// Compares with what doing the work again gave. The flaw names the first key that differs.
    pub fn verify(&self, again: &Self) -> Result<(), Flaw> {
        let keys = self.0.keys().chain(again.0.keys()).filter(|it| !OUTSIDE_CORE.contains(&it.as_str()));
        for key in keys {
            let (written, found) = (self.0.get(key), again.0.get(key));
            let show = |it: Option<&Json>| it.map_or("nothing".to_owned(), Json::canonical);
            if show(written) != show(found) {
                let text = format!("it says {}, the evaluation gives {}", show(written), show(found));
                return Err(Flaw::new(Code::EMismatch, format!("/{key}"), text));
            }
        }
        Ok(())
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Json::as_text)
    }
}

fn result(evaluation: &Evaluation, fields: &ResultFields) -> Json {
    let result = &evaluation.result;
    let text = |it: &String| Json::Text(it.clone());
    let all = [
        ("score", Some(Json::Number(result.score.to_double()))),
        ("label", result.label.as_ref().map(text)),
        ("action", result.action.as_ref().map(text)),
    ];
    let kept = all.into_iter().filter_map(|(field, value)| Some((fields.key_of(field)?.to_owned(), value?)));
    Json::Map(kept.collect())
}

fn check(json: &Json, flaws: &mut Vec<Flaw>) {
    let Some(mut reader) = Reader::of(json, "", Code::EMismatch, &KEYS, flaws) else { return };
    for key in ["feature_hash", "item_hash", "model_hash", "visit_hash"] {
        let hex = reader.text(key, 66).map(|it| it.strip_prefix("0x").map(Sha256::parse));
        if hex.is_some_and(|it| !matches!(it, Some(Ok(_)))) {
            reader.wrong(key, "expected 0x and 64 hex digits");
        }
    }
    for (key, bytes_max) in [("item", ID_BYTES_MAX), ("jid", 64), ("model", 160), ("stop", 16)] {
        reader.text(key, bytes_max);
    }
    for key in ["gas", "miss", "n"] {
        if reader.needed(key).is_some_and(|it| it.as_whole().is_none()) {
            reader.wrong(key, "expected a whole number");
        }
    }
    if reader.maybe("ts").is_some_and(|it| it.as_whole().is_none()) {
        reader.wrong("ts", "expected seconds since 1970");
    }
    if reader.maybe_text("cid", 256).is_some_and(|it| parse_cid(it).is_none()) {
        reader.wrong("cid", "expected a CID, such as bafkrei…");
    }
    for key in ["sig", "proof", "proof_type"] {
        reader.maybe_text(key, 4096);
    }
    if reader.needed("result").is_some_and(|it| !matches!(it, Json::Map(_))) {
        reader.wrong("result", "expected an object");
    }
    let at = reader.needed("at");
    if let Some(mut at) = at.and_then(|at| Reader::of(at, "/at", Code::EMismatch, &["root", "seq"], flaws)) {
        at.text("root", 128);
        if at.needed("seq").is_some_and(|it| it.as_whole().is_none()) {
            at.wrong("seq", "expected a whole number");
        }
    }
}

/// Returns the payload that an UPDATE's CID names.
pub fn payload(evaluation: &Evaluation) -> String {
    #[derive(Serialize)]
    struct Payload<'e> {
        fv: &'e FeatureVector,
        visited: &'e [String],
    }
    canonical(&Payload { fv: &evaluation.features, visited: &evaluation.visited })
}

/// Returns the CID of raw bytes.
pub fn cid_of(bytes: &[u8]) -> String {
    // A digest of 32 bytes always fits into 64.
    Multihash::<64>::wrap(SHA2_256, Sha256::of(bytes).as_bytes())
        .map(|hash| Cid::new_v1(RAW, hash).to_string())
        .unwrap_or_default()
}

/// Returns the digest that a CID names, if it names raw or other bytes by SHA-256. `None` if it is no CID.
pub fn parse_cid(text: &str) -> Option<Option<Sha256>> {
    let cid = Cid::try_from(text).ok()?;
    let digest = <[u8; 32]>::try_from(cid.hash().digest()).ok();
    Some(digest.filter(|_| cid.hash().code() == SHA2_256).map(Sha256::from_bytes))
}

#[cfg(test)]
mod tests;
