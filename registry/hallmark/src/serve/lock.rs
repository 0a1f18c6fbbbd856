//! One daemon for one state folder.

use std::{
    fs::{File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

/// Held for as long as the daemon lives; the kernel lets go of it if the daemon is killed.
#[derive(Debug)]
pub(crate) struct StateLock(#[expect(dead_code, reason = "held, not read")] File);

impl StateLock {
    /// Takes the folder, or says who holds it.
    pub(crate) fn take(state: &Path) -> anyhow::Result<Self> {
        let path = state.join("daemon.lock");
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.with_context(|| format!("open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Whoever holds it may not have written its number yet.
                drop(file.take(32).read_to_string(&mut holder));
                let holder = holder.trim();
                let who =
                    if holder.is_empty() { "another daemon".to_owned() } else { format!("process {holder}") };
                bail!(
                    "{} is in use: {who} serves it already; stop that one, or choose another --state",
                    state.display()
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("lock {}", path.display()));
            }
        }
        let written = file.set_len(0).and_then(|()| file.rewind());
        written
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .with_context(|| format!("write {}", path.display()))?;
        Ok(Self(file))
    }
}

/// Returns where the daemon of a state folder can be talked to.
pub(crate) fn socket_path(state: &Path) -> PathBuf {
    state.join("daemon.sock")
}
