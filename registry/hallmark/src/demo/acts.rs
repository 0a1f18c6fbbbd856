//! What the demo shows: a list of models, each with what its hub does and how it has to end.

use std::collections::BTreeMap;

use anyhow::Context as _;
use base::Sha256;
use bytes::Bytes;
use safetensors::{Dtype, serialize, tensor::TensorView};
use serde_json::{Value, json};

use super::gate;
use crate::state::State;

/// Every repository of the demo's hub is at this commit.
pub(super) const COMMIT: &str = "5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed";
const WEIGHTS: &str = "model.safetensors";
/// A side of each square of numbers in the generated files.
const SIDE: usize = 96;

/// One model of the demo.
pub(super) struct Act {
    pub(super) id: &'static str,
    /// What is special about it, in a few words.
    pub(super) about: &'static str,
    pub(super) manners: Manners,
    /// How it has to end.
    pub(super) ends: State,
    /// How many tries have to fail before that.
    pub(super) failures_min: u32,
    /// Whether its gate holds it until somebody approves it.
    pub(super) needs_approval: bool,
    dataset: &'static str,
    license: &'static str,
    files: BTreeMap<&'static str, Bytes>,
}

/// What the hub does with the files of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manners {
    /// Serves them as they are.
    Good,
    /// Announces them as they are, and changes one byte on the way.
    Tampers,
    /// Is too busy at first, then breaks off in the middle, then works.
    Fails,
    /// Has none.
    Empty,
}

/// Returns all acts. A new one is a new item here.
pub(super) fn acts() -> anyhow::Result<Vec<Act>> {
    let config = json!({ "model_type": "bert", "hidden_size": SIDE, "num_hidden_layers": 2 }).to_string();
    let plain = |id, about, ends, seed| {
        Ok::<_, anyhow::Error>(Act {
            id,
            about,
            manners: Manners::Good,
            ends,
            failures_min: 0,
            needs_approval: false,
            dataset: "demo/numbers",
            license: "Apache-2.0",
            files: BTreeMap::from([(WEIGHTS, weights(seed)?)]),
        })
    };
    let mut good = plain("muladhara-good-v1", "its bytes are what the catalog promises", State::Deployed, 1)?;
    good.files.insert("config.json", config.into());
    let tampered = "somebody changes one byte on the way";
    let tampered = plain("svadhisthana-tampered-v1", tampered, State::Quarantined, 2)?;
    let flaky = "its hub is busy, then breaks off in the middle";
    let flaky = plain("manipura-flaky-v1", flaky, State::Deployed, 3)?;
    let stub = plain("anahata-sketch-v1", "its entry holds placeholders", State::Stub, 4)?;
    let held = "its licence is not on this host's list";
    let held = plain("vishuddha-unlicensed-v1", held, State::Held, 5)?;
    let reviewed = "it was trained on people's words, and waits until somebody approves it";
    let reviewed = plain("ajna-reviewed-v1", reviewed, State::Deployed, 6)?;
    Ok(vec![
        good,
        Act { manners: Manners::Tampers, ..tampered },
        Act { manners: Manners::Fails, failures_min: 2, ..flaky },
        Act { manners: Manners::Empty, files: BTreeMap::new(), ..stub },
        Act { license: "CC-BY-NC-4.0", ..held },
        Act { needs_approval: true, dataset: gate::DELICATE, ..reviewed },
    ])
}

/// Returns the width of the longest id.
pub(super) fn id_width(acts: &[Act]) -> usize {
    acts.iter().map(|it| it.id.len()).max().unwrap_or(0)
}

impl Act {
    /// Returns the repository that its files come from.
    pub(super) fn repository(&self) -> String {
        format!("demo/{}", self.id)
    }

