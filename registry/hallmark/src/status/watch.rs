//! `hallmark status --watch`: the tables, drawn again whenever something happens. Without a terminal to draw on, one
//! line for each change.

use std::time::Duration;

use anyhow::Context as _;
use base::{Clock as _, SystemClock};
use console::Term;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{sleep, timeout},
};

use super::{Row, Sheet, again, below, one_line};
use crate::{
    news::ModelNews,
    out,
    remote::{Events, Remote},
    state::State,
};

/// What happens in so short a time is drawn once.
const DRAW_PAUSE: Duration = Duration::from_millis(200);
/// How often the table is drawn again while it shows how long something still takes.
const TICK: Duration = Duration::from_secs(1);
/// How often it is drawn again while nothing happens: what ails the daemon makes no news.
const LOOK_EVERY: Duration = Duration::from_secs(10);

pub(super) fn run(daemon: &Remote) -> anyhow::Result<()> {
    daemon.converse(async {
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let term = Term::stdout();
        let shown = async { if term.is_term() { draw(daemon, &term).await } else { lines(daemon).await } };
        tokio::select! {
            biased;
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
            shown = shown => shown,
        }
    })
}

async fn draw(daemon: &Remote, term: &Term) -> anyhow::Result<()> {
    let mut events = daemon.watch(None).await?;
    loop {
        let mut rows = daemon.rows().await?;
        let (relays, ailments) = (daemon.relays().await?, daemon.ailments().await?);
        let now = SystemClock.now();
        let below = below(&relays.relays, &relays.follows, &ailments, now);
        // Relays make no news: where there are any, how they stand is asked for again and again.
        let moves = !below.is_empty() || rows.iter().any(|it| it.progress.is_some() || it.retry_at.is_some());
        let height = usize::from(term.size().0).saturating_sub(3 + below.lines().count()).max(1);
        let left_out = fit(&mut rows, height);
        let sheet = Sheet { why_lines_max: 1, ..Sheet::of_terminal() };
        let mut text = sheet.table(&rows, now);
        if left_out > 0 {
            text = format!("{text}and {left_out} more: hallmark status\n");
        }
        text += &below;
        term.clear_screen().context("clear the terminal")?;
        out::print(&text)?;
        match timeout(if moves { TICK } else { LOOK_EVERY }, next(&mut events)).await {
            Ok(happened) => happened?,
            Err(_) => continue,
        }
        sleep(DRAW_PAUSE).await;
        // All that has come by now is in the next look.
        while let Ok(happened) = timeout(Duration::ZERO, next(&mut events)).await {
            happened?;
        }
    }
}

/// Leaves out what does not fit: first what nobody asks for. Returns how many that are.
fn fit(rows: &mut Vec<Row>, height: usize) -> usize {
    let all = rows.len();
    if all > height {
        rows.retain(|it| it.wanted || it.state != State::Available);
        rows.truncate(height);
    }
    all - rows.len()
}

async fn next(events: &mut Events) -> anyhow::Result<()> {
    events.next().await?.context("the daemon has ended, or this terminal was too slow for it").map(drop)
}

async fn lines(daemon: &Remote) -> anyhow::Result<()> {
    let mut events = daemon.watch(None).await?;
    let now = SystemClock.now();
    out::print(&Sheet::of_terminal().table(&daemon.rows().await?, now))?;
    let (relays, ailments) = (daemon.relays().await?, daemon.ailments().await?);
    out::print(&below(&relays.relays, &relays.follows, &ailments, now))?;
    loop {
        let event = events.next().await?.context("the daemon has ended, or its news were read too slowly")?;
        if event.kind != "model" {
            continue;
        }
        let news: ModelNews = event.read()?;
        let again = news.retry_at.map(|at| again(at, SystemClock.now()));
        let whys = news.why.iter().map(|it| one_line(it)).chain(again).collect::<Vec<_>>().join("; ");
        let why = if whys.is_empty() { String::new() } else { format!(": {whys}") };
        out::print(&format!("{} is {}{why}\n", news.id, news.state))?;
    }
}
