//! How fast the log is, against limits measured in the same run: `cargo run --release -p ledger --example speed -- 1000000`.
//!
//! Prints one line for each figure. Run by hand, on a machine that has nothing else to do.
#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a bench prints ratios")]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use base::{SystemClock, UnixSeconds};
use ledger::{
    Filter, Kind, Log, Options, Outcome, Policy, Prepared, Query, Scheme, SecretKey, Sid,
    event::{Leniency, Limits},
    kinds::{Dataset, Operation},
    log::verify_batch,
};

/// How many different signed events there are: more than fit in any cache of the log, few enough to sign.
const ROUND: u64 = 20_000;

fn main() {
    let total: u64 = std::env::args().nth(1).and_then(|it| it.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir_in(std::env::args().nth(2).unwrap_or_else(|| ".".to_owned()));
    let folder = folder.expect("a folder for the log");
    let path = folder.path().join("ledger.sqlite");
    let log = open(&path);
    let mut first_rate = None;
    let mut bare = 0.0;
    for round in 0..total.div_ceil(ROUND) {
        let texts = sign(round);
        let started = Instant::now();
        let verified = verify_batch(&texts, &Limits::default(), Leniency::default());
        let verify = started.elapsed();
        bare = ROUND as f64 / verify.as_secs_f64();
        let prepared: Vec<Prepared> = verified.into_iter().map(|it| it.expect("signed above")).collect();
        let started = Instant::now();
        for batch in prepared.chunks(512) {
            let outcomes = log.append(batch.to_vec()).expect("appended");
            assert!(outcomes.iter().all(|it| matches!(it, Outcome::Accepted(_))));
        }
        let append = started.elapsed();
        let rate = ROUND as f64 / append.as_secs_f64();
        let first = *first_rate.get_or_insert(rate);
        println!(
            "at {:>8}: verify {bare:.0}/s on all cores; append alone {rate:.0}/s = {:.2} of the first round",
            (round + 1) * ROUND,
            rate / first
        );
    }
    pipelined(&log, total.div_ceil(ROUND), bare);
    let own = query(&log);
    let head = log.head();
    drop(log);
    let bare = bare_query(&path);
    println!(
        "#sid + kind, limit 100: p99 is {:.2} of the bare query's",
        own.as_secs_f64() / bare.as_secs_f64()
    );
    let started = Instant::now();
    let log = open(&path);
    println!("open {} events: {:?}", head.0, started.elapsed());
    assert_eq!(log.head(), head);
}

/// Verifies on all cores while the writer appends what is ready.
fn pipelined(log: &Log, round: u64, bare: f64) {
    let texts = sign(round);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for part in texts.chunks(texts.len().div_ceil(cores())) {
            scope.spawn(move || {
                let mut batches = Vec::new();
                for batch in part.chunks(256) {
                    let prepared = batch.iter().map(|it| {
                        Prepared::verify(it, &Limits::default(), Leniency::default()).expect("signed above")
                    });
                    let (done, outcome) = std::sync::mpsc::channel();
                    let prepared = prepared.collect();
                    log.submit(prepared, Box::new(move |it| done.send(it.is_ok()).unwrap_or_default()))
                        .expect("queued");
                    batches.push(outcome);
                }
                assert!(batches.into_iter().all(|it| it.recv() == Ok(true)));
            });
        }
    });
    let rate = ROUND as f64 / started.elapsed().as_secs_f64();
    println!("verify and append together: {rate:.0}/s = {:.2} of verifying alone", rate / bare);
}

/// Asks SQLite itself for the same rows, with an index made for just this question. Returns the p99.
fn bare_query(path: &Path) -> Duration {
    let conn = rusqlite::Connection::open(path).expect("the file opens");
    conn.execute_batch("CREATE INDEX bare ON event (space, kind, created_at, id)").expect("an index");
    let sql =
        "SELECT json FROM event WHERE space = (SELECT no FROM space WHERE sid = '0xMG') AND kind = 30405
               ORDER BY created_at DESC, id LIMIT 100";
    let mut statement = conn.prepare(sql).expect("prepared");
    let mut ask = || statement.query_map([], |row| row.get::<_, String>(0)).expect("asked").count();
    let mut times: Vec<Duration> = (0..500)
        .map(|_| {
            let started = Instant::now();
            assert_eq!(ask(), 100);
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("the bare query: median {:?}, p99 {:?}", times[250], times[495]);
    times[495]
}

fn query(log: &Log) -> Duration {
    let filter = Filter::default().tag("sid", "0xMG").kind(Kind::DATASET).limit(100);
    let query = Query { filter, ..Query::default() };
    let mut times: Vec<Duration> = (0..500)
        .map(|_| {
            let started = Instant::now();
            assert_eq!(log.query(&query).expect("answered").len(), 100);
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("#sid + kind, limit 100: median {:?}, p99 {:?}", times[250], times[495]);
    let rare = Query { filter: Filter::default().tag("project_id", "proj_12345"), ..Query::default() };
    let started = Instant::now();
    let found = log.query(&rare).expect("answered").len();
    println!("a tag with {found} events: {:?}", started.elapsed());
    times[495]
}

fn open(path: &Path) -> Log {
    let options =
        Options { policy: Policy::default(), clock: Arc::new(SystemClock), folds: vec![], observer: None };
    Log::open(path, options).expect("the log opens")
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn sign(round: u64) -> Vec<String> {
    let sign = |number: u64| {
        let key = SecretKey::from_bytes([u8::try_from(number % 200 + 1).unwrap_or(1); 32]).expect("a key");
        let text = |name: &str, number: u64| Some(format!("{name}_{number}"));
        let dataset = Dataset {
            project_id: text("proj", number),
            task_id: text("task", number),
            category: Some("Sales".to_owned()),
            format: Some("jsonl".to_owned()),
            contributors: vec![format!("contributor_{}", number % 1000)],
        };
        let operation = Operation {
            created_at: UnixSeconds(1_745_000_000 + number / 100),
            sid: Sid::parse(if number.is_multiple_of(2) { "0xMG" } else { "0xFT" }).ok(),
            content: format!("{{\"dataset\":[],\"number\":{number},\"text\":\"{}\"}}", "x".repeat(200)),
            ..Operation::default()
        };
        key.sign(dataset.draft(operation), Scheme::SpecEip191).to_json()
    };
    let numbers: Vec<u64> = (round * ROUND..(round + 1) * ROUND).collect();
    std::thread::scope(|scope| {
        let parts: Vec<_> = numbers
            .chunks(numbers.len().div_ceil(cores()))
            .map(|part| scope.spawn(move || part.iter().map(|it| sign(*it)).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|it| it.join().expect("signed")).collect()
    })
}
