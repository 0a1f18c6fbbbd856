//! `hallmark lineage crawl`: what a card visits, as a list, as JSON, or as a picture for Graphviz.

use std::{collections::BTreeSet, path::PathBuf};

use ::lineage::{Caps, Crawl, Item};
use clap::Args;

use super::{card, events};
use crate::{Outcome, out};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The card
    item: PathBuf,
    /// The events, one a line as JSON
    #[arg(long, value_name = "FILE")]
    ledger: PathBuf,
    /// Look up names (`dataset_id`, `session_id` …) in the ledger, as a daemon does
    #[arg(long)]
    by_name: bool,
    /// The last place in the ledger that is visible; the newest, if it is not given
    #[arg(long, value_name = "SEQ")]
    at: Option<u64>,
    /// A graph in the language of Graphviz
    #[arg(long, conflicts_with = "json")]
    dot: bool,
    /// For programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let item = match Item::read(&card::read(&arguments.item)?) {
        Ok(item) => item,
        Err(flaws) => return card::refuse(&arguments.item, &flaws).map(|()| Outcome::DoesNotHold),
    };
    let ledger = events::read(&arguments.ledger, arguments.by_name)?;
    let at = arguments.at.unwrap_or(ledger.newest);
    match ::lineage::list(&ledger.graph, &item, at, Caps::NONE) {
        Ok(crawl) if arguments.json => {
            out::print(&(serde_json::to_string_pretty(&crawl)? + "\n")).map(|()| Outcome::Holds)
        }
        Ok(crawl) if arguments.dot => out::print(&dot(&crawl)).map(|()| Outcome::Holds),
        Ok(crawl) => out::print(&table(&crawl)).map(|()| Outcome::Holds),
        Err(flaw) => card::refuse(&arguments.item, &[flaw]).map(|()| Outcome::DoesNotHold),
    }
}

fn table(crawl: &Crawl) -> String {
    let mut lines: Vec<String> = crawl
        .visited
        .iter()
        .map(|it| format!("{} kind {} seq {} by {}", it.id, it.kind, it.seq, it.pubkey))
        .collect();
    let (count, stop) = (crawl.visited.len(), crawl.stop.name());
    lines.push(format!("visited {count}, stop {stop}, missing {}, gas {}", crawl.missing, crawl.gas));
    lines.join("\n") + "\n"
}

/// Writes each visited event, and an arrow to each of its parents. One that was not visited is dashed.
fn dot(crawl: &Crawl) -> String {
    let visited: BTreeSet<&str> = crawl.visited.iter().map(|it| it.id.as_str()).collect();
    let mut lines = vec!["digraph lineage {".to_owned(), "  node [shape=box];".to_owned()];
    for it in &crawl.visited {
        let short: String = it.id.chars().take(12).collect();
        lines.push(format!(
            "  {} [label={}];",
            quoted(&it.id),
            quoted(&format!("{short}\nkind {}", it.kind))
        ));
    }
    let mut outside = BTreeSet::new();
    for it in &crawl.visited {
        for parent in &it.parents {
            if !visited.contains(parent.as_str()) && outside.insert(parent) {
                lines.push(format!("  {} [style=dashed];", quoted(parent)));
            }
            lines.push(format!("  {} -> {};", quoted(&it.id), quoted(parent)));
        }
    }
    lines.push("}".to_owned());
    lines.join("\n") + "\n"
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
