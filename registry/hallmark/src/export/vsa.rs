//! A verification summary (SLSA VSA v1): whether a model passes the gate, as an in-toto statement about its files.
//!
//! The statement is not signed here: whoever hands it on wraps and signs it. What it says can be found out again by
//! anybody who has the log: the gate's card, its hash and the point of the log are in it.

use base::UnixSeconds;
use catalog::Entry;
use ledger::Author;
use serde_json::{Value, json};

use super::openlineage::rfc3339;
use crate::{gate::Report, ledger::Ledger};

/// Makes the statement about a model.
pub(crate) fn statement(ledger: &Ledger, entry: &Entry, report: &Report, now: UnixSeconds) -> Value {
    let artifact = &entry.artifact;
    let main = (artifact.filename.as_str().to_owned(), artifact.sha256.to_string());
    let companions = artifact.files.iter().map(|it| (it.path.as_str().to_owned(), it.sha256.to_string()));
    let subject = std::iter::once(main).chain(companions);
    let subject: Vec<Value> =
        subject.map(|(name, sha256)| json!({ "name": name, "digest": { "sha256": sha256 } })).collect();
    let author = Author::lower(ledger.address());
    let hash = |text: &str| text.strip_prefix("0x").unwrap_or(text).to_owned();
    let (policy, attestations) = match &report.evaluation {
        Some(found) => {
            let policy = json!({
                "uri": format!("urn:hallmark:card:{}", found.item_hash),
                "digest": { "sha256": hash(&found.item_hash) },
            });
            let attestations =
                found.visited.iter().map(|id| json!({ "uri": format!("urn:hallmark:event:{id}") }));
            (policy, attestations.collect::<Vec<_>>())
        }
        None => (json!({ "uri": "urn:hallmark:card:default" }), Vec::new()),
    };
    let mut predicate = json!({
        "verifier": { "id": format!("urn:hallmark:author:{author}"), "version": { "hallmark": env!("CARGO_PKG_VERSION") } },
        "timeVerified": rfc3339(now.0),
        "resourceUri": format!("urn:hallmark:model:{}@{}", entry.id, entry.version),
        "policy": policy,
        "inputAttestations": attestations,
        "verificationResult": if report.passes { "PASSED" } else { "FAILED" },
        "verifiedLevels": if report.passes { json!(["HALLMARK_GATE_PASSED"]) } else { json!(["FAILED"]) },
        "slsaVersion": "1.1",
    });
    if let Some(why) = &report.why {
        predicate["hallmark_why"] = json!(why);
    }
    if let Some(found) = &report.evaluation {
        predicate["hallmark_at"] = json!({ "seq": found.seq, "root": found.root });
    }
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject,
        "predicateType": "https://slsa.dev/verification_summary/v1",
        "predicate": predicate,
    })
}
