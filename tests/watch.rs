//! Stories of an index file: what happens to it, and what is in force afterwards.

mod refused;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use catalog::{
    Hashed,
    follow::{FollowError, Follower, Look, Snapshot, Tracking},
    watch::{ReadError, WatchOptions, read_index_file, watch},
};

use crate::support::peers;

/// Long enough for a busy machine; no story waits so long unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

type Seen = Snapshot<String, String>;

/// Holds only what starts and ends with a brace, as a whole document does.
fn braces(found: Hashed) -> (Option<String>, String) {
    let bytes = found.into_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let whole = text.starts_with('{') && text.ends_with('}');
    let report = format!("{} bytes", bytes.len());
    (whole.then_some(text), report)
}

/// A long look is put out of reach, so that only what the kernel tells can explain what a story sees.
fn only_events() -> WatchOptions {
    WatchOptions { look_every: Duration::from_hours(1), ..WatchOptions::default() }
}

fn follow(path: &Path) -> Follower<String, String> {
    follow_with(path, only_events())
}

fn follow_with(path: &Path, options: WatchOptions) -> Follower<String, String> {
    let clock = Arc::new(base::SystemClock);
    watch(path, options, clock, Box::new(braces), Box::new(|_| {})).unwrap()
}

fn in_force(seen: &Seen) -> Option<&str> {
    seen.good.as_ref().map(|it| it.value.as_str())
}

#[track_caller]
fn until(follower: &Follower<String, String>, condition: impl Fn(&Seen) -> bool) -> Arc<Seen> {
    let seen = follower.wait_until(PATIENCE, condition);
    seen.unwrap_or_else(|| panic!("this is still what is seen: {:?}", follower.latest()))
}

#[track_caller]
fn until_in_force(follower: &Follower<String, String>, text: &str) -> Arc<Seen> {
    until(follower, |seen| in_force(seen) == Some(text) && matches!(seen.look, Look::Good(_)))
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    (folder, path)
}

/// Writes as careful editors do.
fn write_rename(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path).unwrap();
}

/// Swaps a link as `ln -sfn` cannot but Nix and Kubernetes do: at once.
fn swap_link(link: &Path, target: &str) {
    let beside = link.with_file_name("..tmp");
    symlink(target, &beside).unwrap();
    fs::rename(beside, link).unwrap();
}

#[test]
fn an_editor_that_writes_and_renames_is_followed_each_time() {
    let (_keep, root) = folder();
    let path = root.join("index.json");
    fs::write(&path, "{0}").unwrap();
    let follower = follow(&path);
    assert_eq!(in_force(&follower.latest()), Some("{0}"), "the first look is over when watch returns");
    for round in 1..=5 {
        write_rename(&path, &format!("{{{round}}}"));
        until_in_force(&follower, &format!("{{{round}}}"));
    }
    assert_eq!(follower.latest().tracking, Tracking::Events);
    follower.stop();
}

