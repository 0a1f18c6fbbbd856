//! Builds a large graph and crawls it: `tests/bench/lineage` compares that with databases.
//!
//!     graph EVENTS FOLDER
//!
//! The graph comes from a seed, so all that are compared get the same one: `edges.csv`, `events.csv` and `items.csv`
//! in the folder. What it prints is JSON; sums and hashes are in it, so that a wrong fast answer is noticed.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench looks at the clock and writes files"
)]

use std::{
    env,
    error::Error,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
    time::Instant,
};

use base::digest::Sha256;
use lineage::{Caps, Checkpoint, Event, Graph, Item, extract};

/// How many events are made before they are taken in.
const BATCH: usize = 64;

/// `SplitMix64`, a generator that fits into five lines.
struct Seed(u64);

impl Seed {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn id(node: u64) -> String {
    Sha256::of(format!("bench {node}").as_bytes()).to_string()
}

/// What the databases get as rows, and hallmark as an event.
struct Fact {
    parents: Vec<u64>,
    price_cents: u64,
    weights_milli: Vec<u64>,
}

/// Most events have one parent, many two; seven of ten are recent.
fn fact(node: u64, seed: &mut Seed) -> Fact {
    let count = if node == 0 { 0 } else { u64::from(seed.below(100) < 90) + u64::from(seed.below(100) < 53) };
    let mut parents = Vec::new();
    for _ in 0..count {
        let recent = seed.below(100) < 70;
        let back = if recent { 1 + seed.below(100.min(node)) } else { 1 + seed.below(node) };
        if !parents.contains(&(node - back)) {
            parents.push(node - back);
        }
    }
    let weights_milli = (0..seed.below(4)).map(|_| seed.below(1_000_000)).collect();
    Fact { parents, price_cents: seed.below(10_000_000), weights_milli }
}

/// Returns an event whose content nobody has read yet.
fn event(node: u64, fact: &Fact) -> Event {
    let items: Vec<String> = fact
        .weights_milli
        .iter()
        .map(|it| format!(r#"{{"w":{}.{:03},"cat":"grain","q":{node}}}"#, it / 1000, it % 1000))
        .collect();
    let price = format!("{}.{:02}", fact.price_cents / 100, fact.price_cents % 100);
    let content = format!(r#"{{"price":{price},"items":[{}],"note":"event {node}"}}"#, items.join(","));
    let mut tags = vec![vec!["d".to_owned(), "subspace_op".to_owned()]];
    tags.extend(fact.parents.iter().map(|it| vec!["parent".to_owned(), id(*it)]));
    Event {
        id: id(node),
        pubkey: format!("0x{:040x}", node % 1000),
        created_at: 1_700_000_000 + node,
        kind: 30405,
        tags,
        content: lineage::Content::of_text(&content),
        seq: node + 1,
    }
}

fn card(start: u64, direction: &str) -> Item {
    let text = format!(
        r#"{{"v":"1","s":"{}","j":{{"jid":"J1","m":"OP_AI_EVAL","mod":"linreg:v1","limit":10000000,"spec":[{{"n":"wt_sum","sel":"meta.items.w","agg":"sum","t":"num"}},{{"n":"price_avg","sel":"meta.price","agg":"avg","t":"num"}},{{"n":"tx_cnt","sel":"txid","agg":"count","t":"num"}}]}},"o":{{"ut":"UPDATE"}},"ctl":{{"det":true,"maxN":10000000,"gas":10000000000,"dir":"{direction}"}}}}"#,
        id(start)
    );
    Item::admit(&text).expect("the card of the bench is right")
}

/// Times what `extract` gives: how many were visited, the features with their hash, the gas. `is_in_order` asks for
/// the hash of what was visited as well, for which the crawl's order is made and every id is read.
fn ask(
    graph: &Graph,
    start: u64,
    direction: &str,
    is_in_order: bool,
    rounds: usize,
) -> Result<serde_json::Value, Box<dyn Error>> {
    let item = card(start, direction);
    let (mut times, mut busy) = (Vec::new(), Vec::new());
    let mut answer = None;
    for _ in 0..rounds {
        let (from, before) = (Instant::now(), processor_ms()?);
        let extraction = extract(graph, &item, Checkpoint::at(u64::MAX), Caps::NONE)?;
        let (count, gas) = (extraction.visited_count(), extraction.gas());
        let hash = extraction.features.hash_text();
        let visit_hash = is_in_order.then(|| extraction.visit_hash()).transpose()?;
        times.push(from.elapsed().as_secs_f64() * 1000.0);
        busy.push(processor_ms()? - before);
        let values: Vec<String> = extraction.features.0.iter().map(lineage::Extracted::value_text).collect();
        answer = Some((count, values, hash, gas, visit_hash));
    }
    times.sort_by(f64::total_cmp);
    busy.sort_by(f64::total_cmp);
    let (visited, values, hash, gas, visit_hash) = answer.ok_or("no rounds")?;
    Ok(serde_json::json!({
        "ms": times[times.len() / 2], "processor_ms": busy[busy.len() / 2], "visited": visited, "wt_sum": values[0], "price_avg": values[1],
        "feature_hash": hash, "gas": gas, "visit_hash": visit_hash,
    }))
}

/// Returns how long this thread ran on a processor, in milliseconds: what it took whatever else the machine does.
fn processor_ms() -> Result<f64, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e6)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let events: u64 = arguments.next().ok_or("how many events?")?.parse()?;
    let folder = arguments.next().ok_or("which folder?")?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    let file = |name: &str| File::create(folder.join(name)).map(BufWriter::new);
    let (mut edges_csv, mut events_csv, mut items_csv) =
        (file("edges.csv")?, file("events.csv")?, file("items.csv")?);
    let mut seed = Seed(8);
    let (mut graph, mut edges, mut seconds, mut busy_seconds) = (Graph::new(), 0, 0.0, 0.0);
    let mut waiting = Vec::new();
    graph.keep_for(&card(0, "down"));
    for node in 0..events {
        let fact = fact(node, &mut seed);
        edges += fact.parents.len();
        for parent in &fact.parents {
            writeln!(edges_csv, "{parent},{node}")?;
        }
        writeln!(events_csv, "{node},{}.{:02}", fact.price_cents / 100, fact.price_cents % 100)?;
        for weight in &fact.weights_milli {
            writeln!(items_csv, "{node},{}.{:03}", weight / 1000, weight % 1000)?;
        }
        waiting.push(event(node, &fact));
        if waiting.len() == BATCH || node + 1 == events {
            // What a daemon does with an event that its ledger took: read the content, look up names, take it in.
            let (before, from) = (processor_ms()?, Instant::now());
            graph.look_ahead(&waiting);
            for event in &waiting {
                graph.push_by_name(event)?;
            }
            seconds += from.elapsed().as_secs_f64();
            busy_seconds += (processor_ms()? - before) / 1000.0;
            waiting.clear();
        }
    }
    let from = Instant::now();
    graph.settle();
    let seal = from.elapsed().as_secs_f64();
    edges_csv.flush()?;
    events_csv.flush()?;
    items_csv.flush()?;
    // A start with some 70% of all events below it, and one with a few hundred above it.
    let visited = |start: u64, direction: &str| {
        ask(&graph, start, direction, false, 1).ok().and_then(|it| it["visited"].as_u64()).unwrap_or(0)
    };
    let below = events * 6 / 10..events * 8 / 10;
    let start =
        (0..events).step_by(usize::try_from(events / 200)?).find(|it| below.contains(&visited(*it, "down")));
    let start = start.ok_or("no event has the right number below it")?;
    let ancestry =
        (0..events).find(|it| (300..600).contains(&visited(*it, "up"))).ok_or("no ancestry fits")?;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let per_event = graph.memory_bytes() as f64 / events as f64;
    let report = serde_json::json!({
        "events": events, "edges": edges, "start": start, "push_seconds": seconds, "push_processor_seconds": busy_seconds, "seal_seconds": seal,
        "bytes_per_event": per_event,
        "down": ask(&graph, start, "down", false, 15)?,
        "down_in_order": ask(&graph, start, "down", true, 7)?,
        "up": ask(&graph, ancestry, "up", true, 101)?,
        "both": ask(&graph, start, "both", false, 3)?,
    });
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&report)?)?;
    Ok(())
}
