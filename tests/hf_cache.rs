//! The cache that hallmark writes, read by the real Python clients, offline.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use base::{CommitId, Sha256};
use vault::{
    Object, Shelf,
    verify::verify_file,
    view::{EntryPath, HfCache, RepoName, Snapshot, ViewError, ViewFile, synthetic_commit},
};

use crate::{shelf::place, support::peers};

/// A store and a cache in it, as on a host.
struct Host {
    _folder: tempfile::TempDir,
    shelf: Shelf,
    cache: HfCache,
}

fn host() -> Host {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(folder.path().join("models")).unwrap();
    let cache = HfCache::open(folder.path().join("models/hf-cache"), &shelf).unwrap();
    Host { _folder: folder, shelf, cache }
}

fn path(text: &str) -> EntryPath {
    EntryPath::parse(text).unwrap()
}

fn snapshot(shelf: &Shelf, repo: &str, files: &[(&str, &[u8])]) -> Snapshot {
    let files = files.iter().map(|(name, bytes)| ViewFile::verified(path(name), place(shelf, bytes)));
    let files = files.collect::<Vec<_>>();
    let digests = files.iter().map(|it| (it.path().clone(), it.digest())).collect::<Vec<_>>();
    Snapshot {
        repo: RepoName::parse(repo).unwrap(),
        commit: synthetic_commit(digests.iter().map(|it| (&it.0, &it.1))),
        revisions: vec![path("main")],
        files,
        absent: vec![path("added_tokens.json"), path("sub/absent.json")],
    }
}

fn repo_folder(host: &Host, repo: &str) -> PathBuf {
    host.cache.root().join(format!("models--{}", repo.replace('/', "--")))
}

