//! `hallmark sync`, killed again and again: what is visible is proven and whole, and what came is not lost.
//!
//! Three ways to die: after so many bytes of a download, after so many models became visible, and before the n-th
//! system call of the kind that changes a disk. The seed is printed; `HALLMARK_SEED` plays a run again.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use base::Sha256;
use bytes::Bytes;
use serde_json::Value;

use crate::support::{
    host::{Entry, Host, Said, entry, files, names, until},
    hub::{FixtureHub, noise},
    peers,
};

/// A stream of numbers that look random and can be played again.
struct Dice(u64);

impl Dice {
    /// Takes the seed from the environment or from the clock's small change, and says which it is.
    #[expect(clippy::print_stderr, reason = "whoever sees this fail needs the seed")]
    fn new(story: &str) -> Self {
        let given = std::env::var("HALLMARK_SEED").ok().and_then(|it| it.parse().ok());
        let seed = given.unwrap_or_else(|| u64::from(std::process::id()) * 7919);
        eprintln!("{story}: HALLMARK_SEED={seed}");
        Self(seed ^ u64::from(Sha256::of(story.as_bytes()).as_bytes()[0]))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }
}

/// What the journal of a partial file claims to be safe, in bytes.
fn claimed(host: &Host, digest: &Sha256) -> u64 {
    let path = host.store().join(format!("partials/{digest}.json"));
    let Ok(text) = fs::read_to_string(path) else { return 0 };
    let journal: Value = serde_json::from_str(&text).expect("a journal is never half a journal");
    let spans = journal["spans"].as_array().expect("spans").clone();
    let length = |it: &Value| match it {
        Value::Array(ends) => ends[1].as_u64().unwrap() - ends[0].as_u64().unwrap(),
        other => other["end"].as_u64().unwrap() - other["start"].as_u64().unwrap(),
    };
    spans.iter().map(length).sum()
}

/// Makes sure that every byte that the journal claims is the right one: a power cut may come next.
fn check_claims(host: &Host, bytes: &Bytes) {
    let digest = Sha256::of(bytes);
    let partials = host.store().join("partials");
    let Ok(text) = fs::read_to_string(partials.join(format!("{digest}.json"))) else { return };
    let journal: Value = serde_json::from_str(&text).unwrap();
    let on_disk = fs::read(partials.join(format!("{digest}.part"))).unwrap_or_default();
    for span in journal["spans"].as_array().unwrap() {
        let at = |index: usize, name: &str| {
            let it = if span.is_array() { &span[index] } else { &span[name] };
            usize::try_from(it.as_u64().unwrap()).unwrap()
        };
        let span = at(0, "start")..at(1, "end").min(on_disk.len());
        assert!(
            on_disk[span.clone()] == bytes[span.clone()],
            "the journal claims {span:?} and has other bytes"
        );
    }
}

const RATE: u64 = 24 << 20;
const LENGTH: usize = 72 << 20;

