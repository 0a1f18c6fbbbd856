//! The work with git alone: real repositories, served from a folder and by git's own server.

use std::{fs, process::Command};

use base::{CommitId, UnixSeconds};
use catalog::{
    git::{Author, Change, GitLimits, GitLogin, PushError, SigningKey, Workbench},
    location::{GitLocation, Location},
};

use super::scene::{BRANCH, READ, Repository, WRITE, git};
use crate::support::{
    git_server::{Doors, GitServer},
    ssh_server::SshServer,
};

fn location(text: &str) -> GitLocation {
    match Location::parse(text).unwrap() {
        Location::Git(place) => place,
        Location::File(path) => panic!("{} is a file", path.display()),
    }
}

fn workbench(scene: &Repository, place: &str, login: GitLogin) -> (tempfile::TempDir, Workbench) {
    let folder = tempfile::tempdir_in(scene.folder()).unwrap();
    let bench = Workbench::fresh(folder.path(), location(place), login, GitLimits::default()).unwrap();
    (folder, bench)
}

fn commit(bench: &Workbench, base: CommitId, text: &str, key: Option<&SigningKey>) -> CommitId {
    let author = Author::parse("Training CI <ci@example.org>").unwrap();
    let message = "Add model artifact: ajna-insight-v2";
    let at = UnixSeconds(1_800_000_000);
    let change = Change { base, bytes: text.as_bytes(), message, author: &author, at, key };
    bench.commit(&change).unwrap()
}

/// Proposes a text as a whole, and says what is on the branch then.
fn proposed(scene: &Repository, place: &str, login: &GitLogin) {
    let (_folder, bench) = workbench(scene, place, login.clone());
    let standing = bench.look(BRANCH).unwrap();
    assert_eq!((standing.base_branch.as_str(), &standing.proposed), ("main", &None));
    assert_eq!(bench.read("main", standing.base).unwrap(), b"{1}");
    let first = commit(&bench, standing.base, "{2}", None);
    bench.push(BRANCH, first, None, None).unwrap();
    assert_eq!(scene.bare(&["rev-parse", BRANCH]), first.to_string());
    assert_eq!(scene.bare(&["show", &format!("{BRANCH}:index.json")]), "{2}");
    assert_eq!(scene.bare(&["show", &format!("{BRANCH}:README")]), "models", "the other files stay");
    let message = scene.bare(&["log", "-1", "--format=%an <%ae>%n%B", BRANCH]);
    let lines = message.lines().collect::<Vec<_>>();
    assert_eq!(lines[..2], ["Training CI <ci@example.org>", "Add model artifact: ajna-insight-v2"]);
    assert_eq!(lines[3], "Signed-off-by: Training CI <ci@example.org>");

    let (_folder, bench) = workbench(scene, place, login.clone());
    let standing = bench.look(BRANCH).unwrap();
    let seen = standing.proposed.unwrap();
    assert!(seen.is_ours && seen.commit == first, "{seen:?}");
    assert_eq!(bench.read(BRANCH, seen.commit).unwrap(), b"{2}");
    let second = commit(&bench, standing.base, "{3}", None);
    let moved = bench.push(BRANCH, second, None, None).unwrap_err();
    assert!(matches!(moved, PushError::Moved { .. }), "{moved}");
    bench.push(BRANCH, second, Some(first), None).unwrap();
    assert_eq!(scene.bare(&["show", &format!("{BRANCH}:index.json")]), "{3}");
    assert_eq!(scene.bare(&["fsck", "--strict", "--no-dangling"]), "");
}

#[test]
fn a_change_is_committed_pushed_and_replaced_in_a_folder() {
    let scene = Repository::holding("{1}");
    proposed(&scene, &scene.file(), &GitLogin::default());
}

#[test]
fn a_change_is_committed_pushed_and_replaced_over_http() {
    let scene = Repository::holding("{1}");
    for round in (0..20).chain([1]) {
        scene.push("main", &format!("{{{round}}}"));
    }
    let server = GitServer::start(scene.folder(), None);
    proposed(&scene, &server.place(""), &GitLogin::default());
}