/// Runs a script with a client's Python, offline, on this cache; its error is the test's.
fn offline(client: &Path, cache: &Path, script: &str, arguments: &[&str]) {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(client.join("bin/python"))
        .args(["-c", script])
        .args(arguments)
        .env_clear()
        .env("HOME", home.path())
        .env("HF_HUB_CACHE", cache)
        .env("HF_HUB_OFFLINE", "1")
        .env("HF_HUB_DISABLE_TELEMETRY", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", client.display());
}

const LOAD: &str = r#"
import hashlib, os, sys
from huggingface_hub import hf_hub_download, snapshot_download, scan_cache_dir, try_to_load_from_cache
from huggingface_hub import _CACHED_NO_EXIST
from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError
repo, commit, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
digests = dict(zip(rest[0::2], rest[1::2]))
digest = lambda path: hashlib.sha256(open(path, "rb").read()).hexdigest()
for revision in (None, "main", commit):
    for name, expected in digests.items():
        found = hf_hub_download(repo, name, revision=revision)
        assert digest(found) == expected, (name, found)
        assert commit in found, found
    folder = snapshot_download(repo, revision=revision)
    assert os.path.basename(folder) == commit, folder
    for name, expected in digests.items():
        assert digest(os.path.join(folder, name)) == expected, name
    sub, name = "1_Pooling", "config.json"
    if sub + "/" + name in digests:
        found = hf_hub_download(repo, name, subfolder=sub, revision=revision)
        assert digest(found) == digests[sub + "/" + name], found
    for absent in ("added_tokens.json", "sub/absent.json"):
        assert try_to_load_from_cache(repo, absent, revision=revision or "main") is _CACHED_NO_EXIST, absent
    assert try_to_load_from_cache(repo, "never-heard-of", revision=revision or "main") is None
try:
    hf_hub_download(repo, "added_tokens.json")
    raise SystemExit("a file that does not exist was found")
except (EntryNotFoundError, LocalEntryNotFoundError):
    pass
found = scan_cache_dir()
# 0.36 takes the tag, which newer clients write themselves, for a strange repo and goes on.
warnings = [str(it) for it in found.warnings if "CACHEDIR.TAG" not in str(it)]
assert not warnings, warnings
mine = [it for it in found.repos if it.repo_id == repo]
assert [[it.commit_hash for it in repo.revisions] for repo in mine] == [[commit]], mine
assert mine[0].nb_files == len(set(digests.values())), mine[0]
"#;

/// The three clients, or as many of them as were set up.
fn clients() -> Vec<PathBuf> {
    let clients = ["hf-0.36", "hf-1", "hf-2"];
    clients.iter().filter_map(|it| peers::require(it, &format!("reading our cache with {it}"))).collect()
}

fn load_with_all(host: &Host, snapshot: &Snapshot) {
    let mut arguments = vec![snapshot.repo.to_string(), snapshot.commit.to_string()];
    arguments.extend(snapshot.files.iter().flat_map(|it| [it.path().to_string(), it.digest().to_string()]));
    let arguments = arguments.iter().map(String::as_str).collect::<Vec<_>>();
    for client in clients() {
        offline(&client, host.cache.root(), LOAD, &arguments);
    }
}

const FILES: [(&str, &[u8]); 4] = [
    ("model.safetensors", b"weights"),
    ("config.json", b"{}"),
    ("1_Pooling/config.json", b"{\"pooling\": true}"),
    ("a/b/c/deep.txt", b"deep"),
];

#[test]
fn every_python_client_loads_each_file_and_the_whole_snapshot_offline() {
    let host = host();
    let snapshot = snapshot(&host.shelf, "acme/one", &FILES);
    assert!(host.cache.publish(&snapshot).unwrap());
    let mut other = self::snapshot(&host.shelf, "two", &FILES[..2]);
    other.commit = CommitId::parse(&"ab".repeat(20)).unwrap();
    host.cache.publish(&other).unwrap();
    load_with_all(&host, &snapshot);
    load_with_all(&host, &other);
}

#[test]
fn every_python_client_loads_a_real_model_offline() {
    let Some(folder) = peers::require("artifacts/minilm", "a real model in our cache") else { return };
    let host = host();
    let names =
        ["model.safetensors", "config.json", "tokenizer.json", "1_Pooling/config.json", "modules.json"];
    let bytes = names.map(|it| fs::read(folder.join(it)).unwrap());
    let files = names.iter().zip(&bytes).map(|(name, bytes)| (*name, &bytes[..])).collect::<Vec<_>>();
    let snapshot = snapshot(&host.shelf, "sentence-transformers/all-MiniLM-L6-v2", &files);
    host.cache.publish(&snapshot).unwrap();
    load_with_all(&host, &snapshot);
}

#[test]
fn a_cache_outside_the_store_serves_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(folder.path().join("models")).unwrap();
    let cache = HfCache::open(folder.path().join("elsewhere/hub"), &shelf).unwrap();
    let host = Host { _folder: folder, shelf, cache };
    let snapshot = snapshot(&host.shelf, "acme/one", &FILES);
    host.cache.publish(&snapshot).unwrap();
    load_with_all(&host, &snapshot);
}

#[test]
fn the_store_with_its_cache_can_be_mounted_elsewhere() {
    let host = host();
    let snapshot = snapshot(&host.shelf, "acme/one", &FILES);
    host.cache.publish(&snapshot).unwrap();
    let moved = host.shelf.root().with_file_name("srv");
    fs::rename(host.shelf.root(), &moved).unwrap();
    let file = format!("hf-cache/models--acme--one/snapshots/{}/a/b/c/deep.txt", snapshot.commit);
    assert_eq!(fs::read(moved.join(file)).unwrap(), b"deep");
}

#[test]
fn the_cache_is_written_as_clients_read_it() {
    let host = host();
    let snapshot = snapshot(&host.shelf, "acme/one", &FILES);
    host.cache.publish(&snapshot).unwrap();
    let repo = repo_folder(&host, "acme/one");
    assert_eq!(fs::read_to_string(repo.join("refs/main")).unwrap(), snapshot.commit.to_string());
    let deep = repo.join("snapshots").join(snapshot.commit.to_string()).join("a/b/c/deep.txt");
    let link = format!("../../../../../blobs/{}", Sha256::of(b"deep"));
    assert_eq!(fs::read_link(&deep).unwrap(), Path::new(&link));
    assert_eq!(
        fs::canonicalize(&deep).unwrap(),
        host.shelf.object(&Sha256::of(b"deep")).unwrap().unwrap().path()
    );
    let mark = repo.join(".no_exist").join(snapshot.commit.to_string()).join("sub/absent.json");
    assert_eq!(fs::read(mark).unwrap(), b"");
    assert!(
        fs::read_to_string(host.cache.root().join("CACHEDIR.TAG"))
            .unwrap()
            .starts_with("Signature: 8a477f59")
    );
    let locks = host.cache.root().join(".locks/models--acme--one");
    assert_eq!(fs::metadata(locks).unwrap().permissions().mode() & 0o7777, 0o2770);
}

