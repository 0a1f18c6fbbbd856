//! What is no file, or may not be read, or cannot be watched.

use super::*;

#[test]
fn what_is_no_regular_file_is_refused_at_once_with_a_remedy() {
    let (_keep, root) = folder();
    let check = |path: &Path, wrong: &str| {
        let error = read_index_file(path).unwrap_err().to_string();
        assert!(error.contains(wrong) && error.contains(&path.display().to_string()), "{error}");
    };
    check(&root, "it is a directory: name the file itself");
    check(&root.join("none"), "does not exist: create it");
    check(Path::new("/dev/zero"), "it is a device, not a regular file");
    nix::unistd::mkfifo(&root.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    check(&root.join("fifo"), "it is a fifo, not a regular file");
    symlink("nowhere/index.json", root.join("dangling")).unwrap();
    check(&root.join("dangling"), &format!("{} does not exist", root.join("nowhere").display()));
    symlink("round", root.join("round")).unwrap();
    check(&root.join("round"), "its symbolic links lead in a circle");
    let huge = fs::File::create(root.join("huge")).unwrap();
    huge.set_len(catalog::watch::INDEX_BYTES_MAX + 1).unwrap();
    check(&root.join("huge"), "it has 268435457 bytes and an index may have 268435456");
    fs::write(root.join("file"), "x").unwrap();
    check(&root.join("file/index.json"), "does not exist");
}

#[test]
fn a_fifo_in_the_place_of_the_file_does_not_stop_the_watch() {
    let (_keep, root) = folder();
    let path = root.join("index.json");
    fs::write(&path, "{1}").unwrap();
    let follower = follow(&path);
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    until(&follower, |seen| matches!(&seen.look, Look::Failed(error) if error.to_string().contains("fifo")));
    write_rename(&path, "{2}");
    until_in_force(&follower, "{2}");
}

/// Runs one story once more inside a user namespace of its own, as a line of shell prepares it.
/// Where the machine gives no such namespace, it says so.
fn again_in_a_namespace(story: &str, unshare: &[&str], prepare: &str) {
    let test = std::env::current_exe().unwrap();
    let probe = Command::new("unshare").args(unshare).args(["sh", "-c", prepare]).output();
    if !probe.is_ok_and(|it| it.status.success()) {
        peers::pass_over(story, "this machine gives no user namespace");
        return;
    }
    let output = Command::new("unshare")
        .args(unshare)
        .args(["sh", "-c", &format!("{prepare} && exec \"$0\" \"$@\"")])
        .arg(test)
        .args(["--exact", story, "--nocapture"])
        .env(INSIDE, story)
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// Set for a story that runs inside its namespace.
const INSIDE: &str = "HALLMARK_STORY_INSIDE";

fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

#[test]
fn on_a_machine_without_inotify_left_the_file_is_polled_and_that_is_said() {
    if !is_inside() {
        let story = "watch::refused::on_a_machine_without_inotify_left_the_file_is_polled_and_that_is_said";
        again_in_a_namespace(story, &["-Ur"], "echo 0 > /proc/sys/user/max_inotify_instances");
        return;
    }
    let (_keep, root) = folder();
    let path = root.join("index.json");
    fs::write(&path, "{1}").unwrap();
    let follower = follow_with(&path, WatchOptions::default());
    let Tracking::Polling { why } = &follower.latest().tracking else { panic!("{:?}", follower.latest()) };
    assert!(why.contains("raise fs.inotify.max_user_instances"), "{why}");
    write_rename(&path, "{2}");
    until_in_force(&follower, "{2}");
}

#[test]
fn a_file_without_permission_is_refused_and_taken_once_it_may_be_read() {
    use std::os::unix::fs::PermissionsExt as _;
    // Root may read everything: without its power over files, it is a user as any other.
    if nix::unistd::geteuid().is_root() && !is_inside() {
        let story = "watch::refused::a_file_without_permission_is_refused_and_taken_once_it_may_be_read";
        again_in_a_namespace(story, &["-U"], "true");
        return;
    }
    let (_keep, root) = folder();
    let path = root.join("index.json");
    fs::write(&path, "{1}").unwrap();
    let follower = follow(&path);
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o000);
    let seen = until(&follower, |seen| matches!(&seen.look, Look::Failed(_)));
    let Look::Failed(error) = &seen.look else { unreachable!() };
    assert!(error.to_string().contains("no permission: let this user read the file"), "{error}");
    assert_eq!(in_force(&seen), Some("{1}"));
    mode(0o600);
    until_in_force(&follower, "{1}");
}
