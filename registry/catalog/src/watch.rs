//! Watches an index file through all that happens to such files.
//!
//! - Watched are the file, and for each name on its way the folder that holds the name: through every symbolic link,
//!   down to the nearest folder that exists. So a link that is swapped at any level, or a folder that comes back, shows.
//! - Watches are set first and the file is read after, so that a change in between leads to another look.
//! - Where the kernel cannot tell (limits reached, no permission on a folder), the file is looked at on an interval,
//!   and [`Tracking::Polling`] says so. Even where it can, a slow look finds what it never hears of, such as a change
//!   made by another machine on a network file system.
//! - A flood of changes is one reload each [`WatchOptions::patience`]; a single one waits [`WatchOptions::quiet`].
//!
//! The waiting is our own and not `notify-debouncer-full`'s: that one keeps a queue of events for each file and
//! reports in ticks; here any change means the same (look again), a flood must not put the look off for ever, and
//! 100 ms from a rename to the new entry leave no room for ticks.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use base::Clock;

pub(crate) use self::file::glance_index_file;
pub use self::file::{INDEX_BYTES_MAX, ReadError, read_index_file};
use self::{
    alarm::{Alarm, MakeWatcher},
    trail::Trail,
};
use crate::{
    follow::{Desk, Follower, Listener, Origin, Reader, Rung, Tracking},
    hashed::Hashed,
};

mod alarm;
mod file;
mod trail;

/// How patient a watch is. The defaults suit a daemon.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// How long nothing may stir before the file is read.
    pub quiet: Duration,
    /// How long stirring may put the reading off.
    pub patience: Duration,
    /// How often to look where the kernel cannot tell.
    pub poll_every: Duration,
    /// How often to look where it can, in case it did not.
    pub look_every: Duration,
    /// How long to poll before trying the kernel again.
    pub retry_events_after: Duration,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            quiet: Duration::from_millis(20),
            patience: Duration::from_millis(500),
            poll_every: Duration::from_secs(1),
            look_every: Duration::from_secs(5),
            retry_events_after: Duration::from_mins(1),
        }
    }
}