#[test]
fn to_publish_the_same_again_changes_nothing_and_a_file_that_came_later_is_no_longer_absent() {
    let host = host();
    let mut snapshot = snapshot(&host.shelf, "acme/one", &FILES);
    assert!(host.cache.publish(&snapshot).unwrap());
    assert!(!host.cache.publish(&snapshot).unwrap());
    snapshot.absent.clear();
    snapshot.files.push(ViewFile::verified(path("added_tokens.json"), place(&host.shelf, b"[]")));
    assert!(host.cache.publish(&snapshot).unwrap());
    assert!(!host.cache.publish(&snapshot).unwrap());
    let repo = repo_folder(&host, "acme/one");
    let commit = snapshot.commit.to_string();
    assert!(!repo.join(".no_exist").join(&commit).join("added_tokens.json").exists());
    assert_eq!(fs::read(repo.join("snapshots").join(commit).join("added_tokens.json")).unwrap(), b"[]");
}

#[test]
fn what_a_client_downloaded_unproven_is_replaced_by_the_object() {
    let host = host();
    let snapshot = snapshot(&host.shelf, "acme/one", &FILES);
    let blobs = repo_folder(&host, "acme/one").join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    let blob = blobs.join(Sha256::of(b"weights").to_string());
    fs::write(&blob, b"wEights").unwrap();
    host.cache.publish(&snapshot).unwrap();
    assert_eq!(fs::read(&blob).unwrap(), b"weights");
    assert!(fs::symlink_metadata(&blob).unwrap().is_symlink());
}

#[test]
fn a_revision_that_resolves_is_whole_at_every_moment_while_several_writers_change_it() {
    let host = host();
    let sets = [1_u8, 2, 3].map(|it| {
        let bytes = [it; 1000];
        let files =
            [("model.safetensors", &bytes[..]), ("config.json", &bytes[..10]), ("sub/a.json", &bytes[..20])];
        snapshot(&host.shelf, "acme/one", &files)
    });
    host.cache.publish(&sets[0]).unwrap();
    let done = AtomicBool::new(false);
    let repo = repo_folder(&host, "acme/one");
    let looks = std::thread::scope(|scope| {
        let look = || {
            let mut looks = 0_u32;
            while !done.load(Ordering::SeqCst) {
                let commit = fs::read_to_string(repo.join("refs/main")).unwrap();
                let folder = repo.join("snapshots").join(&commit);
                let set = sets.iter().find(|it| it.commit.to_string() == commit).unwrap();
                for file in &set.files {
                    assert_eq!(
                        Sha256::of(&fs::read(folder.join(file.path().as_str())).unwrap()),
                        file.digest()
                    );
                }
                looks += 1;
            }
            looks
        };
        let looking = scope.spawn(look);
        // Each thread opens its own locks, so they exclude each other as processes do.
        let writing = sets.each_ref().map(|set| {
            let cache = HfCache::open(host.cache.root(), &host.shelf).unwrap();
            scope.spawn(move || {
                for _ in 0..20 {
                    cache.publish(set).unwrap();
                }
            })
        });
        for writer in writing {
            writer.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        looking.join().unwrap()
    });
    assert!(looks > 0);
    load_with_all_of_three(&host, &sets);
}

fn load_with_all_of_three(host: &Host, sets: &[Snapshot; 3]) {
    let found = host.cache.snapshots().unwrap();
    let commits = found.iter().map(|it| it.commit).collect::<BTreeSet<_>>();
    assert_eq!(commits, sets.iter().map(|it| it.commit).collect());
    assert_eq!(found.iter().filter(|it| it.revisions == ["main"]).count(), 1);
    assert_eq!(fs::read_dir(repo_folder(host, "acme/one").join(".aside")).unwrap().count(), 0);
}

const HOLD: &str = r#"
import sys
from huggingface_hub.utils import WeakFileLock
with WeakFileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
    open(sys.argv[2], "w").close()
"#;

#[test]
fn a_blob_that_a_python_client_has_locked_is_left_alone_until_the_client_is_done() {
    for client in clients() {
        let host = host();
        let snapshot = snapshot(&host.shelf, "acme/one", &FILES[..1]);
        let lock =
            host.cache.root().join(format!(".locks/models--acme--one/{}.lock", Sha256::of(b"weights")));
        fs::create_dir_all(lock.parent().unwrap()).unwrap();
        let done = host.cache.root().with_file_name("done");
        let mut holder = Command::new(client.join("bin/python"));
        holder.args(["-c", HOLD]).args([&lock, &done]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = holder.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // The client goes on once this process stands before the lock.
                wait_until(|| open_files().any(|it| it == lock));
                drop(holder.stdin.take());
            });
            host.cache.publish(&snapshot).unwrap();
        });
        assert!(done.exists(), "{}: the lock was not waited for", client.display());
        holder.wait().unwrap();
    }
}

