//! A downloader for stories: it never waits, remembers what it would have waited for, and fetches small files
//! in many parts.

use std::{
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base::{Sha256, SystemClock};
use bytes::Bytes;
use tempfile::TempDir;
use url::Url;
use vault::{
    DiskRoom, Downloader, FetchError, HubEndpoint, Meter, ObtainError, Partial, Partials, Pause, Progress,
    Room, Settings, Source, SourceError, Verified, Want,
};

use super::hub::FixtureHub;

/// A repository, a file in it, and the download URL that a catalog would have for it.
pub(crate) const REPOSITORY: &str = "org/model";
pub(crate) const PATH: &str = "model.safetensors";
pub(crate) const DOWNLOAD: &str = "https://huggingface.co/org/model/resolve/main/model.safetensors";

/// Lets time pass at once and writes down how much it was.
#[derive(Default)]
pub(crate) struct NoPause(Mutex<Vec<Duration>>);

impl NoPause {
    /// Returns the pauses so far.
    pub(crate) fn pauses(&self) -> Vec<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Pause for NoPause {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(duration);
        Box::pin(tokio::task::yield_now())
    }

    fn chance(&self) -> f64 {
        0.5
    }
}

/// A disk with as much room as a story says.
#[derive(Default)]
pub(crate) struct SmallRoom {
    /// What each look finds, last one first; the last that is left stays.
    pub(crate) looks: Mutex<Vec<u64>>,
}

impl Room for SmallRoom {
    fn free_bytes(&self, _: &std::path::Path) -> std::io::Result<u64> {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let free = looks.last().copied().unwrap_or(u64::MAX);
        if looks.len() > 1 {
            looks.pop();
        }
        Ok(free)
    }
}

/// A host that downloads.
pub(crate) struct Host {
    pub(crate) downloader: Downloader,
    pub(crate) partials: Partials,
    pub(crate) pause: Arc<NoPause>,
    pub(crate) meter: Arc<Meter>,
    folder: TempDir,
}

impl Host {
    /// Makes a host that knows this hub.
    pub(crate) fn of(hub: &FixtureHub) -> Self {
        Self::with(hub, |_| ())
    }

    /// Makes a host with other settings.
    pub(crate) fn with(hub: &FixtureHub, change: impl FnOnce(&mut Settings)) -> Self {
        Self::with_room(hub, Arc::new(DiskRoom), change)
    }

    /// Makes a host with other settings and another disk.
    pub(crate) fn with_room(
        hub: &FixtureHub,
        room: Arc<dyn Room>,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let mut settings = settings(hub);
        change(&mut settings);
        let folder = tempfile::tempdir().unwrap();
        let pause = Arc::new(NoPause::default());
        let downloader =
            Downloader::with_pause(settings, Arc::new(SystemClock), room, Arc::clone(&pause) as _);
        let partials = Partials::new(folder.path().join("partials"));
        Self { downloader, partials, pause, meter: Arc::default(), folder }
    }

    /// Starts the same host anew: same disk, nothing else.
    pub(crate) fn restarted(self, hub: &FixtureHub) -> Self {
        let pause = Arc::new(NoPause::default());
        let room = Arc::new(DiskRoom);
        let downloader =
            Downloader::with_pause(settings(hub), Arc::new(SystemClock), room, Arc::clone(&pause) as _);
        Self { downloader, pause, meter: Arc::default(), ..self }
    }

    /// Returns a path in the host's own folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the host's own folder.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) async fn fetch(&self, want: &Want) -> Result<Partial, FetchError> {
        self.downloader.fetch(want, &self.partials, &self.progress()).await
    }

    pub(crate) async fn obtain(&self, want: &Want) -> Result<Verified, ObtainError> {
        self.downloader.obtain(want, &self.partials, &self.progress()).await
    }

    /// Fetches a want that must fail and returns what its only source said.
    pub(crate) async fn failure(&self, want: &Want) -> SourceError {
        match self.fetch(want).await {
            Err(FetchError::AllFailed { mut failures, .. }) => failures.pop().expect("a failure").error,
            other => panic!("the one source should have failed: {other:?}"),
        }
    }

    pub(crate) fn progress(&self) -> Arc<dyn Progress> {
        Arc::clone(&self.meter) as _
    }
}

fn settings(hub: &FixtureHub) -> Settings {
    Settings {
        endpoint: HubEndpoint::parse(hub.url().as_str()).unwrap(),
        part_bytes: 256 << 10,
        sync_bytes: 64 << 10,
        keep_free_bytes: 0,
        tries_max: 4,
        idle_time_max: Duration::from_secs(5),
        ..Settings::default()
    }
}

/// Wants `bytes` from the hub's file at [`DOWNLOAD`].
pub(crate) fn want(hub: &FixtureHub, bytes: &Bytes) -> Want {
    let endpoint = HubEndpoint::parse(hub.url().as_str()).unwrap();
    want_from(bytes, vec![endpoint.source(&Url::parse(DOWNLOAD).unwrap(), None)])
}

/// Wants `bytes` from the hub's file as if it were any web address: no HEAD, no announcement.
pub(crate) fn web_want(hub: &FixtureHub, bytes: &Bytes) -> Want {
    let url = hub.url().join(&format!("{REPOSITORY}/resolve/main/{PATH}")).unwrap();
    want_from(bytes, vec![Source::Web(url)])
}

/// Wants `bytes` from these sources.
pub(crate) fn want_from(bytes: &Bytes, sources: Vec<Source>) -> Want {
    Want { digest: Sha256::of(bytes), size_bytes: bytes.len() as u64, name: "a model".into(), sources }
}

/// A progress that wakes somebody once enough bytes are there.
pub(crate) struct Alarm {
    at: u64,
    reached: AtomicU64,
    bell: tokio::sync::Notify,
}

impl Alarm {
    pub(crate) fn at(bytes: u64) -> Arc<Self> {
        Arc::new(Self { at: bytes, reached: AtomicU64::new(0), bell: tokio::sync::Notify::new() })
    }

    pub(crate) async fn rings(&self) {
        while self.reached.load(Ordering::SeqCst) < self.at {
            self.bell.notified().await;
        }
    }
}

impl Progress for Alarm {
    fn reached(&self, bytes: u64) {
        self.reached.store(bytes, Ordering::SeqCst);
        if bytes >= self.at {
            self.bell.notify_one();
        }
    }
}