/// Why no watch could begin. A file that is missing or broken is no such reason: that is a look that failed.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// A relative path, and no current folder to start from. Give the index as an absolute path.
    #[error("find the absolute path of {path}: give the index as an absolute path")]
    Place {
        /// The path as it was given.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gives no thread. Raise the limit of processes (`TasksMax` in the unit).
    #[error("start the thread that watches {path}: raise the limit of tasks for this service")]
    Thread {
        /// The file to watch.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Looks at the file once, then follows it on a thread of its own until the [`Follower`] goes.
pub fn watch<T: Send + Sync + 'static, R: Send + Sync + 'static>(
    path: &Path,
    options: WatchOptions,
    clock: Arc<dyn Clock>,
    read: Reader<T, R>,
    tell: Listener<T, R>,
) -> Result<Follower<T, R>, WatchError> {
    watch_with(alarm::inotify, path, options, clock, read, tell)
}

fn watch_with<T: Send + Sync + 'static, R: Send + Sync + 'static>(
    make: MakeWatcher,
    path: &Path,
    options: WatchOptions,
    clock: Arc<dyn Clock>,
    read: Reader<T, R>,
    tell: Listener<T, R>,
) -> Result<Follower<T, R>, WatchError> {
    let absolute = std::path::absolute(path);
    let path = absolute.map_err(|source| WatchError::Place { path: path.to_owned(), source })?;
    let desk = Desk::new(Tracking::Events, read, tell, clock);
    let board = Arc::clone(&desk.board);
    let alarm = Alarm::new(make, options.retry_events_after);
    let mut watch = Watch { path: path.clone(), options, desk, alarm, trail: Trail::default(), again: false };
    watch.look();
    Follower::start("index watch", board, move || watch.run())
        .map_err(|source| WatchError::Thread { path, source })
}

struct Watch<T, R> {
    path: PathBuf,
    options: WatchOptions,
    desk: Desk<T, R>,
    alarm: Alarm,
    trail: Trail,
    /// The last look came upon a file in motion, so another one follows whether or not a bell rings.
    again: bool,
}

impl<T: Send + Sync + 'static, R: Send + Sync + 'static> Watch<T, R> {
    fn run(mut self) {
        while self.await_change() {
            self.look();
        }
    }

    /// Sleeps until there is a reason to look; `false` when it is time to end.
    fn await_change(&mut self) -> bool {
        loop {
            match self.desk.board.sleep(self.interval()) {
                Rung::Stop => return false,
                Rung::Asked => return true,
                Rung::Stirred => {
                    let rung = self.desk.board.settle(self.options.quiet, self.options.patience);
                    return rung != Rung::Stop;
                }
                Rung::Silence if self.again || self.alarm.wants_retry() => return true,
                Rung::Silence if Trail::walk(&self.path) != self.trail => return true,
                Rung::Silence => {}
            }
        }
    }

    fn interval(&self) -> Duration {
        let usual = match self.alarm.tracking() {
            Tracking::Events => self.options.look_every,
            Tracking::Polling { .. } | Tracking::Fetching { .. } => self.options.poll_every,
        };
        if self.again { usual.min(self.options.patience) } else { usual }
    }

    fn look(&mut self) {
        let (ticket, shaken) = self.desk.board.begin();
        let board = Arc::clone(&self.desk.board);
        let known = std::mem::take(&mut self.trail);
        self.trail = self.alarm.arm(&self.path, shaken, Instant::now(), move |shaken| board.stir(shaken));
        self.desk.track(self.alarm.tracking().clone());
        let found = read_index_file(&self.path);
        // Two writes within one tick of the file system's clock look like one: so a file that has just changed is
        // looked at once more where no event would tell of the second write.
        let polling = matches!(self.alarm.tracking(), Tracking::Polling { .. });
        let moving = matches!(found, Err(ReadError::Unsettled { .. }));
        self.again = moving || !self.trail.settled || (polling && known != self.trail);
        match found {
            Ok(bytes) => {
                self.desk.take(Hashed::of(bytes), Origin::File);
            }
            Err(error) => self.desk.fail(error.into()),
        }
        self.desk.board.end(ticket);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::atomic::{AtomicBool, Ordering},
    };

    use super::{alarm::Handler, *};

    const PATIENCE: Duration = Duration::from_secs(20);

    fn text(found: Hashed) -> (Option<String>, ()) {
        (Some(String::from_utf8_lossy(&found.into_bytes()).into_owned()), ())
    }

    fn follow(make: MakeWatcher, path: &Path, options: WatchOptions) -> Follower<String, ()> {
        let clock = Arc::new(base::time::HandClock::default());
        watch_with(make, path, options, clock, Box::new(text), Box::new(|_| {})).unwrap()
    }

    fn none_left(_: Handler) -> notify::Result<Box<dyn notify::Watcher + Send>> {
        Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch))
    }

    #[test]
    fn where_no_watch_is_left_the_file_is_polled_and_that_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.json");
        fs::write(&path, "1").unwrap();
        let poll_every = Duration::from_millis(20);
        let follower = follow(none_left, &path, WatchOptions { poll_every, ..WatchOptions::default() });
        let Tracking::Polling { why } = &follower.latest().tracking else { panic!() };
        assert!(why.contains("raise fs.inotify.max_user_watches"), "{why}");
        for round in 2..=20 {
            let text = round.to_string();
            fs::write(&path, &text).unwrap();
            let seen = |it: &crate::follow::Snapshot<String, ()>| *it.good.as_ref().unwrap().value == text;
            assert!(follower.wait_until(PATIENCE, seen).is_some(), "round {round}");
        }
    }

    #[test]
    fn once_watches_are_to_be_had_again_polling_ends() {
        static LEFT: AtomicBool = AtomicBool::new(false);
        let make =
            |handler| if LEFT.load(Ordering::SeqCst) { alarm::inotify(handler) } else { none_left(handler) };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.json");
        fs::write(&path, "1").unwrap();
        let options = WatchOptions {
            poll_every: Duration::from_millis(20),
            retry_events_after: Duration::from_millis(50),
            look_every: Duration::from_hours(1),
            ..WatchOptions::default()
        };
        let follower = follow(make, &path, options);
        assert_ne!(follower.latest().tracking, Tracking::Events);
        LEFT.store(true, Ordering::SeqCst);
        assert!(follower.wait_until(PATIENCE, |it| it.tracking == Tracking::Events).is_some());
        fs::write(&path, "2").unwrap();
        assert!(follower.wait_until(PATIENCE, |it| *it.good.as_ref().unwrap().value == "2").is_some());
    }

    #[test]
    fn a_change_that_no_event_tells_of_is_found_by_the_slow_look() {
        let deaf: MakeWatcher = |_| Ok(Box::new(notify::NullWatcher));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.json");
        fs::write(&path, "1").unwrap();
        let look_every = Duration::from_millis(20);
        let follower = follow(deaf, &path, WatchOptions { look_every, ..WatchOptions::default() });
        fs::write(&path, "2").unwrap();
        assert!(follower.wait_until(PATIENCE, |it| *it.good.as_ref().unwrap().value == "2").is_some());
    }
}