#[test]
fn an_index_is_read_again_where_it_changed_and_stays_in_force_while_it_is_broken() {
    let (_keep, root) = folder();
    let path = root.join("index.json");
    let entry = |number: usize, license: &str| {
        let ours = include_str!("../index.json");
        let entry = &serde_json::from_str::<serde_json::Value>(ours).unwrap()["models"][0];
        let mut entry = entry.clone();
        entry["id"] = format!("soma-embedding-{number}-v2").into();
        entry["license"] = license.into();
        entry
    };
    let index = |license: &str| {
        let licenses = (0..20).map(|it| if it == 7 { license } else { "Apache-2.0" });
        let entries = licenses.enumerate().map(|(number, it)| entry(number, it)).collect::<Vec<_>>();
        serde_json::json!({ "models": entries }).to_string()
    };
    fs::write(&path, index("MIT")).unwrap();
    let read = catalog::reader(catalog::Contract::ours());
    let follower = watch(&path, only_events(), Arc::new(base::SystemClock), read, Box::new(|_| {})).unwrap();
    let first = follower.latest();
    write_rename(&path, &index("none"));
    let broken = follower.wait_until(PATIENCE, |it| matches!(it.look, Look::Bad { .. })).unwrap();
    let in_force =
        |it: &Snapshot<catalog::Index, catalog::Report>| Arc::clone(&it.good.as_ref().unwrap().value);
    assert_eq!(in_force(&broken).digest(), in_force(&first).digest());
    write_rename(&path, &index("BSD-3-Clause"));
    let digest = base::Sha256::of(index("BSD-3-Clause").as_bytes());
    let again = follower.wait_until(PATIENCE, |it| in_force(it).digest() == digest).unwrap();
    let (before, after) = (in_force(&first), in_force(&again));
    let same = before.entries().zip(after.entries()).filter(|(one, other)| Arc::ptr_eq(one, other)).count();
    assert_eq!((same, after.entries().len()), (19, 20));
    let changes = catalog::diff(&before, &after);
    assert_eq!(changes.revised[0].fields[0].pointer, "/license");
}

#[test]
fn a_renamed_file_is_in_force_within_a_tenth_of_a_second() {
    let (_keep, root) = folder();
    let path = root.join("index.json");
    fs::write(&path, "{0}").unwrap();
    let follower = follow(&path);
    // The best of ten: a busy machine may be slow at any one of them, a slow watch is slow at all.
    let took = (1..=10).map(|round| {
        let began = Instant::now();
        write_rename(&path, &format!("{{{round}}}"));
        until_in_force(&follower, &format!("{{{round}}}"));
        began.elapsed()
    });
    let best = took.min().unwrap();
    assert!(best < Duration::from_millis(100), "{best:?}");
}

#[test]
fn a_file_caught_half_written_is_reported_and_the_last_good_one_stays_in_force() {
    use std::io::Write as _;
    let (_keep, root) = folder();
    let path = root.join("index.json");
    fs::write(&path, "{old}").unwrap();
    let follower = follow(&path);

    let mut file = fs::File::create(&path).unwrap();
    file.write_all(b"{half").unwrap();
    let seen =
        until(&follower, |seen| matches!(&seen.look, Look::Bad { report, .. } if **report == "5 bytes"));
    assert_eq!(in_force(&seen), Some("{old}"));
    file.write_all(b" done}").unwrap();
    until_in_force(&follower, "{half done}");
}

#[test]
fn a_nix_store_switch_above_the_file_is_followed() {
    let (_keep, root) = folder();
    for (generation, text) in [("store/aaa-system", "{a}"), ("store/bbb-system", "{b}")] {
        fs::create_dir_all(root.join(generation).join("etc/hallmark")).unwrap();
        fs::write(root.join(generation).join("etc/hallmark/index.json"), text).unwrap();
    }
    fs::create_dir(root.join("run")).unwrap();
    symlink("../store/aaa-system", root.join("run/current-system")).unwrap();
    symlink(root.join("run/current-system/etc"), root.join("etc")).unwrap();

    let follower = follow(&root.join("etc/hallmark/index.json"));
    assert_eq!(in_force(&follower.latest()), Some("{a}"));
    for (generation, text) in [("../store/bbb-system", "{b}"), ("../store/aaa-system", "{a}")] {
        swap_link(&root.join("run/current-system"), generation);
        until_in_force(&follower, text);
    }
}

#[test]
fn a_kubernetes_data_flip_is_followed_and_the_old_folder_may_go() {
    let (_keep, root) = folder();
    let generation = |name: &str, text: &str| {
        fs::create_dir(root.join(name)).unwrap();
        fs::write(root.join(name).join("index.json"), text).unwrap();
    };
    generation("..2024_1", "{1}");
    symlink("..2024_1", root.join("..data")).unwrap();
    symlink("..data/index.json", root.join("index.json")).unwrap();
    let follower = follow(&root.join("index.json"));
    for round in 2..=4 {
        let name = format!("..2024_{round}");
        generation(&name, &format!("{{{round}}}"));
        swap_link(&root.join("..data"), &name);
        fs::remove_dir_all(root.join(format!("..2024_{}", round - 1))).unwrap();
        until_in_force(&follower, &format!("{{{round}}}"));
    }
}