fn token(scene: &Repository, token: &str) -> GitLogin {
    let path = scene.path("token");
    fs::write(&path, token).unwrap();
    GitLogin { token_file: Some(path), ..GitLogin::default() }
}

#[test]
fn a_change_is_committed_pushed_and_replaced_over_ssh() {
    let scene = Repository::holding("{1}");
    let Some(server) = SshServer::start(scene.folder()) else { return };
    proposed(&scene, &server.place(&scene.path("models.git")), &server.login());
}

#[test]
fn a_token_without_the_right_to_write_is_named_as_such() {
    let scene = Repository::holding("{1}");
    let doors = Doors { writer: Some(WRITE.to_owned()), reader: Some(READ.to_owned()) };
    let server = GitServer::start_with(scene.folder(), doors, "127.0.0.1:0".parse().unwrap());
    let (_folder, bench) = workbench(&scene, &server.place(""), token(&scene, "read"));
    let standing = bench.look(BRANCH).unwrap();
    let new = commit(&bench, standing.base, "{2}", None);
    let text = bench.push(BRANCH, new, None, None).unwrap_err().to_string();
    assert!(text.contains("may not write there"), "{text}");
    proposed(&scene, &server.place(""), &token(&scene, "write"));
}

#[test]
fn what_the_servers_hook_says_reaches_whoever_pushes() {
    let scene = Repository::holding("{1}");
    scene.hook("pre-receive", "echo 'GH006: Protected branch update failed' >&2; exit 1");
    let server = GitServer::start(scene.folder(), None);
    let (_folder, bench) = workbench(&scene, &server.place(""), GitLogin::default());
    let standing = bench.look(BRANCH).unwrap();
    let new = commit(&bench, standing.base, "{2}", None);
    let text = bench.push(BRANCH, new, None, None).unwrap_err().to_string();
    assert!(text.contains("pre-receive hook declined") && text.contains("GH006: Protected branch"), "{text}");
    assert_eq!(scene.bare(&["branch", "--list", BRANCH]), "");
}

#[test]
fn of_two_who_push_at_once_the_second_is_told() {
    let scene = Repository::holding("{1}");
    let server = GitServer::start(scene.folder(), None);
    let (_one, one) = workbench(&scene, &server.place(""), GitLogin::default());
    let (_other, other) = workbench(&scene, &server.place(""), GitLogin::default());
    let (seen_by_one, seen_by_other) = (one.look(BRANCH).unwrap(), other.look(BRANCH).unwrap());
    let mine = commit(&one, seen_by_one.base, "{2}", None);
    let theirs = commit(&other, seen_by_other.base, "{3}", None);
    one.push(BRANCH, mine, None, None).unwrap();
    let late = other.push(BRANCH, theirs, None, None).unwrap_err();
    assert!(matches!(late, PushError::Moved { .. }), "{late}");
    assert_eq!(scene.bare(&["show", &format!("{BRANCH}:index.json")]), "{2}");
    // The same goes for the branch that it is for.
    scene.push("main", "{1, and more}");
    let (base, seen) = (seen_by_one.base, one.look(BRANCH).unwrap().proposed.unwrap().commit);
    let late =
        one.push(BRANCH, commit(&one, base, "{4}", None), Some(seen), Some(("main", base))).unwrap_err();
    assert!(matches!(late, PushError::Moved { .. }), "{late}");
}

