//! What the service manager hears: ready, what is going on in one line, and that the engine is alive.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::{engine::EngineHandle, state::State, world::World};

/// The status line changes no more often than that.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// Says that the daemon serves, then keeps the status line true and the watchdog fed until the stop.
pub(super) async fn tell(engine: EngineHandle, stop: CancellationToken) {
    notify(&[NotifyState::Ready, NotifyState::Status(&status(&engine.world()))]);
    let work = async {
        tokio::join!(statuses(&engine), watchdog(&engine));
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

async fn statuses(engine: &EngineHandle) {
    let mut worlds = engine.worlds();
    while worlds.changed().await.is_ok() {
        let text = status(&worlds.borrow_and_update());
        notify(&[NotifyState::Status(&text)]);
        sleep(STATUS_EVERY).await;
    }
}

/// Feeds the watchdog while the engine answers: one that hangs is restarted.
async fn watchdog(engine: &EngineHandle) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut tick = interval(limit / 3);
    loop {
        tick.tick().await;
        if engine.is_alive().await {
            notify(&[NotifyState::Watchdog]);
        }
    }
}

fn status(world: &World) -> String {
    let counts = world.counts();
    let shown = [
        State::Deployed,
        State::Fetching,
        State::Queued,
        State::Held,
        State::Failed,
        State::Quarantined,
        State::Missing,
    ];
    let counted = shown.iter().filter_map(|it| Some(format!("{} {it}", counts.get(it)?)));
    let counted = counted.collect::<Vec<_>>();
    match (world.index(), counted.is_empty()) {
        (None, _) => "no index is in force yet".to_owned(),
        (Some(_), true) => "nothing is wanted".to_owned(),
        (Some(_), false) => counted.join(", "),
    }
}

pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

pub(super) fn reloading() {
    let now = NotifyState::monotonic_usec_now();
    notify(&now.map_or_else(|_| vec![NotifyState::Reloading], |now| vec![NotifyState::Reloading, now]));
}

pub(super) fn ready_again() {
    notify(&[NotifyState::Ready]);
}

fn notify(state: &[NotifyState<'_>]) {
    // Without a service manager nobody listens, and that is well.
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("The service manager did not hear: {error}");
    }
}
