//! `hallmark demo`: the whole job on one machine, without a network and without set-up.
//!
//! - Nothing is played: a real hub over loopback, real files, the daemon itself, in one temporary folder.
//! - What is told is what the daemon's own news say, as they come.
//! - The folder goes when the demo ends, also by Ctrl-C.

mod acts;
mod gate;
mod hub;
mod signed;
mod teller;

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use base::{Clock as _, SystemClock};
use clap::Args;
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::timeout,
};

use self::{
    acts::{Act, acts},
    hub::{Hub, Remark},
    signed::Signed,
    teller::Teller,
};
use crate::{
    Outcome,
    host::Place,
    out,
    serve::{self, Daemon},
    status::{Row, Sheet},
    world::World,
};

/// All acts have ended by then, or something is wrong.
const NARRATION_MAX: Duration = Duration::from_secs(30);
/// How much the hub may have said that was not told yet.
const REMARKS_MAX: usize = 256;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// End once everything was shown, in place of serving until Ctrl-C
    #[arg(long)]
    exit: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let (stage, remarks) = Stage::set()?;
    let daemon = Daemon::start(&stage.arguments())?;
    let shown = show(&stage, &daemon, remarks);
    let outcome = match shown {
        Ok(Some(outcome)) => {
            let signed = Signed::read(&daemon.url(), &stage.acts)?;
            out::print(&afterwards(&stage, &daemon, &signed))?;
            let outcome = broken(&signed.missing)?.unwrap_or(outcome);
            if arguments.exit {
                daemon.stop()?;
            } else {
                daemon.until_stopped()?;
            }
            Ok(outcome)
        }
        // Somebody has seen enough.
        Ok(None) => daemon.stop().map(|()| Outcome::Holds),
        Err(error) => Err(error),
    };
    stage.clear()?;
    outcome
}

/// What the demo plays on.
struct Stage {
    folder: TempDir,
    acts: Vec<Act>,
    hub: Hub,
    /// For the hub and the teller: the daemon has one of its own.
    runtime: Runtime,
}

impl Stage {
    /// Makes files, a hub that has them and tells what it does, an index and a config.
    fn set() -> anyhow::Result<(Self, mpsc::Receiver<Remark>)> {
        let folder = tempfile::Builder::new().prefix("hallmark-demo-").tempdir();
        let folder = folder.context("make a temporary folder")?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("start the runtime")?;
        let acts = acts()?;
        let (tell, remarks) = mpsc::channel(REMARKS_MAX);
        let hub = runtime.block_on(Hub::start(&acts, tell))?;
        let index = json!({ "models": acts.iter().map(Act::entry).collect::<Vec<_>>() });
        write(folder.path(), "index.json", &(serde_json::to_string_pretty(&index)? + "\n"))?;
        write(folder.path(), "card.json", &format!("{:#}\n", gate::card()))?;
        write(folder.path(), "model.json", &format!("{:#}\n", gate::model()))?;
        write(folder.path(), "hallmark.toml", &config(folder.path(), hub.url(), &acts))?;
        Ok((Self { folder, acts, hub, runtime }, remarks))
    }

    fn arguments(&self) -> serve::Arguments {
        let config = self.folder.path().join("hallmark.toml");
        serve::Arguments::on_free_port(Place::of(config, self.state()))
    }

    fn state(&self) -> std::path::PathBuf {
        self.folder.path().join("state")
    }

    /// Takes everything away.
    fn clear(self) -> anyhow::Result<()> {
        let place = self.folder.path().display().to_string();
        self.folder.close().with_context(|| format!("remove {place}"))
    }
}

fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}

fn config(folder: &Path, hub: &str, acts: &[Act]) -> String {
    let ids = acts.iter().map(|it| it.id).collect::<Vec<_>>();
    format!(
        "# Written by hallmark demo.\n\
         [catalog]\nindex = {index}\n\n\
         [hub]\nendpoint = {hub}\n\n\
         [deploy]\nmodels = {ids}\nretry_seconds_first = 1\n\n\
         # Every failure comes back to the daemon, so that its own retries can be seen.\n\
         [vault]\ntries_max = 0\nkeep_free_bytes = 0\n\n\
         [policy]\nlicenses = [\"Apache-2.0\", \"MIT\"]\n\n\
         # Models that rest on one dataset need an approval.\n\
         [policy.lineage]\nitem = {card}\nmodel = {model}\nrequire_label = \"trusted\"\n",
        card = json!(folder.join("card.json")),
        model = json!(folder.join("model.json")),
        index = json!(folder.join("index.json")),
        hub = json!(hub),
        ids = json!(ids),
    )
}

