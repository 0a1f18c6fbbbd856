//! Other people's programs and real models, as `tests/run` prepares them.
//!
//! A test asks for a peer by its place in the peers' folder. Where it is missing the test says so and
//! passes, unless `HALLMARK_NO_SKIP` is set, as it is in CI: then it fails.

use std::{
    env,
    fs::OpenOptions,
    io::{self, Write as _},
    path::PathBuf,
};

/// Finds a peer, such as `npm/node_modules/.bin/ajv`. `None` means that the test has to end here, and that
/// what it leaves out is already said.
///
/// # Panics
///
/// If the peer is missing and nothing may be skipped.
pub(crate) fn require(peer: &str, what_is_skipped: &str) -> Option<PathBuf> {
    let place = folder().join(peer);
    if place.exists() {
        return Some(place);
    }
    skip(what_is_skipped, &format!("{} is missing; ./tests/run prepares it", place.display()));
    None
}

/// Finds a program of the system, such as `strace`. `None` means what it means for a peer.
///
/// # Panics
///
/// If the program is missing and nothing may be skipped.
pub(crate) fn program(name: &str, what_is_skipped: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&folders).map(|it| it.join(name)).find(|it| it.is_file());
    if found.is_none() {
        skip(what_is_skipped, &format!("{name} is not installed"));
    }
    found
}

/// Says what a test leaves out, for want of something that can be installed.
///
/// # Panics
///
/// If nothing may be skipped.
pub(crate) fn skip(what: &str, why: &str) {
    let line = format!("skipped: {what}, since {why}");
    assert!(env::var_os("HALLMARK_NO_SKIP").is_none(), "{line}");
    say(&line);
}

/// Says what a test leaves out because this machine does not allow it: nothing can be installed for that.
pub(crate) fn pass_over(what: &str, why: &str) {
    say(&format!("skipped: {what}, since {why}"));
}

/// Where the peers stand.
pub(crate) fn folder() -> PathBuf {
    let chosen = env::var_os("HALLMARK_PEERS").map(PathBuf::from);
    chosen.unwrap_or_else(|| cache().join("hallmark-peers"))
}

/// Where programs keep what they can get again.
pub(crate) fn cache() -> PathBuf {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).unwrap_or_default()
}

/// Says a line past the test runner, which keeps the words of a test that passes to itself.
fn say(line: &str) {
    let noted = env::var_os("HALLMARK_SKIPS")
        .map(|list| OpenOptions::new().append(true).open(list).and_then(|mut file| writeln!(file, "{line}")));
    if !matches!(noted, Some(Ok(()))) {
        // Nobody is left to tell if standard error is gone.
        drop(writeln!(io::stderr(), "{line}"));
    }
}