    /// Returns what the daemon signs of its end; nothing of what it never touches.
    pub(super) fn signed_as(&self) -> Option<&'static str> {
        match self.ends {
            State::Deployed => Some("deployed"),
            State::Held => Some("held"),
            State::Quarantined => Some("mismatch"),
            _ => None,
        }
    }

    pub(super) fn files(&self) -> &BTreeMap<&'static str, Bytes> {
        &self.files
    }

    /// Returns the digest of its main file, as the catalog has it: zeros for a stub.
    pub(super) fn digest(&self) -> Sha256 {
        self.files.get(WEIGHTS).map_or_else(|| Sha256::from_bytes([0; 32]), |it| Sha256::of(it))
    }

    /// Returns its entry in the catalog.
    pub(super) fn entry(&self) -> Value {
        let size = self.files.get(WEIGHTS).map_or(1, Bytes::len);
        let mut artifact = json!({
            "filename": WEIGHTS, "sha256": self.digest().to_string(), "sizeBytes": size,
            "format": "safetensors", "revision": COMMIT,
            "downloadUrl": format!("https://huggingface.co/{}/resolve/{COMMIT}/{WEIGHTS}", self.repository()),
        });
        let companions = self.files.iter().filter(|(path, _)| **path != WEIGHTS);
        let companions = companions.map(|(path, bytes)| {
            json!({ "path": path, "sha256": Sha256::of(bytes).to_string(), "sizeBytes": bytes.len() })
        });
        let companions = companions.collect::<Vec<_>>();
        if !companions.is_empty() {
            artifact["files"] = companions.into();
        }
        json!({
            "id": self.id, "version": "1.0.0", "description": format!("A model of the demo: {}.", self.about),
            "chakra": self.id.split('-').next(), "frequencyHz": 396,
            "geometry": { "pattern": "cube", "dimensions": 3 },
            "temporalScope": "ephemeral", "semanticTags": ["demo"],
            "dataset": { "id": self.dataset, "commit": COMMIT, "url": "https://example.org/corpus" },
            "training": { "repo": "https://example.org/demo", "commit": COMMIT, "command": "demo" },
            "artifact": artifact, "license": self.license,
            "provenance": { "runId": "demo", "metrics": { "loss": 0.5 } }
        })
    }
}

/// Makes a small file of weights, the same in every run.
fn weights(seed: u32) -> anyhow::Result<Bytes> {
    let mut state = seed;
    let numbers = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // A float between 1 and 2: its fraction is what changes.
        (0x3f80_0000 | (state >> 9)).to_le_bytes()
    });
    let numbers = numbers.take(2 * SIDE * SIDE).flatten().collect::<Vec<_>>();
    let (first, second) = numbers.split_at(numbers.len() / 2);
    let tensor = |bytes| TensorView::new(Dtype::F32, vec![SIDE, SIDE], bytes).context("make a tensor");
    let tensors = [("layer.0.weight", tensor(first)?), ("layer.1.weight", tensor(second)?)];
    Ok(serialize(tensors, None).context("write safetensors")?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_of_the_demo_holds_and_its_stub_is_one() {
        let acts = acts().unwrap();
        let index = json!({ "models": acts.iter().map(Act::entry).collect::<Vec<_>>() });
        let checked = catalog::check(index.to_string().as_bytes(), &catalog::Contract::ours());
        assert_eq!(checked.report.errors, 0, "{:?}", checked.report);
        for listed in checked.index.unwrap().entries() {
            let act = acts.iter().find(|it| it.id == listed.entry.id.as_str()).unwrap();
            assert_eq!(listed.is_stub, act.ends == State::Stub, "{}", act.id);
        }
    }

    #[test]
    fn the_weights_are_real_and_differ() {
        let [one, other] = [weights(1).unwrap(), weights(2).unwrap()];
        assert_ne!(one, other);
        let read = safetensors::SafeTensors::deserialize(&one).unwrap();
        assert_eq!(read.tensor("layer.1.weight").unwrap().shape(), [SIDE, SIDE]);
    }
}
