//! The index, followed wherever it lives.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use base::SystemClock;
use bytes::Bytes;
use catalog::{
    Contract, Index, Report,
    follow::{Follower, Reader},
    git::{GitOptions, follow_git},
    location::Location,
    watch::{WatchOptions, watch},
};
use tokio::sync::Notify;

use crate::host::Host;

/// How much more willingly than everybody else the thread that reads the index waits for a core: a reload must not
/// stall those who are being served.
const READER_NICENESS: i32 = 10;

/// Follows the index that the config names; each change rings the bell.
/// Returns the text of the schema as well.
pub(super) fn follow(host: &Host, bell: Arc<Notify>) -> anyhow::Result<(Follower<Index, Report>, Bytes)> {
    let (contract, schema) = host.contract()?;
    let read = reader(contract, host.config.catalog.strict);
    let tell = Box::new(move |_: &_| bell.notify_one());
    let follower = match host.config.catalog.index.clone() {
        Location::File(path) => {
            let watched = watch(&path, WatchOptions::default(), Arc::new(SystemClock), read, tell);
            watched.with_context(|| format!("watch {}", path.display()))?
        }
        Location::Git(location) => {
            let name = location.to_string();
            let mut options = GitOptions::in_folder(host.state.join("catalog"));
            options.accept_rewritten_history = host.config.catalog.accept_rewritten_history;
            options.every = Duration::from_secs(host.config.catalog.fetch_seconds.get());
            follow_git(location, options, Arc::new(SystemClock), read, tell)
                .with_context(|| format!("follow {name}"))?
        }
    };
    Ok((follower, schema))
}

fn reader(contract: Contract, strict: bool) -> Reader<Index, Report> {
    let mut is_nice = false;
    let mut read = catalog::reader(contract);
    Box::new(move |found| {
        if !is_nice {
            is_nice = true;
            // Without it reloads are only less considerate.
            if let Err(error) = rustix::process::setpriority_process(None, READER_NICENESS) {
                tracing::debug!("The index is read at normal priority: {error}");
            }
        }
        let (index, report) = read(found);
        (index.filter(|_| report.holds(strict)), report)
    })
}
