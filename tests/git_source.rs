//! Stories of an index on a branch: real repositories, written by `git`, served from a folder or by git's own server.

mod network;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use base::{CommitId, UnixSeconds, time::HandClock};
use catalog::{
    Hashed,
    follow::{FollowError, Follower, Look, Origin, Snapshot},
    git::{GitError, GitLogin, GitOptions, Provenance, follow_git},
    location::{GitLocation, Location},
};

use crate::support::{git_server::GitServer, ssh_server::SshServer, tls};

/// Long enough for a busy machine; no story waits so long unless it fails.
const PATIENCE: Duration = Duration::from_secs(30);

type Seen = Snapshot<String, String>;

/// Holds only what starts and ends with a brace, as a whole document does.
fn braces(found: Hashed) -> (Option<String>, String) {
    let bytes = found.into_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let whole = text.starts_with('{') && text.ends_with('}');
    (whole.then_some(text), format!("{} bytes", bytes.len()))
}

/// A repository that people push to, and the folder of the one who follows it.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(scene.work()).unwrap();
        scene.git(&["init", "-q", "-b", "main", "."]);
        scene.git(&["init", "-q", "--bare", "-b", "main", scene.bare().to_str().unwrap()]);
        scene.git(&["remote", "add", "origin", scene.bare().to_str().unwrap()]);
        scene
    }

    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    fn bare(&self) -> PathBuf {
        self.folder.path().join("models.git")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn git(&self, words: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"])
            .args(words)
            .current_dir(self.work())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("HOME", self.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits an index and pushes it.
    fn push(&self, text: &str) -> CommitId {
        fs::write(self.work().join("index.json"), text).unwrap();
        self.push_all(text)
    }

    fn push_all(&self, message: &str) -> CommitId {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["push", "-q", "-f", "origin", "HEAD"]);
        CommitId::parse(&self.git(&["rev-parse", "HEAD"])).unwrap()
    }

    fn options(&self) -> GitOptions {
        GitOptions { every: Duration::from_hours(1), ..GitOptions::in_folder(self.state()) }
    }

    /// Follows the repository in its folder.
    fn follow(&self, place: &str) -> Follower<String, String> {
        follow(&format!("git+file://{}{place}", self.bare().display()), self.options())
    }
}

fn follow(place: &str, options: GitOptions) -> Follower<String, String> {
    let clock = Arc::new(HandClock::at(UnixSeconds(1_800_000_000)));
    follow_git(location(place), options, clock, Box::new(braces), Box::new(|_| {})).unwrap()
}

fn location(text: &str) -> GitLocation {
    match Location::parse(text).unwrap() {
        Location::Git(place) => place,
        Location::File(path) => panic!("{} is a file", path.display()),
    }
}

#[track_caller]
fn look(follower: &Follower<String, String>) -> Arc<Seen> {
    follower.reload_now(PATIENCE).expect("a look ends in time")
}

#[track_caller]
fn assert_in_force(seen: &Seen, text: &str, commit: CommitId) {
    let good = seen.good.as_ref().unwrap_or_else(|| panic!("nothing is in force: {:?}", seen.look));
    let Origin::Commit(provenance) = &good.origin else { panic!("{:?}", good.origin) };
    assert_eq!((good.value.as_str(), provenance.commit), (text, commit), "{:?}", seen.look);
}

#[track_caller]
fn failure(seen: &Seen) -> &GitError {
    match &seen.look {
        Look::Failed(error) => match &**error {
            FollowError::Git(error) => error,
            other => panic!("{other:?}"),
        },
        look => panic!("{look:?}"),
    }
}

#[test]
fn the_newest_commit_of_the_branch_is_taken_and_named() {
    let scene = Scene::new();
    let first = scene.push("{1}");
    let follower = scene.follow("");
    let seen = look(&follower);
    assert_in_force(&seen, "{1}", first);
    let Origin::Commit(Provenance { branch, path, taken_at, committed_at, .. }) =
        &seen.good.as_ref().unwrap().origin
    else {
        panic!()
    };
    assert_eq!((branch.as_str(), path.as_str(), taken_at.0), ("main", "index.json", 1_800_000_000));
    assert!(committed_at.0 > 1_700_000_000);

    scene.push("{2}");
    let third = scene.push("{3}");
    assert_in_force(&look(&follower), "{3}", third);
    follower.stop();
}

#[test]
fn a_branch_and_a_path_are_chosen_after_the_hash() {
    let scene = Scene::new();
    scene.push("{main}");
    scene.git(&["checkout", "-q", "-b", "release/next"]);
    fs::create_dir(scene.work().join("models")).unwrap();
    fs::write(scene.work().join("models/catalog.json"), "{release}").unwrap();
    let commit = scene.push_all("release");
    let follower = scene.follow("#release/next:models/catalog.json");
    assert_in_force(&look(&follower), "{release}", commit);
}

#[test]
fn a_branch_is_asked_again_by_itself() {
    let scene = Scene::new();
    scene.push("{1}");
    let options = GitOptions { every: Duration::from_millis(50), ..scene.options() };
    let follower = follow(&format!("git+file://{}", scene.bare().display()), options);
    look(&follower);
    let second = scene.push("{2}");
    let seen = follower.wait_until(PATIENCE, |seen| seen.reloads == 2).unwrap();
    assert_in_force(&seen, "{2}", second);
}

#[test]
fn a_commit_whose_index_does_not_hold_changes_nothing_that_runs() {
    let scene = Scene::new();
    let first = scene.push("{1}");
    let follower = scene.follow("");
    look(&follower);
    let broken = scene.push("{broken");
    let seen = look(&follower);
    assert_in_force(&seen, "{1}", first);
    let Look::Bad { origin: Origin::Commit(from), .. } = &seen.look else { panic!("{:?}", seen.look) };
    assert_eq!(from.commit, broken);
    assert_eq!(look(&follower).reloads, seen.reloads, "the same broken bytes are not read again");
    drop(follower);

    let follower = scene.follow("");
    let third = scene.push("{3}");
    assert_in_force(&look(&follower), "{3}", third);
}

#[test]
fn after_a_restart_with_the_repository_gone_the_last_good_commit_is_served() {
    let scene = Scene::new();
    let first = scene.push("{1}");
    drop(scene.follow("").reload_now(PATIENCE).unwrap());
    fs::rename(scene.bare(), scene.folder.path().join("away")).unwrap();

    let follower = scene.follow("");
    assert_in_force(&follower.latest(), "{1}", first);
    let seen = look(&follower);
    assert_in_force(&seen, "{1}", first);
    assert!(matches!(failure(&seen), GitError::Unreachable { .. }), "{:?}", seen.look);

    fs::rename(scene.folder.path().join("away"), scene.bare()).unwrap();
    let second = scene.push("{2}");
    assert_in_force(&look(&follower), "{2}", second);
}

#[test]
fn a_rewritten_history_is_refused_until_it_is_accepted() {
    let scene = Scene::new();
    scene.push("{1}");
    let second = scene.push("{2}");
    let follower = scene.follow("");
    look(&follower);

    scene.git(&["reset", "-q", "--hard", "HEAD^"]);
    let other = scene.push("{other}");
    for _ in 0..2 {
        let seen = look(&follower);
        assert_in_force(&seen, "{2}", second);
        let GitError::Rewritten { old, new, .. } = failure(&seen) else { panic!("{:?}", seen.look) };
        assert_eq!((*old, *new), (second, other));
    }
    drop(follower);
    // Back to an older commit is a rewrite too: it would take back what was in force.
    let follower = scene.follow("");
    scene.git(&["reset", "-q", "--hard", "HEAD^"]);
    scene.git(&["push", "-q", "-f", "origin", "HEAD"]);
    assert!(matches!(failure(&look(&follower)), GitError::Rewritten { .. }));
    drop(follower);

    let third = scene.push("{third}");
    let options = GitOptions { accept_rewritten_history: true, ..scene.options() };
    let follower = follow(&format!("git+file://{}", scene.bare().display()), options);
    assert_in_force(&look(&follower), "{third}", third);
    drop(follower);
    let follower = scene.follow("");
    let fourth = scene.push("{fourth}");
    assert_in_force(&look(&follower), "{fourth}", fourth);
}

#[test]
fn a_merge_that_brings_the_commit_in_force_is_no_rewrite() {
    let scene = Scene::new();
    scene.push("{1}");
    scene.git(&["checkout", "-q", "-b", "side"]);
    fs::write(scene.work().join("README"), "side").unwrap();
    scene.push_all("side");
    scene.git(&["checkout", "-q", "main"]);
    scene.push("{2}");
    let follower = scene.follow("#main");
    look(&follower);
    // The side branch comes first: the commit in force is the second parent.
    scene.git(&["checkout", "-q", "-B", "merged", "side"]);
    scene.git(&["merge", "-q", "--no-ff", "-m", "merge", "main"]);
    scene.git(&["push", "-q", "origin", "merged:main"]);
    let merge = CommitId::parse(&scene.git(&["rev-parse", "HEAD"])).unwrap();
    assert_in_force(&look(&follower), "{2}", merge);
}

#[test]
fn a_branch_that_is_deleted_and_a_file_that_is_gone_are_named_and_change_nothing() {
    let scene = Scene::new();
    let first = scene.push("{1}");
    scene.git(&["push", "-q", "origin", "main:other"]);
    let follower = scene.follow("#main");
    look(&follower);

    scene.git(&["--git-dir", scene.bare().to_str().unwrap(), "update-ref", "-d", "refs/heads/main"]);
    let seen = look(&follower);
    assert_in_force(&seen, "{1}", first);
    let text = failure(&seen).to_string();
    assert!(text.contains("branch main") && text.contains("it has other"), "{text}");

    fs::remove_file(scene.work().join("index.json")).unwrap();
    fs::write(scene.work().join("README"), "moved").unwrap();
    let without = scene.push_all("without an index");
    let seen = look(&follower);
    assert_in_force(&seen, "{1}", first);
    let GitError::NoFile { commit, .. } = failure(&seen) else { panic!("{:?}", seen.look) };
    assert_eq!(*commit, without);

    std::os::unix::fs::symlink("README", scene.work().join("index.json")).unwrap();
    scene.push_all("a link");
    let text = failure(&look(&follower)).to_string();
    assert!(text.contains("it is a symbolic link, not a file"), "{text}");
    fs::remove_file(scene.work().join("index.json")).unwrap();
    let back = scene.push("{back}");
    assert_in_force(&look(&follower), "{back}", back);
}

#[test]
fn a_clone_that_broke_is_made_anew() {
    let scene = Scene::new();
    scene.push("{1}");
    let follower = scene.follow("");
    look(&follower);
    let clone = scene.state().join("clone.git");
    let break_it: [&dyn Fn(); 3] = [
        &|| fs::write(clone.join("HEAD"), "nonsense").unwrap(),
        &|| files(&clone.join("objects")).iter().for_each(|it| spoil(it)),
        &|| fs::remove_dir_all(clone.join("objects")).unwrap(),
    ];
    for (round, break_it) in break_it.into_iter().enumerate() {
        break_it();
        let text = format!("{{round {round}}}");
        let commit = scene.push(&text);
        assert_in_force(&look(&follower), &text, commit);
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    entries.flat_map(|it| if it.is_dir() { files(&it) } else { vec![it] }).collect()
}

fn spoil(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    for byte in bytes.iter_mut().skip(8) {
        *byte ^= 0x55;
    }
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}
