//! `hallmark serve`: the daemon.
//!
//! - It is ready as soon as it serves; downloads come after that.
//! - SIGHUP reads the config again. SIGTERM lets what runs end within a grace period, parks the rest, and exits 0.
//! - One daemon for one state folder: a second one says who holds it.

mod door;
mod lock;
mod service;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use base::{Clock as _, SystemClock};
use clap::Args;
use tokio::{
    runtime::{Handle, Runtime},
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::{
    door::Doors,
    lock::{StateLock, socket_path},
};
use crate::{
    Outcome,
    config::HttpConfig,
    engine::{Ask, Engine, EngineHandle},
    host::{Host, Place},
    http::{self, App},
    ledger::Ledger,
    metrics::Metrics,
    news::News,
    out,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Address and port, in place of the config's; port 0 picks a free one and prints it
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) place: Place,
}

impl Arguments {
    /// Serves one place on a port that the system picks.
    pub(crate) fn on_free_port(place: Place) -> Self {
        Self { listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))), place }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let daemon = Daemon::start(arguments)?;
    out::print(&format!("hallmark serves on {}\n", daemon.url()))?;
    daemon.until_stopped()?;
    Ok(Outcome::Holds)
}

/// A daemon that serves. Dropping it without [`Daemon::until_stopped`] ends it at once.
pub(crate) struct Daemon {
    // Ends before the runtime does, whose timers it uses.
    engine_thread: EngineThread,
    runtime: Runtime,
    engine: EngineHandle,
    serving: JoinHandle<()>,
    address: SocketAddr,
    grace: Duration,
    stop: CancellationToken,
    // Held until everything else has ended.
    _lock: StateLock,
}

impl Daemon {
    /// Takes the state folder, opens the doors and starts to work.
    pub(crate) fn start(arguments: &Arguments) -> anyhow::Result<Self> {
        let host = Host::open(&arguments.place)?;
        door::widen(host.config.http.connections_max);
        let lock = StateLock::take(&host.state)?;
        // Before anything else that is alive: a log that is damaged ends the start, with nothing begun.
        let stop = CancellationToken::new();
        let metrics = Arc::new(Metrics::new());
        let ledger = Ledger::open(&host, Arc::clone(&metrics), stop.clone())?;
        let mut settings: HttpConfig = host.config.http.clone();
        settings.listen = arguments.listen.unwrap_or(settings.listen);
        let grace = Duration::from_secs(settings.stop_seconds_max);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
        let _inside = runtime.enter();
        let doors = door::open(settings.listen, &socket_path(&host.state))?;
        let address = doors.address;
        let news = Arc::new(News::new(SystemClock.now().0, settings.events_kept));
        let told = (news, Arc::clone(&metrics));
        let shelf = host.shelf.clone();
        let (engine, engine_thread) = start_engine(
            arguments.place.clone(),
            host,
            ledger.clone(),
            told,
            runtime.handle().clone(),
            stop.clone(),
        )?;
        if let Some(ledger) = &ledger {
            ledger.work(runtime.handle(), &shelf, engine.worlds());
        }
        let app = App::new(engine.clone(), shelf, ledger, settings, metrics, stop.clone())?;
        let serving = runtime.spawn(http::serve(doors, app, stop.clone()));
        runtime.spawn(service::tell(engine.clone(), stop.clone()));
        Ok(Self { engine_thread, runtime, engine, serving, address, grace, stop, _lock: lock })
    }

    /// Returns where it can be reached on this machine.
    pub(crate) fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            let loopback =
                if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
            address.set_ip(loopback);
        }
        format!("http://{address}")
    }

    pub(crate) fn engine(&self) -> &EngineHandle {
        &self.engine
    }

    /// Serves until a signal says to stop, then ends within the grace period.
    pub(crate) fn until_stopped(self) -> anyhow::Result<()> {
        self.runtime.block_on(signals(&self.engine))?;
        self.stop()
    }

    /// Ends within the grace period.
    pub(crate) fn stop(self) -> anyhow::Result<()> {
        service::stopping();
        tracing::info!("Stopping: what runs may take {} more seconds", self.grace.as_secs());
        self.stop.cancel();
        // Transfers are parked, and the next start goes on there; requests and jobs at the disk end by themselves.
        self.engine_thread.end()?;
        let begun = Instant::now();
        let serving = self.runtime.block_on(async { timeout(self.grace, self.serving).await });
        self.runtime.shutdown_timeout(self.grace.saturating_sub(begun.elapsed()));
        if let Ok(served) = serving {
            return served.context("serve to the end");
        }
        tracing::warn!("Some requests did not end within the grace period and were cut off");
        Ok(())
    }
}

/// The engine's thread. It is told to end and waited for, whatever happens to the rest of the daemon.
struct EngineThread {
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl EngineThread {
    fn end(mut self) -> anyhow::Result<()> {
        self.join()
    }

    fn join(&mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        match self.thread.take().map(std::thread::JoinHandle::join) {
            Some(Err(_)) => anyhow::bail!("the engine had panicked: report this"),
            Some(Ok(())) | None => Ok(()),
        }
    }
}

impl Drop for EngineThread {
    fn drop(&mut self) {
        if let Err(error) = self.join() {
            tracing::error!("{error:#}");
        }
    }
}

/// Waits for the signal to stop; the one to reload is passed on.
async fn signals(engine: &EngineHandle) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let mut reload = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
    loop {
        tokio::select! {
            biased;
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = reload.recv() => {
                service::reloading();
                let (answer, done) = oneshot::channel();
                engine.ask(Ask::Reload { answer }).await?;
                // The engine has said what came of it.
                drop(done.await);
                service::ready_again();
            }
        }
    }
}

/// Starts the engine on a thread of its own: it owns all decisions, and nothing of it crosses threads.
fn start_engine(
    place: Place,
    host: Host,
    ledger: Option<Ledger>,
    (news, metrics): (Arc<News>, Arc<Metrics>),
    runtime: Handle,
    stop: CancellationToken,
) -> anyhow::Result<(EngineHandle, EngineThread)> {
    let (sender, started) = std::sync::mpsc::sync_channel(1);
    let ends = stop.clone();
    let work = move || {
        let _inside = runtime.enter();
        match Engine::new(place, host, ledger, news, metrics) {
            Ok((engine, handle)) => {
                drop(sender.send(Ok(handle)));
                runtime.block_on(engine.run(stop));
            }
            Err(error) => drop(sender.send(Err(error))),
        }
    };
    let thread =
        std::thread::Builder::new().name("engine".to_owned()).spawn(work).context("start the engine")?;
    let thread = EngineThread { stop: ends, thread: Some(thread) };
    let engine = started.recv().context("start the engine")??;
    Ok((engine, thread))
}
