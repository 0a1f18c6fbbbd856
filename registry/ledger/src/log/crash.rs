//! A process that appends is killed at random points. What it was told is in the log stays there, once.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use base::{Sha256, SystemClock, UnixSeconds};
use rand::Rng as _;

use super::{Log, Options, Outcome, Prepared};
use crate::{
    Accepted, Fold, Live, Policy, SecretKey,
    event::{EventId, Scheme, Sid},
    kinds::{Operation, Post},
    tree::Frontier,
};

/// Where the process that is killed works; without it there is nothing to do.
const FOLDER: &str = "LEDGER_CRASH_FOLDER";
const ROUNDS: u32 = 50;

#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Seen {
    authors: BTreeMap<String, u64>,
    last: String,
}

impl Fold for Seen {
    const NAME: &'static str = "seen";
    const VERSION: u32 = 1;

    fn apply(&mut self, accepted: &Accepted) {
        *self.authors.entry(accepted.event.author().to_string()).or_default() += 1;
        self.last = Sha256::of(format!("{}{}", self.last, accepted.event.id()).as_bytes()).to_string();
    }
}

fn open(folder: &Path) -> (Log, Arc<Live<Seen>>) {
    let seen: Arc<Live<Seen>> = Arc::default();
    let options = Options {
        policy: Policy::default(),
        clock: Arc::new(SystemClock),
        folds: vec![seen.clone()],
        observer: None,
    };
    (Log::open(&folder.join("ledger.sqlite"), options).unwrap(), seen)
}

/// The process that is killed: appends batches for ever, and says what it was told.
#[test]
fn appends_until_it_is_killed() {
    let Some(folder) = env::var_os(FOLDER) else {
        return;
    };
    let (log, _) = open(Path::new(&folder));
    let key = SecretKey::generate();
    for round in 0_u64.. {
        let events = (0..=round % 30).map(|number| {
            let sid = Sid::parse(if number % 2 == 0 { "0xA" } else { "0xB" }).ok();
            let content = format!("{round}/{number}");
            let operation =
                Operation { created_at: UnixSeconds(round), sid, content, ..Operation::default() };
            Prepared::from(key.sign(Post::default().draft(operation), Scheme::SpecEip191))
        });
        for outcome in log.append(events.collect()).unwrap() {
            let Outcome::Accepted(it) = outcome else { panic!("{outcome:?}") };
            println!("told {} {}", it.at.seq, it.event.id());
        }
    }
}

#[test]
fn what_was_acknowledged_survives_every_kill_and_nothing_is_there_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut told: BTreeMap<u64, EventId> = BTreeMap::new();
    for _ in 0..ROUNDS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "log::crash::appends_until_it_is_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut left = rand::rng().random_range(0..120);
        // After the kill, what is still in the pipe was told as well.
        for line in lines {
            if let Some((seq, id)) = line.strip_prefix("told ").and_then(|it| it.split_once(' ')) {
                told.insert(seq.parse().unwrap(), EventId::parse(id).unwrap());
            }
            if left == 0 {
                child.kill().unwrap();
            }
            left -= 1;
        }
        child.wait().unwrap();
        check(folder.path(), &told);
    }
    assert!(told.len() > 500, "only {} events were acknowledged", told.len());
}

fn check(folder: &Path, told: &BTreeMap<u64, EventId>) {
    let (log, seen) = open(folder);
    let (size, root) = log.head();
    let (mut tree, mut replayed, mut bodies) = (Frontier::default(), Seen::default(), BTreeSet::new());
    let mut ids = Vec::new();
    log.range(0, size, |stored| {
        tree.push(stored.leaf);
        replayed.apply(&stored.event()?);
        assert!(bodies.insert(stored.body), "{} is there twice", stored.id);
        ids.push(stored.id);
        Ok(())
    })
    .unwrap();
    assert_eq!(ids.len() as u64, size);
    for (seq, id) in told {
        assert_eq!(ids.get(usize::try_from(*seq).unwrap()), Some(id), "event {seq} was acknowledged");
    }
    assert_eq!(tree.root(), root);
    assert_eq!(seen.read(|it, size| (it.digest(), size)), (replayed.digest(), size));
    for sid in ["0xA", "0xB"] {
        let sid = Sid::parse(sid).ok();
        let (leaves, _) = log.chain(sid.as_ref(), None, usize::MAX).unwrap();
        crate::tree::check_chain(&leaves).unwrap();
    }
}