/// Kills one host's downloads so many times. A model that is done is followed by a fresh host.
fn die_downloading(hub: &FixtureHub, bytes: &Bytes, kills: u32, dice: &mut Dice) {
    let (model, digest) = (entry("ajna-big-v1", bytes), Sha256::of(bytes));
    let fresh = || {
        let mut host = Host::of(hub);
        host.vault.push(format!("bandwidth_bytes_per_second = {RATE}"));
        host.wants(std::slice::from_ref(&model));
        host
    };
    let (mut host, mut done, mut served_in_all, mut died) = (fresh(), 0, 0, 0);
    while died < kills {
        let before = claimed(&host, &digest);
        let missing = bytes.len() as u64 - before;
        let (begun, kill_at) = (hub.served_bytes(), dice.below(missing + missing / 8));
        let mut sync = host.command(&["sync"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut ended = None;
        until("the bytes at which to kill", || {
            ended = sync.try_wait().unwrap();
            ended.is_some() || hub.served_bytes() - begun >= kill_at
        });
        sync.kill().unwrap();
        let ended = ended.unwrap_or(sync.wait().unwrap());
        let served = hub.served_bytes() - begun;
        served_in_all += served;
        host.check(std::slice::from_ref(&model));
        check_claims(&host, bytes);
        // Resumed, not restarted: nobody ever asks for a byte that is safe.
        assert!(served <= missing, "{served} bytes were served where {missing} were missing");
        let strays = names(&host.store().join("partials"));
        assert!(strays.len() <= 3, "{strays:?}");
        if ended.success() {
            assert_eq!(crate::support::host::digest(&host.view("ajna-big-v1", "model.bin")), digest);
            assert_eq!(names(&host.store().join("partials")), [""; 0]);
            (host, done, served_in_all) = (fresh(), done + 1, 0);
            continue;
        }
        died += 1;
        assert!(claimed(&host, &digest) >= before || host.object(&digest).exists(), "what was safe is gone");
        // A second and a half of such a rate has been synced at least once.
        let lost = served.saturating_sub(claimed(&host, &digest).saturating_sub(before));
        assert!(host.object(&digest).exists() || lost <= RATE * 3, "{lost} bytes were lost by one kill");
    }
    // Whatever the last kill left, a sync that is left alone brings it to its end.
    host.done(&["sync"]);
    host.check(&[model]);
    assert!(done > 0 || served_in_all > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_download_killed_thirty_times_is_resumed_from_what_was_synced_and_never_shows_unproven_bytes() {
    let (hub, bytes) = (FixtureHub::start().await, noise(5, LENGTH));
    hub.put("org/ajna-big-v1", "model.bin", &bytes);
    let mut dice = Dice::new("downloads");
    die_downloading(&hub, &bytes, 30, &mut dice);
}

fn small_models(hub: &FixtureHub, count: u64) -> Vec<Entry> {
    let one = |it: u64| {
        let (id, shared) = (format!("ajna-m{it}-v1"), noise(99, 700));
        let (weights, config) = (noise(it, 40_000), noise(it + 50, 300));
        for (name, bytes) in [("model.bin", &weights), ("config.json", &config), ("sub/vocab.txt", &shared)] {
            hub.put(&format!("org/{id}"), name, bytes);
        }
        entry(&id, &weights).with("config.json", &config).with("sub/vocab.txt", &shared)
    };
    (0..count).map(one).collect()
}

/// Counts all that a client could find: views, and repositories that resolve.
fn visible(host: &Host) -> usize {
    let views = names(&host.store()).iter().filter(|it| it.starts_with("ajna-")).count();
    let repos = names(&host.cache());
    let resolves = |it: &&String| host.cache().join(it).join("refs/main").exists();
    views + repos.iter().filter(resolves).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_killed_at_any_moment_shows_whole_models_or_none() {
    let hub = FixtureHub::start().await;
    let entries = small_models(&hub, 6);
    let mut dice = Dice::new("deployments");
    let mut kills = 0;
    for _ in 0..12 {
        let mut host = Host::of(&hub);
        host.wants(&entries);
        let kill_at = usize::try_from(dice.below(3 * entries.len() as u64)).unwrap();
        let mut sync = host.command(&["sync"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("enough to be visible", || visible(&host) > kill_at || sync.try_wait().unwrap().is_some());
        sync.kill().unwrap();
        kills += u32::from(!sync.wait().unwrap().success());
        host.check(&entries);
        assert_recovers(&host, &entries);
    }
    assert!(kills > 3, "only {kills} kills came in time");
}

/// Syncs once more, undisturbed, and makes sure that nothing of the crash is left.
fn assert_recovers(host: &Host, entries: &[Entry]) {
    host.done(&["sync"]);
    host.check(entries);
    assert_eq!(visible(host), 3 * entries.len());
    host.done(&["verify"]).says(&["all whole"]);
    // What may be left is small change of the files that were in flight, and gc takes it when it is old.
    let strays = files(&host.store().join("partials"));
    assert!(
        strays.len() <= 8 && strays.iter().all(|it| it.extension() != Some("part".as_ref())),
        "{strays:?}"
    );
    host.ages();
    host.done(&["gc"]);
    assert_eq!(names(&host.store().join("partials")), [""; 0]);
    host.check(entries);
}

/// The calls that change what is on a disk.
const CALLS: &str = "rename,renameat,renameat2,symlink,symlinkat,mkdir,mkdirat,unlink,unlinkat,fsync,fdatasync,ftruncate,fchmodat,chmod,utimensat,pwrite64";

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_killed_before_any_call_that_changes_the_disk_leaves_whole_models_or_none() {
    let Some(strace) = peers::program("strace", "a kill before each call that changes the disk") else {
        return;
    };
    let hub = FixtureHub::start().await;
    let entries = small_models(&hub, 2);
    let mut dice = Dice::new("calls");
    let calls = count_calls(&strace, &hub, &entries);
    assert!(calls > 50, "{calls}");
    for _ in 0..20 {
        let nth = 1 + dice.below(calls);
        let mut host = Host::of(&hub);
        host.wants(&entries);
        let inject = format!("inject={CALLS}:signal=KILL:when={nth}");
        let output = under_strace(&strace, &host, &["-e", &inject]);
        host.check(&entries);
        assert!(files(&host.store().join("partials")).len() <= 12, "{output:?}");
        assert_recovers(&host, &entries);
    }
}

fn under_strace(strace: &Path, host: &Host, more: &[&str]) -> Said {
    let mut command = Command::new(strace);
    command
        .args(["-f", "-qq", "-o"])
        .arg(host.path("calls"))
        .arg("-e")
        .arg(format!("trace={CALLS}"))
        .args(more);
    command.arg(env!("CARGO_BIN_EXE_hallmark")).args(host.arguments(&["sync"])).current_dir(host.path(""));
    command.output().unwrap().into()
}

/// Counts the calls of the busiest thread: strace counts each thread by itself.
fn count_calls(strace: &Path, hub: &FixtureHub, entries: &[Entry]) -> u64 {
    let mut host = Host::of(hub);
    host.wants(entries);
    let said = under_strace(strace, &host, &[]);
    assert_eq!(said.code, Some(0), "{said:#?}");
    let text = fs::read_to_string(host.path("calls")).unwrap();
    let mut threads = std::collections::BTreeMap::<&str, u64>::new();
    for line in text.lines() {
        *threads.entry(line.split_whitespace().next().unwrap()).or_default() += 1;
    }
    threads.into_values().max().unwrap()
}
