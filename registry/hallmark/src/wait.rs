//! `hallmark wait`: comes back once models are deployed on this host, for units and scripts that need them.
//!
//! - The daemon tells what happens; nothing is asked again and again. Only while no daemon answers is its socket tried,
//!   at growing pauses.
//! - A daemon that was started again is asked anew: what the one before it said counts no more.
//! - What nothing but a person can change is an answer. It ends the wait, unless with `--keep-waiting`.

mod standing;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use tokio::time::timeout_at;

use self::standing::{Prospect, Standing, prospect, telling};
use crate::{
    Outcome, out,
    remote::{Events, Found, Remote},
    state::State,
    status::Row,
};

/// How long a daemon that was met may be away before it is given up: longer than a restart takes.
const AWAY_MAX: Duration = Duration::from_mins(1);
/// How long to leave alone a daemon that does not answer: at first, and at most.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
const NOTHING_WANTED: &str =
    "this host wants no model: name models, or list them under [deploy] models in the config";

/// Waits until models are deployed on this host.
///
/// The daemon tells when; while it is restarted, this waits for it too. Exit codes: 0 when all are deployed at once; 1
/// when one cannot be until somebody changes the index, the config or the policy (it is not in the index, a stub,
/// quarantined, held, or nobody asks for it), or when the time is over; 2 when no daemon could be asked.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The models to wait for; without any, all that this host wants now
    ids: Vec<String>,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Wait on where somebody has to change something, or to start the daemon
    #[arg(long)]
    keep_waiting: bool,
    /// One JSON object a line: how each model stands, at first and when it changes
    #[arg(long)]
    json: bool,
    /// The folder for all that hallmark keeps
    #[arg(long, value_name = "DIR", default_value = ".hallmark")]
    state: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let state = std::path::absolute(&arguments.state).context("find the state folder")?;
    let mut vigil = Vigil::begin(arguments);
    loop {
        let trouble = match Remote::on(&state)? {
            Some(daemon) => match daemon.converse(vigil.keep(&daemon)) {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            },
            None => no_daemon(&state),
        };
        if vigil.left() == Some(Duration::ZERO) {
            return Ok(vigil.give_up());
        }
        if !arguments.keep_waiting && vigil.is_without_daemon() {
            return Err(trouble);
        }
        vigil.sit_out(&trouble);
    }
}

fn no_daemon(state: &Path) -> anyhow::Error {
    anyhow::anyhow!(
        "no daemon runs on {}, so nothing comes by itself: start `hallmark serve`",
        state.display()
    )
}

/// One wait, through as many daemons as it takes.
struct Vigil<'a> {
    arguments: &'a Arguments,
    deadline: Option<Instant>,
    standing: Standing,
    /// When the daemon said something last; nothing if it was never met.
    heard_at: Option<Instant>,
    pause: Duration,
    /// The trouble that was mentioned last.
    mentioned: String,
}

impl<'a> Vigil<'a> {
    fn begin(arguments: &'a Arguments) -> Self {
        let after = |seconds| Instant::now().checked_add(Duration::from_secs(seconds));
        Self {
            arguments,
            deadline: arguments.timeout.and_then(after),
            standing: Standing::default(),
            heard_at: None,
            pause: PAUSE_FIRST,
            mentioned: String::new(),
        }
    }

    /// Waits with one daemon, until it is decided or the time is over. An error says why this daemon is of no use.
    async fn keep(&mut self, daemon: &Remote) -> anyhow::Result<Outcome> {
        // Watched before it is asked, so that no change is missed.
        let mut events = daemon.watch(None).await?;
        for row in self.look(daemon).await? {
            self.standing.add(&row.id);
            self.take(row)?;
        }
        loop {
            (self.heard_at, self.pause) = (Some(Instant::now()), PAUSE_FIRST);
            self.mentioned.clear();
            match self.standing.prospect() {
                Prospect::Deployed => return Ok(Outcome::Holds),
                Prospect::Hopeless if !self.arguments.keep_waiting => return Ok(Outcome::DoesNotHold),
                Prospect::Hopeless | Prospect::Open => {}
            }
            let change = match self.deadline {
                None => next_change(&mut events).await,
                Some(deadline) => match timeout_at(deadline.into(), next_change(&mut events)).await {
                    Ok(change) => change,
                    Err(_) => return Ok(self.give_up()),
                },
            };
            self.take(change?)?;
        }
    }

    /// Asks how the models stand: those that were named, or else what the host wanted when that was asked first.
    async fn look(&self, daemon: &Remote) -> anyhow::Result<Vec<Row>> {
        let named = self.arguments.ids.iter().map(String::as_str).chain(self.standing.ids());
        let named = named.collect::<BTreeSet<_>>();
        let mut rows = Vec::with_capacity(named.len());
        for id in &named {
            rows.push(match daemon.find_model(id).await? {
                Found::Model(row) => *row,
                Found::Nothing(why) => Row { why: vec![why], ..Row::bare((*id).to_owned(), State::Missing) },
            });
        }
        if named.is_empty() {
            rows.extend(daemon.rows().await?.into_iter().filter(|it| it.wanted));
            if rows.is_empty() {
                bail!(NOTHING_WANTED);
            }
        }
        Ok(rows)
    }

    /// Takes note of how a model stands, and says so if it is waited for and this is news.
    fn take(&mut self, row: Row) -> anyhow::Result<()> {
        let Some(row) = self.standing.take(row) else { return Ok(()) };
        if self.arguments.json {
            let said = json!({ "event": "model", "model": row.id, "state": row.state, "why": row.why });
            return out::print(&format!("{said}\n"));
        }
        let text = telling(row);
        match prospect(row) {
            Prospect::Deployed => out::print(&format!("{text}\n")),
            Prospect::Hopeless if !self.arguments.keep_waiting => out::print(&format!("{text}\n")),
            Prospect::Hopeless | Prospect::Open => {
                out::note(&text);
                Ok(())
            }
        }
    }

    /// Says how much time is left, if it is bounded.
    fn left(&self) -> Option<Duration> {
        self.deadline.map(|it| it.saturating_duration_since(Instant::now()))
    }

    fn is_without_daemon(&self) -> bool {
        self.heard_at.is_none_or(|it| it.elapsed() > AWAY_MAX)
    }

    /// Leaves the daemon alone for a while, each time for longer.
    fn sit_out(&mut self, trouble: &anyhow::Error) {
        let text = format!("{trouble:#}");
        if text != self.mentioned {
            out::note(&format!("{text}; still waiting"));
            self.mentioned = text;
        }
        sleep(self.left().map_or(self.pause, |it| it.min(self.pause)));
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    fn give_up(&self) -> Outcome {
        let open = self.standing.open();
        let seconds = self.arguments.timeout.unwrap_or_default();
        out::note(&format!("gave up after {seconds} s, waiting for {}", open.join(", ")));
        Outcome::DoesNotHold
    }
}

/// Returns how the next model stands that changes.
async fn next_change(events: &mut Events) -> anyhow::Result<Row> {
    loop {
        let event = events.next().await?.context("the daemon has ended, or its news were read too slowly")?;
        if event.kind == "model" {
            return event.read();
        }
    }
}
