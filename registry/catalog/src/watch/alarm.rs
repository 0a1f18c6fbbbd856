//! Sets watches along a trail, and falls back to polling where that cannot be done.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use notify::{ErrorKind, Event, EventKind, RecursiveMode, Watcher, event::AccessKind, event::AccessMode};

use super::trail::{Place, Trail};
use crate::follow::Tracking;

/// How often a way that keeps moving is walked before it is left to the next look.
const WALKS_MAX: u32 = 8;

pub(super) type Handler = Box<dyn FnMut(notify::Result<Event>) + Send>;
pub(super) type MakeWatcher = fn(Handler) -> notify::Result<Box<dyn Watcher + Send>>;

/// Asks the kernel.
pub(super) fn inotify(handler: Handler) -> notify::Result<Box<dyn Watcher + Send>> {
    Ok(Box::new(notify::RecommendedWatcher::new(handler, notify::Config::default())?))
}

pub(super) struct Alarm {
    make: MakeWatcher,
    /// Holds the watches that are set; the places they are set on are `places`.
    watcher: Option<Box<dyn Watcher + Send>>,
    places: BTreeSet<Place>,
    tracking: Tracking,
    retry_after: Duration,
    retry_at: Option<Instant>,
}

impl Alarm {
    pub(super) fn new(make: MakeWatcher, retry_after: Duration) -> Self {
        let (places, tracking) = (BTreeSet::new(), Tracking::Events);
        Self { make, watcher: None, places, tracking, retry_after, retry_at: None }
    }

    pub(super) fn tracking(&self) -> &Tracking {
        &self.tracking
    }

    /// Says whether it is time to try the kernel again.
    pub(super) fn wants_retry(&self) -> bool {
        self.retry_at.is_some_and(|it| it <= Instant::now())
    }

    /// Sets watches on the whole way to `path` and returns that way. `stir` is called for each change, and told
    /// whether something moved, so that the watches have to be set anew.
    pub(super) fn arm(
        &mut self,
        path: &Path,
        shaken: bool,
        now: Instant,
        stir: impl Fn(bool) + Clone + Send + 'static,
    ) -> Trail {
        if shaken {
            self.disarm();
        }
        let mut trail = Trail::walk(path);
        if self.retry_at.is_some_and(|it| now < it) {
            return trail;
        }
        for _ in 0..WALKS_MAX {
            if self.watcher.is_some() && self.places == trail.places {
                return trail;
            }
            match self.set(&trail, stir.clone()) {
                Ok(()) => self.listen(),
                Err(error) if vanished(&error) => self.disarm(),
                Err(error) => {
                    self.poll(&error, now);
                    return trail;
                }
            }
            trail = Trail::walk(path);
        }
        trail.settled = false;
        trail
    }

    fn set(&mut self, trail: &Trail, stir: impl Fn(bool) + Send + 'static) -> notify::Result<()> {
        let names = trail.names.clone();
        let mut watcher = (self.make)(Box::new(move |event| {
            if let Some(shaken) = news(&event, |path| Trail::concerns(&names, path)) {
                stir(shaken);
            }
        }))?;
        for place in &trail.places {
            watcher.watch(&place.path, RecursiveMode::NonRecursive)?;
        }
        self.watcher = Some(watcher);
        self.places.clone_from(&trail.places);
        Ok(())
    }

    fn disarm(&mut self) {
        self.watcher = None;
        self.places.clear();
    }

    fn listen(&mut self) {
        if self.tracking != Tracking::Events {
            tracing::info!("The kernel tells of changes to the index again; polling has ended");
        }
        self.tracking = Tracking::Events;
        self.retry_at = None;
    }

    fn poll(&mut self, error: &notify::Error, now: Instant) {
        self.disarm();
        let why = reason(error);
        if self.tracking == Tracking::Events {
            tracing::warn!("The index is polled: {why}");
        }
        self.tracking = Tracking::Polling { why };
        self.retry_at = Some(now + self.retry_after);
    }
}

/// Says whether an event is worth a look, and whether something moved. Our own reading is no news.
fn news(event: &notify::Result<Event>, concerns: impl Fn(&Path) -> bool) -> Option<bool> {
    let Ok(event) = event else { return Some(true) };
    if !event.paths.is_empty() && !event.paths.iter().any(|it| concerns(it)) {
        return None;
    }
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(false),
        EventKind::Access(_) => None,
        EventKind::Modify(notify::event::ModifyKind::Data(_) | notify::event::ModifyKind::Metadata(_)) => {
            Some(false)
        }
        _ => Some(true),
    }
}

fn vanished(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn reason(error: &notify::Error) -> String {
    let place = error.paths.first().map(|it| format!(" on {}", it.display())).unwrap_or_default();
    match &error.kind {
        ErrorKind::MaxFilesWatch => {
            format!("no inotify watch is left{place}: raise fs.inotify.max_user_watches")
        }
        ErrorKind::Io(error) if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            "no inotify instance is left: raise fs.inotify.max_user_instances".to_owned()
        }
        ErrorKind::Io(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            format!("no permission to set an inotify watch{place}: let this user read that folder")
        }
        _ => format!("inotify cannot set a watch{place}: {error}"),
    }
}
