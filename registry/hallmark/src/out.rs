//! Writing to the terminal: the one place that does.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::Context as _;
use tracing_subscriber::filter::LevelFilter;

/// Sends what there is to say to standard error, down to a level, or what `RUST_LOG` asks for.
pub(crate) fn start_log(level: LevelFilter) {
    let filter =
        tracing_subscriber::EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    log.with_ansi(io::stderr().is_terminal()).without_time().init();
}

/// Writes to standard output. A reader who has seen enough and closed the pipe is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("write to standard output"),
    }
}

/// Says why hallmark could not do its work, with every cause.
pub(crate) fn failure(error: &anyhow::Error) {
    let lines = std::iter::once(format!("hallmark: {error}"));
    let lines = lines.chain(error.chain().skip(1).map(|cause| format!("  because: {cause}")));
    // If standard error is gone too, nobody is left to tell.
    let _ = writeln!(io::stderr(), "{}", lines.collect::<Vec<_>>().join("\n"));
}

/// Mentions something beside the work.
pub(crate) fn note(text: &str) {
    // If standard error is gone, so is whoever would have read it.
    let _ = writeln!(io::stderr(), "note: {text}");
}

/// Writes a count with its noun: `1 object`, `2 objects`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Says whether standard output is a terminal that wants colour.
pub(crate) fn in_colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
}

/// What a word on the terminal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Doubtful,
    Busy,
    Quiet,
    /// What is said matters more than what surrounds it.
    Strong,
}

/// Colours a text. Ask [`in_colour`] first.
pub(crate) fn paint(tone: Tone, text: &str) -> String {
    let style = console::Style::new().force_styling(true);
    let style = match tone {
        Tone::Good => style.green(),
        Tone::Bad => style.red(),
        Tone::Doubtful => style.yellow(),
        Tone::Busy => style.cyan(),
        Tone::Quiet => style.dim(),
        Tone::Strong => style.bold(),
    };
    style.apply_to(text).to_string()
}
