//! Reading the log for the lineage graph, in the background, from the start on until all is there.
//!
//! On a thread of its own that waits for a core more willingly than all others: whoever is served goes first.

use std::{ops::ControlFlow, thread, time::Duration};

use tokio::{runtime::Handle, time::sleep};

use super::Ledger;

/// When to try again after the log could not be read.
const AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How much more willingly than others the thread waits.
const NICENESS: i32 = 10;

/// Reads until the graph is whole, or until the stop: between two steps, if it comes then. Blocks as long.
pub(super) fn read(ledger: &Ledger, runtime: &Handle) {
    let work = || {
        // Without it those who are served wait a little longer.
        if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
            tracing::debug!("The log is read for the lineage graph at normal priority: {error}");
        }
        while !ledger.stop().is_cancelled() && step(ledger, runtime).is_continue() {}
    };
    let done = thread::scope(|scope| {
        let thread = thread::Builder::new().name("lineage-graph".to_owned()).spawn_scoped(scope, work);
        match thread.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err("reading it had panicked: report this".to_owned()),
            Err(error) => Err(format!("start a thread: {error}")),
        }
    });
    if let Err(why) = done {
        tracing::error!("{}", ledger.ancestry().stumble(why));
    }
    // Whoever waits for the gate hears of it as of any growth.
    ledger.growth().notify_one();
}

fn step(ledger: &Ledger, runtime: &Handle) -> ControlFlow<()> {
    match ledger.ancestry().read_on() {
        Ok(true) => ControlFlow::Break(()),
        Ok(false) => ControlFlow::Continue(()),
        Err(error) => {
            tracing::error!("{error}");
            // What waits for the graph has to be told that it may be long.
            ledger.growth().notify_one();
            runtime.block_on(async {
                tokio::select! {
                    () = ledger.stop().cancelled() => {}
                    () = sleep(AFTER_FAILURE) => {}
                }
            });
            ControlFlow::Continue(())
        }
    }
}
