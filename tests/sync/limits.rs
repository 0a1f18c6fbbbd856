//! `sync` that is stopped, meets another, or runs out of room.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_told_to_stop_keeps_what_came_and_the_next_one_goes_on_there() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (hub, bytes) = (FixtureHub::start().await, noise(1, 8 << 20));
        hub.put("org/ajna-good-v1", "model.bin", &bytes);
        hub.play(Rule::times(1, Fault::HangAfter(5 << 20)).on("GET"));
        let mut host = Host::of(&hub);
        host.wants(&[entry("ajna-good-v1", &bytes)]);
        let sync = host.start(&["sync"]);
        let partial = host.store().join(format!("partials/{}.part", Sha256::of(&bytes)));
        until("five mebibytes", || fs::metadata(&partial).is_ok_and(|it| it.len() >= 5 << 20));
        kill(Pid::from_raw(sync.id().try_into().unwrap()), signal).unwrap();
        let said = Said::from(sync.wait_with_output().unwrap());
        assert_eq!(said.code, Some(2), "{said:#?}");
        assert!(said.err.contains("stopped by a signal; what came so far is kept"), "{said:#?}");
        host.done(&["sync"]);
        assert_eq!(hub.ranges(), ["-".to_owned(), format!("bytes={}-{}", 5 << 20, (8 << 20) - 1)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_syncs_at_once_fetch_each_file_once_and_both_succeed() {
    let hub = FixtureHub::start().await;
    let ids = (0..8).map(|it| format!("ajna-m{it}-v1")).collect::<Vec<_>>();
    let bytes = (0..8).map(|it| noise(it, 2 << 20)).collect::<Vec<_>>();
    let mut host = Host::of(&hub);
    let entries = ids.iter().zip(&bytes).map(|(id, bytes)| {
        hub.put(&format!("org/{id}"), "model.bin", bytes);
        entry(id, bytes)
    });
    host.wants(&entries.collect::<Vec<_>>());
    host.vault.push(format!("bandwidth_bytes_per_second = {}", 8 << 20));
    let first = host.start(&["sync"]);
    until("the first request", || !hub.seen().is_empty());
    // One that comes later and goes file by file finds most of them done when it gets there.
    host.vault.push("downloads_max = 1".to_owned());
    for sync in [first, host.start(&["sync"])] {
        let said = Said::from(sync.wait_with_output().unwrap());
        assert_eq!(said.code, Some(0), "{said:#?}");
    }
    for id in &ids {
        let gets = hub.seen().iter().filter(|it| it.method == "GET" && it.path.contains(id)).count();
        assert_eq!(gets, 1, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_keeps_what_came_and_goes_on_once_there_is_room() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, 12 << 20));
    hub.put("org/ajna-big-v1", "model.bin", &bytes);
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-big-v1", &bytes)]);
    // What else is on the disk leaves too little for this model; it goes in the second part.
    let script = "mount -t tmpfs -o size=24m tmpfs \"$0\" && head -c 15M /dev/zero > \"$0/ballast\"\n\
        \"$@\"; echo \"ended with $?\" >&2; rm \"$0/ballast\"\n\
        \"$@\"; echo \"then with $?\" >&2\n\
        sha256sum \"$0\"/models/ajna-big-v1/model.bin";
    fs::create_dir_all(host.path("state")).unwrap();
    let unshare = |script: &str, more: &[String]| {
        let mut command = Command::new("unshare");
        command.args(["-Urm", "sh", "-c", script]).arg(host.path("state")).args(more);
        command.current_dir(host.path("")).output()
    };
    let may_mount = unshare("mount -t tmpfs -o size=1m tmpfs \"$0\"", &[]);
    if !may_mount.is_ok_and(|it| it.status.success()) {
        peers::pass_over("a sync onto a full disk", "nothing may be mounted here");
        return;
    }
    let mut program = vec![env!("CARGO_BIN_EXE_hallmark").to_owned()];
    program.extend(host.arguments(&["sync"]));
    let said = Said::from(unshare(script, &program).unwrap());
    assert!(said.err.contains("ended with 1") && said.err.contains("then with 0"), "{said:#?}");
    said.says(&[
        "ajna-big-v1: failed: no room for ajna-big-v1/model.bin",
        "needs",
        "make room and it goes on",
    ]);
    said.says(&["ajna-big-v1 1.0.0: deployed, verified"]).says(&[&Sha256::of(&bytes).to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_half_way_stops_the_sync_and_the_next_one_fetches_only_the_rest() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, 12 << 20));
    hub.put("org/ajna-big-v1", "model.bin", &bytes);
    hub.play(Rule::times(1, Fault::HangAfter(4 << 20)).on("GET"));
    let mut host = Host::of(&hub);
    host.vault.push("idle_seconds_max = 2".to_owned());
    host.wants(&[entry("ajna-big-v1", &bytes)]);
    fs::create_dir_all(host.path("state")).unwrap();
    // While the hub pauses, somebody else takes the room.
    let script = "mount -t tmpfs -o size=24m tmpfs \"$0\"\n\
        \"$@\" & until [ \"$(cat \"$0\"/models/partials/*.part 2>/dev/null | wc -c)\" -ge 4194304 ]; do :; done\n\
        head -c 30M /dev/zero > \"$0/ballast\" 2>/dev/null; wait $!; echo \"ended with $?\" >&2\n\
        rm \"$0/ballast\"; \"$@\"; echo \"then with $?\" >&2";
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-c", script]).arg(host.path("state")).arg(env!("CARGO_BIN_EXE_hallmark"));
    command.args(host.arguments(&["sync"])).current_dir(host.path(""));
    let probe = Command::new("unshare")
        .args(["-Urm", "mount", "-t", "tmpfs", "tmpfs"])
        .arg(host.path("state"))
        .status();
    if !probe.is_ok_and(|it| it.success()) {
        peers::pass_over("a disk that fills up during a sync", "nothing may be mounted here");
        return;
    }
    let said = Said::from(command.output().unwrap());
    assert!(said.err.contains("ended with 1") && said.err.contains("then with 0"), "{said:#?}");
    said.says(&["no room for ajna-big-v1/model.bin"]).says(&["ajna-big-v1 1.0.0: deployed, verified"]);
    let last = hub.ranges().last().unwrap().clone();
    assert!(last.starts_with("bytes=") && !last.starts_with("bytes=0-"), "{:?}", hub.ranges());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_takes_no_more_memory_than_a_small_one() {
    let (hub, bytes) = (FixtureHub::start().await, noise(1, 512 << 20));
    hub.put("org/ajna-huge-v1", "model.bin", &bytes);
    let mut host = Host::of(&hub);
    host.wants(&[entry("ajna-huge-v1", &bytes)]);
    let mut sync = host.command(&["sync"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", sync.id());
    let (mut peak_kibibytes, mut ended) = (0, None);
    until("the end", || {
        // Not the pages of the program file itself, which are many in a build for tests.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|it| it.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB"));
        peak_kibibytes = line.and_then(|it| it.parse::<u64>().ok()).unwrap_or(0).max(peak_kibibytes);
        ended = sync.try_wait().unwrap();
        ended.is_some()
    });
    assert!(ended.unwrap().success());
    assert!((1..64 << 10).contains(&peak_kibibytes), "{peak_kibibytes} KiB");
}