/// Tells what happens until every act has ended; nothing if a signal came before that.
fn show(
    stage: &Stage,
    daemon: &Daemon,
    mut remarks: mpsc::Receiver<Remark>,
) -> anyhow::Result<Option<Outcome>> {
    out::print(&opening(stage, daemon))?;
    let mut teller = Teller::new(&stage.acts, stage.state());
    let ended = stage.runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        tokio::select! {
            biased;
            _ = terminate.recv() => Ok::<_, anyhow::Error>(None),
            _ = interrupt.recv() => Ok(None),
            told = timeout(NARRATION_MAX, teller.tell(daemon.engine(), &mut remarks)) => match told {
                Ok(told) => told.map(Some),
                // What is missing is said below.
                Err(_) => Ok(Some(())),
            },
        }
    })?;
    if ended.is_none() {
        return Ok(None);
    }
    Ok(Some(broken(&teller.broken_promises())?.unwrap_or(Outcome::Holds)))
}

/// Says what is not as it should be; nothing if all is.
fn broken(promises: &[String]) -> anyhow::Result<Option<Outcome>> {
    for promise in promises {
        out::print(&format!("\nNot as promised: {promise}\n"))?;
    }
    Ok((!promises.is_empty()).then_some(Outcome::DoesNotHold))
}

fn opening(stage: &Stage, daemon: &Daemon) -> String {
    let mut text = format!(
        "The whole job on this machine, without a network:\n\n\
         \x20 a hub      {}  built in; it does not always behave\n\
         \x20 a catalog  {}  {}, all wanted here\n\
         \x20 a daemon   {}  fetches, proves, deploys, serves\n\n",
        stage.hub.url(),
        stage.folder.path().join("index.json").display(),
        out::counted(stage.acts.len() as u64, "model"),
        daemon.url(),
    );
    let width = acts::id_width(&stage.acts);
    let acts = stage.acts.iter().map(|it| format!("  {:width$}  {}\n", it.id, it.about));
    text.extend(acts);
    text + "\nWhat happens:\n\n"
}

/// Shows where everything stands now, and what to try.
fn afterwards(stage: &Stage, daemon: &Daemon, signed: &Signed) -> String {
    let world: &World = &daemon.engine().world();
    let table = Sheet::of_terminal().table(&Row::all(world), SystemClock.now());
    let url = daemon.url();
    let (good, digest) =
        stage.acts.first().map_or(("", String::new()), |it| (it.id, it.digest().to_string()));
    let place = stage.state();
    let provenance = signed.told(&stage.acts);
    let (log_key, event) = signed.clues();
    format!(
        "\nHow it stands now (hallmark status):\n\n{table}\n{provenance}\n\
         To open:\n\
         \x20 {url}/v1/models           the catalog, with each model's state on this host\n\
         \x20 {url}/v1/models/{good}/provenance\n\
         \x20 {url}/readyz\n\
         \x20 {url}/metrics\n\n\
         To try, in another terminal:\n\
         \x20 hallmark status --watch --state {state}\n\
         \x20 hallmark event prove {event} --state {state} > proof.json\n\
         \x20 hallmark event verify proof.json --log-key '{log_key}'\n\
         \x20 curl -r 0-63 {url}/v1/models/{good}/artifact | xxd | head\n\
         \x20 HF_ENDPOINT={url} hf download hallmark/{good}\n\
         \x20 HF_HUB_CACHE={state}/hf-cache HF_HUB_OFFLINE=1 hf download hallmark/{good}\n\
         \x20 nix-prefetch-url --type sha256 {url}/sha256/{digest} {digest}\n\n\
         Serving until Ctrl-C; then {folder} goes.\n",
        state = place.display(),
        folder = stage.folder.path().display(),
    )
}
