//! Fills a log and times it, for `tests/bench/ledger`: `speed fill 1000000 FOLDER` leaves `ledger.sqlite` there, and a
//! copy for `speed query FOLDER`, which asks SQLite itself; `speed recover` times bare signatures on all cores. Prints
//! one JSON object.
#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a bench prints figures")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use base::{Sha256, SystemClock, UnixSeconds};
use ledger::{
    Accepted, Filter, Fold, Kind, Live, Log, Options, Outcome, Policy, Prepared, Query, Scheme, SecretKey,
    Sid, Signed,
    kinds::{Dataset, Operation},
};
use secp256k1::{Message, ecdsa::RecoverableSignature};
use serde_json::json;

/// How many events are signed at a time.
const ROUND: u64 = 10_000;
/// How many are in one transaction.
const BATCH: usize = 512;
/// How often a question is asked, and in how many rounds, in turn with whom it is compared to.
const ASKED: usize = 500;
const ASKED_ROUNDS: usize = 5;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let found = match words[..] {
        ["recover"] => recover(),
        ["fill", total, folder] => fill(total.parse().expect("a number of events"), Path::new(folder)),
        ["query", folder] => json!({ "bare_query_p99_ms": ms(bare_query(&bare(Path::new(folder)))) }),
        _ => panic!("speed recover, speed fill EVENTS FOLDER or speed query FOLDER"),
    };
    println!("{found}");
}

/// How many signatures are checked in turn. One alone, again and again, would be quicker to check by a tenth: processors
/// learn the way through it by heart.
const SIGNATURES: u64 = 20_000;

/// Recovers the keys of many signatures, on all cores at once: some rounds, of which the best counts. What counts is the
/// processors' time, as with the relay: what others take of a machine is neither's.
fn recover() -> serde_json::Value {
    let signatures = signatures();
    let rounds = (0..3).map(|_| recover_round(&signatures)).collect::<Vec<_>>();
    let best = rounds.into_iter().fold(0.0, f64::max);
    json!({ "cores": cores(), "per_core_per_s": best })
}

/// Signs what two hundred authors might, as those do who load the relay.
fn signatures() -> Vec<(Message, RecoverableSignature)> {
    let signed = |number: u64| {
        let author = [u8::try_from(number % 200 + 1).unwrap_or(1); 32];
        let key = secp256k1::SecretKey::from_secret_bytes(author).expect("a key");
        let message = Message::from_digest(*Sha256::of(&number.to_be_bytes()).as_bytes());
        (message, RecoverableSignature::sign_ecdsa_recoverable(message, &key))
    };
    (0..SIGNATURES).map(signed).collect()
}

fn recover_round(signatures: &[(Message, RecoverableSignature)]) -> f64 {
    let span = Duration::from_secs(1);
    let one_core = || {
        let (begun, before, mut done) = (Instant::now(), processor_time(), 0_usize);
        for some in signatures.chunks(100).cycle() {
            for (message, signature) in some {
                signature.recover_ecdsa(*message).expect("it was signed");
            }
            done += some.len();
            if begun.elapsed() > span {
                break;
            }
        }
        done as f64 / processor_time().saturating_sub(before).as_secs_f64()
    };
    let rates: Vec<f64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores()).map(|_| scope.spawn(one_core)).collect();
        threads.into_iter().map(|it| it.join().expect("it only counts")).collect()
    });
    rates.iter().sum::<f64>() / rates.len() as f64
}

