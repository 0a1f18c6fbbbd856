//! What the daemon signed about the acts, and that anybody can check it: asked for over its own pages.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use ledger::{Leniency, ProofBundle};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::acts::{Act, id_width};
use crate::remote::Remote;

/// By then the last fact is signed, or something is wrong.
const SIGNING_MAX: Duration = Duration::from_secs(10);
/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// What was signed about each act that the daemon wrote about.
pub(super) struct Signed {
    log: Log,
    graphs: Vec<(String, Vec<Node>)>,
    /// What was to be signed and was not.
    pub(super) missing: Vec<String>,
    proof: Option<Proof>,
}

/// A proof that was checked with nothing but the log's public key.
struct Proof {
    id: String,
    seq: u64,
    size: u64,
}

#[derive(Deserialize)]
struct Log {
    #[serde(rename = "log_key")]
    key: String,
    author: String,
    size: u64,
}

#[derive(Deserialize)]
struct Graph {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    name: Option<String>,
    says: Says,
}

#[derive(Deserialize)]
struct Says {
    valid_result: Option<String>,
    cause: Option<String>,
}

impl Node {
    fn word(&self) -> &str {
        self.says.valid_result.as_deref().or(self.name.as_deref()).unwrap_or("?")
    }
}

impl Signed {
    /// Waits until all is signed that the acts ended with, reads it, and checks a proof of the first act's end.
    pub(super) fn read(url: &str, acts: &[Act]) -> anyhow::Result<Self> {
        let daemon = Remote::at(&Url::parse(url).context("read the daemon's address")?)?;
        let begun = Instant::now();
        let (mut graphs, mut missing) = (Vec::new(), Vec::new());
        for (act, word) in acts.iter().filter_map(|act| Some((act, act.signed_as()?))) {
            let path = format!("/v1/models/{}/provenance", act.id);
            let nodes = loop {
                let graph: Graph = daemon.converse(daemon.get(&path))?;
                let is_told = graph.nodes.last().is_some_and(|it| it.word() == word);
                if is_told || begun.elapsed() > SIGNING_MAX {
                    missing.extend((!is_told).then(|| format!("{} was not signed as {word}", act.id)));
                    break graph.nodes;
                }
                std::thread::sleep(PAUSE);
            };
            graphs.push((act.id.to_owned(), nodes));
        }
        let log: Log = daemon.converse(daemon.get("/v1/log"))?;
        let last = graphs.first().and_then(|(_, nodes)| nodes.last()).map(|it| it.id.clone());
        let proof = last.map(|id| prove(&daemon, &log, id)).transpose()?;
        Ok(Self { log, graphs, missing, proof })
    }

    /// Returns the address of the daemon, the public key of its log, and an event, for whoever wants to go on.
    pub(super) fn clues(&self) -> (&str, &str) {
        (&self.log.key, self.proof.as_ref().map_or("", |it| &it.id))
    }

    /// Tells all of it in a few lines.
    pub(super) fn told(&self, acts: &[Act]) -> String {
        let (width, Log { author, size, .. }) = (id_width(acts), &self.log);
        let mut text = format!(
            "What it signed of that, as 0x{author}, each event resting on the one before ({size} events in its log):\n\n"
        );
        for (id, nodes) in &self.graphs {
            let words = nodes.iter().map(Node::word).collect::<Vec<_>>().join(" ← ");
            let cause = nodes.last().and_then(|it| it.says.cause.as_deref());
            let cause = cause.map(|it| format!("\n  {:width$}  because {it}", "")).unwrap_or_default();
            // Into a text this cannot fail.
            let _ = writeln!(text, "  {id:width$}  {words}{cause}");
        }
        if let Some(Proof { id, seq, size }) = &self.proof {
            let id: String = id.chars().take(12).collect();
            let _ = writeln!(
                text,
                "\n  Proved with the log's public key alone: event {id}… is number {seq} of {size} in the log."
            );
        }
        text
    }
}

fn prove(daemon: &Remote, log: &Log, id: String) -> anyhow::Result<Proof> {
    let path = format!("/v1/events/{id}/proof");
    let bundle: Box<RawValue> = daemon.converse(daemon.get(&path))?;
    let bundle = ProofBundle::parse(bundle.get()).context("read the proof")?;
    let proved = bundle.verify(&log.key, Leniency::default()).context("check the proof")?;
    Ok(Proof { id, seq: proved.leaf.at.seq, size: proved.checkpoint.size })
}