fn open_files() -> impl Iterator<Item = PathBuf> {
    fs::read_dir("/proc/self/fd").unwrap().filter_map(|it| fs::read_link(it.ok()?.path()).ok())
}

fn wait_until(is_so: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !is_so() {
        assert!(started.elapsed() < std::time::Duration::from_mins(1), "waited in vain");
        std::thread::yield_now();
    }
}

#[test]
fn a_removed_snapshot_takes_no_bytes_that_another_one_needs() {
    let host = host();
    let old = snapshot(&host.shelf, "acme/one", &[("model.safetensors", b"old"), ("config.json", b"{}")]);
    let new = snapshot(&host.shelf, "acme/one", &[("model.safetensors", b"new"), ("config.json", b"{}")]);
    host.cache.publish(&old).unwrap();
    host.cache.publish(&new).unwrap();
    assert!(host.cache.remove(&old.repo, &old.commit).unwrap());
    assert!(!host.cache.remove(&old.repo, &old.commit).unwrap());
    let blobs = repo_folder(&host, "acme/one").join("blobs");
    assert!(!blobs.join(Sha256::of(b"old").to_string()).exists());
    assert!(host.shelf.object(&Sha256::of(b"old")).unwrap().is_some());
    assert_eq!(host.cache.digests().unwrap(), BTreeSet::from([Sha256::of(b"new"), Sha256::of(b"{}")]));
    let mut new = new;
    new.absent.clear();
    assert!(!host.cache.publish(&new).unwrap());
    assert!(host.cache.remove(&new.repo, &new.commit).unwrap());
    assert!(!repo_folder(&host, "acme/one").exists());
}

#[test]
fn a_snapshot_whose_object_is_gone_is_not_published() {
    let host = host();
    let snapshot = snapshot(&host.shelf, "acme/one", &FILES);
    let object: Object = host.shelf.object(&Sha256::of(b"deep")).unwrap().unwrap();
    fs::remove_file(object.path()).unwrap();
    let error = host.cache.publish(&snapshot).unwrap_err();
    assert!(matches!(error, ViewError::Gone { digest, .. } if digest == Sha256::of(b"deep")), "{error}");
    assert!(!repo_folder(&host, "acme/one").exists());
}

#[test]
fn a_damaged_object_is_in_no_cache_and_back_once_it_is_placed_again() {
    let host = host();
    let snapshot = snapshot(&host.shelf, "acme/one", &FILES);
    host.cache.publish(&snapshot).unwrap();
    let object = host.shelf.object(&Sha256::of(b"deep")).unwrap().unwrap();
    fs::set_permissions(object.path(), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(object.path(), b"dEep").unwrap();
    let now = base::UnixSeconds(1);
    vault::scrub::scrub(&host.shelf, &[object.digest()], vault::scrub::Pace::default(), now, &());
    let shown = repo_folder(&host, "acme/one")
        .join("snapshots")
        .join(snapshot.commit.to_string())
        .join("a/b/c/deep.txt");
    assert_eq!(fs::read(&shown).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    assert!(verify_file(&shown, object.digest(), 4).is_err());
    place(&host.shelf, b"deep");
    assert_eq!(fs::read(&shown).unwrap(), b"deep");
}