/// Returns how long this thread has had a processor.
fn processor_time() -> Duration {
    let told = fs::read_to_string("/proc/thread-self/schedstat").expect("the system counts");
    let nanoseconds = told.split_whitespace().next().and_then(|it| it.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

/// Fills a log, and times appends at its end in turn with those to a young one, a question, and what a start costs.
fn fill(total: u64, folder: &Path) -> serde_json::Value {
    let path = folder.join("ledger.sqlite");
    let (log, _) = open(&path);
    // What is compared is as long as to hold some closings of the index. The young log begins with ten thousand.
    let window = (total / 4).clamp(ROUND, 100_000) / ROUND * ROUND;
    let mut done = 0;
    while done < total.saturating_sub(window) {
        append(&log, &sign(done, done + ROUND));
        done += ROUND;
    }
    let beside = folder.join("young");
    fs::create_dir(&beside).expect("a folder");
    let (young, _) = open(&beside.join("ledger.sqlite"));
    append(&young, &sign(0, ROUND));
    let (mut early, mut late) = (Duration::ZERO, Duration::ZERO);
    while done < total {
        let events = sign(done, done + ROUND);
        // A machine may be slow for a while: each is the first as often as the second.
        if (done / ROUND).is_multiple_of(2) {
            early += append(&young, &events);
            late += append(&log, &events);
        } else {
            late += append(&log, &events);
            early += append(&young, &events);
        }
        done += ROUND;
    }
    drop(young);
    fs::remove_dir_all(&beside).expect("removed");
    let of_window = window as f64;
    // As the files are if the process is killed now.
    let crashed = folder.join("crashed");
    fs::create_dir(&crashed).expect("a folder");
    for name in ["ledger.sqlite", "ledger.sqlite-wal"] {
        fs::copy(folder.join(name), crashed.join(name)).expect("a copy");
    }
    let head = log.head();
    drop(log);
    let begun = Instant::now();
    let (log, applied) = open(&crashed.join("ledger.sqlite"));
    let after_kill = begun.elapsed();
    assert_eq!(log.head(), head);
    drop(log);
    fs::remove_dir_all(&crashed).expect("removed");
    make_bare(&path, &bare(folder));
    let (log, _) = open(&path);
    let asked = (0..ASKED_ROUNDS).map(|_| (ms(query(&log)), ms(bare_query(&bare(folder)))));
    let (query, bare): (Vec<_>, Vec<_>) = asked.unzip();
    json!({
        "events": done,
        "append_early_per_s": of_window / early.as_secs_f64(),
        "append_late_per_s": of_window / late.as_secs_f64(),
        "query_p99_ms": query,
        "bare_query_p99_ms": bare,
        "open_after_kill_ms": ms(after_kill),
        "applied_after_kill": applied,
    })
}

/// Appends events in batches, and returns how long that took.
fn append(log: &Log, events: &[Signed]) -> Duration {
    let begun = Instant::now();
    for batch in events.chunks(BATCH) {
        let batch = batch.iter().cloned().map(Prepared::from).collect();
        let outcomes = log.append(batch).expect("appended");
        assert!(outcomes.iter().all(|it| matches!(it, Outcome::Accepted(_))));
    }
    begun.elapsed()
}

fn ms(it: Duration) -> f64 {
    it.as_secs_f64() * 1000.0
}

fn query(log: &Log) -> Duration {
    p99(|| {
        let filter = Filter::default().tag("sid", "0xMG").kind(Kind::DATASET).limit(100);
        assert_eq!(log.query(&Query { filter, ..Query::default() }).expect("answered").len(), 100);
    })
}

/// Returns where the copy is that SQLite itself is asked of.
fn bare(folder: &Path) -> PathBuf {
    folder.join("bare.sqlite")
}

/// Makes a copy of a log with an index for just one question.
fn make_bare(log: &Path, copy: &Path) {
    fs::copy(log, copy).expect("a copy");
    let conn = rusqlite::Connection::open(copy).expect("the file opens");
    conn.execute_batch("CREATE INDEX bare ON event (space, kind, created_at, id)").expect("an index");
}

/// Asks SQLite itself for the same rows.
fn bare_query(copy: &Path) -> Duration {
    let conn = rusqlite::Connection::open(copy).expect("the file opens");
    let sql =
        "SELECT json FROM event WHERE space = (SELECT no FROM space WHERE sid = '0xMG') AND kind = 30405
               ORDER BY created_at DESC, id LIMIT 100";
    let mut statement = conn.prepare(sql).expect("prepared");
    p99(|| {
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect("asked");
        assert_eq!(rows.count(), 100);
    })
}

fn p99(mut ask: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..ASKED)
        .map(|_| {
            let begun = Instant::now();
            ask();
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[ASKED * 99 / 100]
}

/// How many events were given to the fold since it was opened last.
static APPLIED: AtomicU64 = AtomicU64::new(0);

/// A fold that counts what it is given.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Count(u64);

impl Fold for Count {
    const NAME: &'static str = "count";
    const VERSION: u32 = 1;

    fn apply(&mut self, _: &Accepted) {
        self.0 += 1;
        APPLIED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Opens a log. Returns how many events its fold had to be given for that.
fn open(path: &Path) -> (Log, u64) {
    APPLIED.store(0, Ordering::Relaxed);
    let options = Options {
        policy: Policy::default(),
        clock: Arc::new(SystemClock),
        folds: vec![Arc::<Live<Count>>::default()],
        observer: None,
    };
    let log = Log::open(path, options).expect("the log opens");
    (log, APPLIED.load(Ordering::Relaxed))
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Signs events on all cores.
fn sign(from: u64, until: u64) -> Vec<Signed> {
    let numbers: Vec<u64> = (from..until).collect();
    thread::scope(|scope| {
        let parts: Vec<_> = numbers
            .chunks(numbers.len().div_ceil(cores()))
            .map(|part| scope.spawn(move || part.iter().map(|it| event(*it)).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|it| it.join().expect("signed")).collect()
    })
}

fn event(number: u64) -> Signed {
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
    key.sign(dataset.draft(operation), Scheme::SpecEip191)
}