#[test]
fn a_commit_that_somebody_changed_or_built_upon_is_not_ours_any_more() {
    let scene = Repository::holding("{1}");
    let (_folder, bench) = workbench(&scene, &scene.file(), GitLogin::default());
    let standing = bench.look(BRANCH).unwrap();
    let first = commit(&bench, standing.base, "{2}", None);
    bench.push(BRANCH, first, None, None).unwrap();
    let is_ours = || bench.look(BRANCH).unwrap().proposed.unwrap().is_ours;
    assert!(is_ours());
    scene.git(&["fetch", "-q", "origin"]);
    scene.git(&["checkout", "-q", "-B", "review", &format!("origin/{BRANCH}")]);
    fs::write(scene.path("work/index.json"), "{2, with a correction}").unwrap();
    scene.git(&["commit", "-q", "-a", "--amend", "--no-edit"]);
    scene.git(&["push", "-q", "-f", "origin", &format!("HEAD:{BRANCH}")]);
    assert!(!is_ours(), "amended");
    scene.git(&["checkout", "-q", "-B", "review", &first.to_string()]);
    scene.push(BRANCH, "{2, and more}");
    let seen = bench.look(BRANCH).unwrap().proposed.unwrap();
    assert!(!seen.is_ours && seen.about == "\"{2, and more}\" by Ada", "{seen:?}");
}

#[test]
fn the_clone_that_somebody_works_in_gets_the_branch_and_stays_as_it_is() {
    let scene = Repository::holding("{1}");
    let server = GitServer::start(scene.folder(), None);
    let place = server.place("");
    let url = place.trim_start_matches("git+");
    scene.git(&["clone", "-q", "--depth", "1", url, scene.path("mine").to_str().unwrap()]);
    fs::write(scene.path("mine/index.json"), "not committed").unwrap();
    let bench =
        Workbench::given(&scene.path("mine"), location(&place), GitLogin::default(), GitLimits::default());
    let bench = bench.unwrap();
    let standing = bench.look(BRANCH).unwrap();
    let new = commit(&bench, standing.base, "{2}", None);
    bench.push(BRANCH, new, None, None).unwrap();
    let mine = |words: &[&str]| String::from_utf8(git(&scene.path("mine"), words).stdout).unwrap();
    assert_eq!(mine(&["rev-parse", BRANCH]).trim(), new.to_string());
    assert_eq!(mine(&["status", "--porcelain"]), " M index.json\n");
    assert_eq!(mine(&["rev-parse", "--abbrev-ref", "HEAD"]).trim(), "main");
    assert_eq!(fs::read(scene.path("mine/index.json")).unwrap(), b"not committed");
}

#[test]
fn git_itself_verifies_the_signature_of_a_commit() {
    let scene = Repository::holding("{1}");
    for (kind, phrase) in [("ed25519", ""), ("ecdsa", ""), ("ed25519", "open sesame")] {
        let key = scene.path(&format!("{kind}{}", phrase.len()));
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", kind, "-N", phrase, "-f"]).arg(&key);
        assert!(keygen.status().unwrap().success());
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        fs::write(scene.path("signers"), format!("ci@example.org {public}")).unwrap();
        fs::write(scene.path("phrase"), format!("{phrase}\n")).unwrap();
        if !phrase.is_empty() {
            let closed = SigningKey::read(&key, None).err().unwrap().to_string();
            assert!(closed.contains("it has a passphrase"), "{closed}");
        }
        let key = SigningKey::read(&key, Some(&scene.path("phrase"))).unwrap();
        let (_folder, bench) = workbench(&scene, &scene.file(), GitLogin::default());
        let standing = bench.look(BRANCH).unwrap();
        let signed = commit(&bench, standing.base, "{2}", Some(&key));
        bench.push(BRANCH, signed, standing.proposed.map(|it| it.commit), None).unwrap();
        let signers = format!("gpg.ssh.allowedSignersFile={}", scene.path("signers").display());
        let place = scene.path("models.git");
        let place = place.to_str().unwrap();
        let words = ["--git-dir", place, "-c", &signers, "verify-commit", &signed.to_string()];
        let verified = git(&scene.path("work"), &words);
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(
            verified.status.success() && said.contains("Good \"git\" signature for ci@example.org"),
            "{said}"
        );
        assert!(said.contains(&key.fingerprint()), "{said}");
    }
    fs::write(scene.path("none"), "no key").unwrap();
    let wrong = SigningKey::read(&scene.path("none"), None).err().unwrap().to_string();
    assert!(wrong.contains("has to be a private key"), "{wrong}");
}
