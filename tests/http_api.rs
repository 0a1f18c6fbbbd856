//! What programs find at `/v1`, and what they are told when it is not there.

use crate::support::{daemon::Daemon, host::Host, hub::FixtureHub};

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_says_that_it_is_alive_and_ready() {
    let hub = FixtureHub::start().await;
    let host = Host::of(&hub);
    host.index(&[]);
    let daemon = Daemon::start(&host);
    assert_eq!(daemon.get("/healthz").await.status(), 200);
    assert_eq!(daemon.json("/readyz").await["ready"], true);
    assert_eq!(daemon.stop().0, Some(0));
}