#[test]
fn a_folder_that_vanishes_and_comes_back_is_picked_up_again() {
    let (_keep, root) = folder();
    let deep = root.join("etc/models/here");
    let path = deep.join("index.json");
    fs::create_dir_all(&deep).unwrap();
    fs::write(&path, "{1}").unwrap();
    let follower = follow(&path);

    for round in 2..=4 {
        fs::remove_dir_all(root.join("etc")).unwrap();
        let seen = until(&follower, |seen| matches!(seen.look, Look::Failed(_)));
        assert_eq!(in_force(&seen), Some(format!("{{{}}}", round - 1).as_str()));
        let Look::Failed(error) = &seen.look else { unreachable!() };
        assert!(error.to_string().contains("does not exist"), "{error}");
        fs::create_dir_all(&deep).unwrap();
        fs::write(&path, format!("{{{round}}}")).unwrap();
        until_in_force(&follower, &format!("{{{round}}}"));
    }
    // Moved away and back again, it is the same folder; watches that moved along must not be trusted.
    fs::rename(root.join("etc"), root.join("away")).unwrap();
    fs::rename(root.join("away"), root.join("etc")).unwrap();
    // The move itself may lead to a look that comes late enough to see the first of these; not so the others.
    for text in ["{last but two}", "{last but one}", "{last}"] {
        fs::write(&path, text).unwrap();
        until_in_force(&follower, text);
    }
}

#[test]
fn a_file_that_does_not_exist_yet_is_found_when_it_appears() {
    let (_keep, root) = folder();
    let path = root.join("later/index.json");
    let follower = follow(&path);
    let seen = follower.latest();
    assert!(seen.good.is_none() && matches!(seen.look, Look::Failed(_)), "{seen:?}");
    fs::create_dir(root.join("later")).unwrap();
    fs::write(&path, "{born}").unwrap();
    until_in_force(&follower, "{born}");
}

#[test]
fn a_removed_file_is_reported_and_stays_in_force() {
    let (_keep, root) = folder();
    let path = root.join("index.json");
    fs::write(&path, "{1}").unwrap();
    let follower = follow(&path);
    fs::remove_file(&path).unwrap();
    let seen = until(&follower, |seen| matches!(seen.look, Look::Failed(_)));
    assert_eq!(in_force(&seen), Some("{1}"));
    let Look::Failed(error) = &seen.look else { unreachable!() };
    let FollowError::Read(ReadError::Missing { missing, .. }) = &**error else { panic!("{error:?}") };
    assert_eq!(missing, &path);
    fs::write(&path, "{1}").unwrap();
    let seen = until_in_force(&follower, "{1}");
    assert_eq!(seen.reloads, 1, "the same bytes came back: nothing to read again");
}

#[test]
fn a_flood_of_writes_reloads_now_and_then_and_ends_with_the_last_one() {
    let (_keep, root) = folder();
    let path = root.join("index.json");
    fs::write(&path, "{start}").unwrap();
    // So long a quiet never comes: only the bound on the waiting can lead to a look.
    let follower = follow_with(&path, WatchOptions { quiet: Duration::from_mins(1), ..only_events() });
    let stop = Arc::new(AtomicBool::new(false));
    let writes = Arc::new(AtomicUsize::new(0));
    let flood = std::thread::spawn({
        let (stop, writes, path) = (Arc::clone(&stop), Arc::clone(&writes), path.clone());
        move || {
            while !stop.load(Ordering::SeqCst) {
                let round = writes.fetch_add(1, Ordering::SeqCst);
                write_rename(&path, &format!("{{flood {round}}}"));
            }
        }
    });
    // Without an upper bound on the waiting, nothing would ever be seen while the flood goes on.
    let seen = until(&follower, |seen| seen.reloads >= 3);
    stop.store(true, Ordering::SeqCst);
    flood.join().unwrap();
    let writes = writes.load(Ordering::SeqCst);
    assert!(seen.reloads < writes as u64 / 2, "{} reloads for {writes} writes", seen.reloads);
    until_in_force(&follower, &format!("{{flood {}}}", writes - 1));
}

