//! What the daemon says about a model, as drafts: where it comes from, what it is, what became of it here.
//!
//! Pure. The same entry gives the same drafts, but for their date.

use base::UnixSeconds;
use catalog::{
    Entry,
    entry::{Dataset as Corpus, Taxonomy, Training},
};
use ledger::{
    Draft, EventId, Sid, Tag,
    kinds::{self, Description, Operation, Subspace, ValidResult},
};
use serde_json::json;

/// The operations of the daemon's own subspace.
const OPS: [(&str, u16); 15] = [
    ("project", 30101),
    ("task", 30102),
    ("post", 30300),
    ("propose", 30301),
    ("vote", 30302),
    ("invite", 30303),
    ("mint", 30304),
    ("model", 30404),
    ("dataset", 30405),
    ("compute", 30406),
    ("algo", 30407),
    ("valid", 30408),
    ("finetune", 30409),
    ("conversation", 30410),
    ("session", 30411),
];

/// Where and when something is said.
#[derive(Clone, Debug)]
pub(crate) struct Occasion {
    pub(crate) sid: Sid,
    pub(crate) now: UnixSeconds,
}

/// What became of a model on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) result: ValidResult,
    /// The digest of the bytes that were found, if any were.
    pub(crate) digest: Option<String>,
    pub(crate) cause: Option<String>,
}

/// Returns the subspace that every hallmark signs in.
pub(crate) fn own_subspace() -> Subspace {
    let ops = OPS.map(|(name, kind)| format!("{name}={kind}")).join(",");
    Subspace {
        subspace_name: Some("modelgraph".to_owned()),
        category: Some("ai".to_owned()),
        ops: Some(ops),
        rules: None,
    }
}

impl Occasion {
    fn operation(&self, parents: Vec<EventId>, content: String) -> Operation {
        Operation { created_at: self.now, sid: Some(self.sid.clone()), auth: None, parents, content }
    }

    /// Makes the daemon's own subspace.
    pub(crate) fn subspace(&self) -> Draft {
        let about = Description {
            desc: "Models that hallmark keeps: where they come from and what became of them on each host"
                .to_owned(),
            img_url: String::new(),
        };
        own_subspace().draft(self.operation(Vec::new(), json!(about).to_string()))
    }

    /// Says what a model was trained on; `None` if the entry's schema does not.
    pub(crate) fn dataset(&self, entry: &Entry) -> Option<Draft> {
        let (corpus, _) = ours(entry)?;
        let commit = corpus.commit.as_ref().map(catalog::entry::Commit::as_str);
        let content = json!({ "id": corpus.id.as_str(), "commit": commit, "url": corpus.url.as_str() });
        let mut draft = kinds::Dataset::default().draft(self.operation(Vec::new(), content.to_string()));
        draft.tags.push(Tag::pair("dataset_id", corpus.id.as_str()));
        if let Some(commit) = commit {
            draft.tags.push(Tag::pair("commit", commit));
        }
        draft.tags.push(Tag::pair("url", corpus.url.as_str()));
        Some(draft)
    }

    /// Says how a model was trained.
    pub(crate) fn finetune(&self, entry: &Entry, dataset: EventId) -> Option<Draft> {
        let (corpus, training) = ours(entry)?;
        let made = &entry.provenance;
        let view = kinds::Finetune {
            dataset_id: Some(corpus.id.as_str().to_owned()),
            provider_id: made.creator.clone(),
            ..kinds::Finetune::default()
        };
        let content = json!({
            "name": format!("{} {}", entry.id, entry.version),
            "description": entry.description(),
            "training": training,
            "metrics": made.metrics,
            "reproducibility": made.reproducibility,
        });
        let mut draft = view.draft(self.operation(vec![dataset], content.to_string()));
        draft.tags.push(Tag::pair("model_id", entry.id.as_str()));
        draft.tags.push(Tag::pair("run_id", made.run_id.as_str()));
        Some(draft)
    }

    /// Says what a version of a model is.
    pub(crate) fn model(&self, entry: &Entry, parents: Vec<EventId>) -> Draft {
        let artifact = &entry.artifact;
        let view = kinds::Model {
            model_id: Some(entry.id.to_string()),
            version: Some(entry.version.to_string()),
            sha256: Some(artifact.sha256.to_string()),
            size: Some(artifact.size_bytes.get().to_string()),
            license: Some(entry.license.as_str().to_owned()),
            contrib: Vec::new(),
        };
        let content = json!({ "filename": artifact.filename.as_str(), "files": artifact.files });
        view.draft(self.operation(parents, content.to_string()))
    }

    /// Says what became of a model on a host.
    pub(crate) fn valid(
        &self,
        model_id: &str,
        host: &str,
        finding: &Finding,
        parents: Vec<EventId>,
    ) -> Draft {
        let view = kinds::Valid {
            valid_result: Some(finding.result.as_str().to_owned()),
            model_id: Some(model_id.to_owned()),
            host: Some(host.to_owned()),
            digest: finding.digest.clone(),
            cause: finding.cause.clone(),
        };
        view.draft(self.operation(parents, String::new()))
    }
}

fn ours(entry: &Entry) -> Option<(&Corpus, &Training)> {
    match &entry.taxonomy {
        Taxonomy::Ours(ours) => Some((&ours.dataset, &ours.training)),
        Taxonomy::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_subspace_declares_operations_that_can_be_read() {
        let declared = own_subspace().declared();
        assert_eq!(declared.kinds.len(), OPS.len());
        assert_eq!(declared.flaws, Vec::<String>::new());
        assert!(own_subspace().computed_sid().is_digest());
    }
}
