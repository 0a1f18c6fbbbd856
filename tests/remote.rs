//! The commands with a daemon on the same state folder: the same words, the same ends, and the daemon does the work.

use std::fs;

use base::Sha256;
use serde_json::json;

use crate::support::{
    daemon::Daemon,
    host::{Host, Said, entry},
    hub::{Fault, FixtureHub, Rule, Way, noise},
};

const LENGTH: usize = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn sync_says_the_same_with_and_without_a_daemon() {
    let hub = FixtureHub::start().await;
    let ids = ["ajna-good-v1", "ajna-tampered-v1", "ajna-gone-v1", "ajna-stub-v1"];
    let mut entries =
        ids.iter().zip(1..).map(|(id, seed)| entry(id, &noise(seed, LENGTH))).collect::<Vec<_>>();
    hub.put("org/ajna-good-v1", "model.bin", &noise(1, LENGTH));
    hub.put("org/ajna-tampered-v1", "model.bin", &noise(77, LENGTH));
    hub.change("org/ajna-tampered-v1", "model.bin", |it| it.way = Way::Cdn { linked: false });
    hub.put("org/ajna-gone-v1", "other.bin", &noise(3, LENGTH));
    entries[3] = entry("ajna-stub-v1", b"").artifact("sha256", json!("0".repeat(64)));
    let mut host = Host::of(&hub);
    host.index(&entries);
    host.declares(&[&ids[..], &["xyz"]].concat());
    let alone = host.run(&["sync"]);
    assert_eq!(alone.code, Some(1), "{alone:#?}");
    let named = host.run(&["sync", "ajna-good-v1", "nothing-such-v1"]);
    let alone_status = host.done(&["status", "--json"]).json()["models"].clone();
    let daemon = Daemon::start(&host);
    daemon.until("ajna-tampered-v1", "quarantined").await;
    let with = host.run(&["sync"]);
    assert_eq!(
        (with.code, &with.out),
        (alone.code, &alone.out.replace("KiB)", "KiB, nothing to do)")),
        "{with:#?}"
    );
    assert!(with.err.contains("note: a daemon runs on this state folder"), "{with:#?}");
    let with = host.run(&["sync", "ajna-good-v1", "nothing-such-v1"]);
    assert_eq!((with.code, &with.out), (named.code, &named.out), "{with:#?}");
    assert_eq!(host.done(&["sync", "ajna-good-v1", "--json"]).model("ajna-good-v1")["state"], "deployed");
    // Both sources of the status have the same keys and tell the same states.
    let with_status = host.done(&["status", "--json"]).json()["models"].clone();
    let keys = |it: &serde_json::Value| it[0].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&alone_status), keys(&with_status));
    let states = |it: &serde_json::Value| {
        let rows = it.as_array().unwrap().iter();
        rows.map(|it| (it["id"].clone(), it["state"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(states(&alone_status), states(&with_status));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_follows_what_the_daemon_fetches_until_it_rests() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put("org/ajna-good-v1", "model.bin", &bytes);
    let host = Host::of(&hub);
    host.index(&[entry("ajna-good-v1", &bytes)]);
    let daemon = Daemon::start(&host);
    assert!(hub.seen().is_empty());
    let said = host.run(&["sync"]);
    assert_eq!(said.code, Some(2), "{said:#?}");
    assert!(said.err.contains("nothing is wanted"), "{said:#?}");
    let said = host.done(&["sync", "ajna-good-v1"]);
    assert_eq!(said.out, "ajna-good-v1 1.0.0: deployed, verified (97.66 KiB)\n");
    assert_eq!(fs::read(host.cached("org/ajna-good-v1", "model.bin")).unwrap(), *bytes);
    assert_eq!(daemon.state("ajna-good-v1").await["wanted"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_dies_under_a_sync_is_a_clear_error() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put("org/ajna-good-v1", "model.bin", &bytes);
    hub.play(Rule::always(Fault::Hang).on("GET"));
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-good-v1", &bytes)]);
    let daemon = Daemon::start(&host);
    daemon.until("ajna-good-v1", "fetching").await;
    let sync = host.start(&["sync"]);
    // Whoever waits has begun to watch.
    let watched = |it: &str| it.lines().any(|it| it.contains("watchers") && it.ends_with(" 1"));
    loop {
        let metrics = daemon.get("/metrics").await.text().await.unwrap();
        if watched(&metrics) {
            break;
        }
    }
    drop(daemon);
    let said = Said::from(sync.wait_with_output().unwrap());
    assert_eq!(said.code, Some(2), "{said:#?}");
    assert!(said.err.contains("ended before"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_and_gc_are_the_daemons_work_and_say_the_same() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put("org/ajna-good-v1", "model.bin", &bytes);
    hub.put("org/ajna-old-v1", "model.bin", &noise(2, LENGTH));
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-good-v1", &bytes), entry("ajna-old-v1", &noise(2, LENGTH))]);
    host.done(&["sync"]);
    host.declares(&["ajna-good-v1"]);
    let daemon = Daemon::start(&host);
    daemon.until("ajna-good-v1", "deployed").await;
    daemon.until("ajna-old-v1", "withdrawn").await;
    assert_eq!(host.done(&["verify"]).out, "2 objects hashed: all whole\n");
    let object = host.object(&Sha256::of(&bytes));
    let mut permissions = fs::metadata(&object).unwrap().permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "a rotten disk asks for no permission")]
    permissions.set_readonly(false);
    fs::set_permissions(&object, permissions).unwrap();
    let mut rotten = bytes.to_vec();
    rotten[5] ^= 1;
    fs::write(&object, rotten).unwrap();
    let said = host.run(&["verify"]);
    assert_eq!(said.code, Some(1), "{said:#?}");
    said.says(&["ajna-good-v1/model.bin", "Model checksum verification failed", "verify --repair"])
        .says(&["2 objects hashed: NOT all whole"]);
    // What the look took off the shelf comes back by itself.
    host.done(&["sync", "ajna-good-v1"]);
    host.done(&["verify", "--json"]);
    let unknown = host.run(&["verify", "nothing-such-v1"]);
    assert_eq!(unknown.code, Some(2), "{unknown:#?}");
    assert!(unknown.err.contains("Model 'nothing-such-v1' not found in index"), "{unknown:#?}");
    host.ages();
    host.done(&["gc", "--dry-run"]).says(&["model ajna-old-v1"]).says(&["would free"]);
    host.done(&["gc"]).says(&["freed 97.66 KiB: 1 object"]);
    daemon.until("ajna-old-v1", "available").await;
    assert!(host.view("ajna-good-v1", "model.bin").exists() && !host.store().join("ajna-old-v1").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_deleted_under_a_daemon_heals_with_a_sync() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put("org/ajna-good-v1", "model.bin", &bytes);
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-good-v1", &bytes)]);
    let daemon = Daemon::start(&host);
    daemon.until("ajna-good-v1", "deployed").await;
    fs::remove_file(host.object(&Sha256::of(&bytes))).unwrap();
    host.done(&["sync"]).says(&["ajna-good-v1 1.0.0: deployed, verified"]);
    assert_eq!(fs::read(host.view("ajna-good-v1", "model.bin")).unwrap(), *bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_watch_tells_each_change_on_a_line_and_needs_a_daemon() {
    use std::io::BufRead as _;
    let (hub, bytes) = (FixtureHub::start().await, noise(1, LENGTH));
    hub.put("org/ajna-good-v1", "model.bin", &bytes);
    let mut host = Host::of(&hub);
    host.index(&[entry("ajna-good-v1", &bytes)]);
    let said = host.run(&["status", "--watch"]);
    assert_eq!(said.code, Some(2), "{said:#?}");
    assert!(said.err.contains("no daemon runs on state") && said.err.contains("hallmark serve"), "{said:#?}");
    let daemon = Daemon::start(&host);
    daemon.until("ajna-good-v1", "available").await;
    let mut watch = host.start(&["status", "--watch"]);
    let mut lines = std::io::BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("ID "));
    assert!(lines.next().unwrap().contains("available"));
    host.declares(&["ajna-good-v1"]);
    host.arguments(&[]);
    daemon.signal(nix::sys::signal::Signal::SIGHUP);
    assert!(lines.any(|it| it == "ajna-good-v1 is deployed"));
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(watch.id().cast_signed()),
        nix::sys::signal::Signal::SIGINT,
    )
    .unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(0));
}