#[test]
fn a_file_replaced_while_it_is_read_is_one_version_or_the_other() {
    let (_keep, root) = folder();
    let path = root.join("index.json");
    let version = |letter: char| letter.to_string().repeat(1 << 20);
    fs::write(&path, version('a')).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (stop, path) = (Arc::clone(&stop), path.clone());
        move || {
            let versions = [version('b'), version('a')];
            for text in versions.iter().cycle().take_while(|_| !stop.load(Ordering::SeqCst)) {
                write_rename(&path, text);
            }
        }
    });
    for _ in 0..20 {
        let bytes = read_index_file(&path).unwrap();
        assert!(bytes.len() == 1 << 20 && bytes.iter().all(|it| *it == bytes[0]), "a mixture");
    }
    stop.store(true, Ordering::SeqCst);
    writer.join().unwrap();
}

#[test]
fn a_file_that_never_rests_is_not_read_and_in_force_once_it_does() {
    use std::io::{Seek as _, Write as _};
    let (_keep, root) = folder();
    let path = root.join("index.json");
    fs::write(&path, "{1}").unwrap();
    let follower = follow(&path);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (stop, path) = (Arc::clone(&stop), path.clone());
        move || {
            // In place, which is the hard case: the reader holds the very file that changes.
            let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
            while !stop.load(Ordering::SeqCst) {
                file.rewind().unwrap();
                file.write_all(b"{2 begins").unwrap();
            }
            file.write_all(b", ends}").unwrap();
        }
    });
    let unsettled = |seen: &Seen| matches!(&seen.look, Look::Failed(error) if error.to_string().contains("changed during"));
    let seen = until(&follower, unsettled);
    assert_eq!(in_force(&seen), Some("{1}"));
    stop.store(true, Ordering::SeqCst);
    writer.join().unwrap();
    until_in_force(&follower, "{2 begins, ends}");
}

#[test]
fn bytes_that_did_not_change_are_not_read_again() {
    let (_keep, root) = folder();
    let path = root.join("index.json");
    fs::write(&path, "{1}").unwrap();
    let follower = follow(&path);
    let before = follower.latest();
    write_rename(&path, "{1}");
    let after = follower.reload_now(PATIENCE).unwrap();
    assert_eq!((after.reloads, after.sequence), (1, before.sequence));
    write_rename(&path, "{2}");
    let after = follower.reload_now(PATIENCE).unwrap();
    assert_eq!((after.reloads, in_force(&after)), (2, Some("{2}")));
}

#[test]
fn a_listener_hears_each_change_once() {
    let (_keep, root) = folder();
    let path = root.join("index.json");
    fs::write(&path, "{1}").unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let tell =
        move |seen: &Arc<Seen>| sender.send((seen.sequence, in_force(seen).map(str::to_owned))).unwrap();
    let clock = Arc::new(base::SystemClock);
    let follower = watch(&path, only_events(), clock, Box::new(braces), Box::new(tell)).unwrap();
    write_rename(&path, "{2}");
    until_in_force(&follower, "{2}");
    follower.stop();
    let heard: Vec<_> = receiver.iter().collect();
    assert_eq!(heard, [(1, Some("{1}".to_owned())), (2, Some("{2}".to_owned()))]);
}
