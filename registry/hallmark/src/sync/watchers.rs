//! What a person, or a program, sees while files come.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use vault::{Phase, Progress, Want};

use super::fetch::{Fetched, Shelved};

/// How much of a large file comes between two lines about it, where there is no terminal to draw on.
const LINE_SHARE: u64 = 10;

/// How to show what happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    /// Bars that are drawn again and again.
    Bars,
    /// A line now and then.
    Lines,
    /// A JSON object a line, on standard output.
    Json,
}

impl Style {
    pub(crate) fn of_terminal() -> Self {
        if std::io::stderr().is_terminal() { Self::Bars } else { Self::Lines }
    }
}

/// Watches all files of a sync.
pub(crate) struct Watchers {
    style: Style,
    bars: MultiProgress,
}

impl Watchers {
    pub(crate) fn new(style: Style, files: usize) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        if matches!(style, Style::Lines) {
            say(&format!("{files} file{} to fetch", if files == 1 { "" } else { "s" }));
        }
        Self { style, bars }
    }

    /// Returns the watcher of one file.
    pub(crate) fn file(&self, want: &Want) -> Arc<Watcher> {
        let bar = match self.style {
            Style::Bars => self.bars.add(bar(&want.name, want.size_bytes)),
            Style::Lines | Style::Json => ProgressBar::hidden(),
        };
        bar.enable_steady_tick(Duration::from_millis(200));
        Arc::new(Watcher {
            style: self.style,
            name: want.name.clone(),
            size_bytes: want.size_bytes,
            bar,
            said_bytes: AtomicU64::new(0),
            source: Mutex::new(String::new()),
        })
    }
}

fn bar(name: &str, size_bytes: u64) -> ProgressBar {
    let template = "{prefix:.bold} {bar:24.green/dim} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}";
    let bar = ProgressBar::new(size_bytes).with_prefix(name.to_owned());
    // The template is a constant; should indicatif ever refuse it, its own style serves.
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Watches one file.
pub(crate) struct Watcher {
    style: Style,
    name: String,
    size_bytes: u64,
    bar: ProgressBar,
    said_bytes: AtomicU64,
    source: Mutex<String>,
}

impl Watcher {
    /// Takes note of how it ended.
    pub(crate) fn ended(&self, fetched: &Fetched) {
        let (word, why) = match fetched {
            Fetched::Stands(_) | Fetched::StandsUnproven(_) => ("there", None),
            Fetched::Came(bytes) if matches!(bytes.place, Shelved::Unproven(_)) => ("unverified", None),
            Fetched::Came(_) => ("verified", None),
            Fetched::Failed { why, .. } => ("failed", Some(why)),
            Fetched::Wrong { why } => ("quarantined", Some(why)),
        };
        match self.style {
            // The result of the whole model says why.
            Style::Bars => self.bar.finish_and_clear(),
            Style::Lines => say(&format!("{}: {word}", self.name)),
            Style::Json => tell(&json!({ "event": "file", "file": self.name, "outcome": word, "why": why })),
        }
    }
}

impl Progress for Watcher {
    fn phase(&self, phase: &Phase) {
        let (word, text) = match phase {
            Phase::Resolving { source } => ("resolving", format!("asking {source}")),
            Phase::Fetching { source } => ("fetching", format!("from {source}")),
            Phase::Waiting { pause, why } => {
                ("waiting", format!("waiting {:.1} s: {why}", pause.as_secs_f32()))
            }
            Phase::Verifying => ("verifying", "verifying".to_owned()),
        };
        // Many ranges of one file say the same; it is news once.
        let mut said = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        if *said == text {
            return;
        }
        said.clone_from(&text);
        drop(said);
        match self.style {
            Style::Bars => self.bar.set_message(text),
            Style::Lines if matches!(phase, Phase::Fetching { .. } | Phase::Waiting { .. }) => {
                say(&format!("{}: {text}", self.name));
            }
            Style::Lines => {}
            Style::Json => tell(&json!({ "event": "phase", "file": self.name, "phase": word, "text": text })),
        }
    }

    fn reached(&self, bytes: u64) {
        self.bar.set_position(bytes);
        let step = (self.size_bytes / LINE_SHARE).max(64 << 20);
        let said = self.said_bytes.load(Ordering::Relaxed);
        if matches!(self.style, Style::Bars) || bytes < said.saturating_add(step) {
            return;
        }
        // Of several ranges that get here at once, one speaks.
        if self.said_bytes.compare_exchange(said, bytes, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        match self.style {
            Style::Bars => {}
            Style::Lines => {
                say(&format!("{}: {} of {}", self.name, HumanBytes(bytes), HumanBytes(self.size_bytes)));
            }
            Style::Json => tell(&json!({
                "event": "progress", "file": self.name, "bytes": bytes, "size_bytes": self.size_bytes
            })),
        }
    }
}

/// Watches one model that a daemon fetches.
pub(super) struct ModelWatcher {
    style: Style,
    id: String,
    bar: ProgressBar,
    said: String,
    said_bytes: u64,
}

impl ModelWatcher {
    pub(crate) fn new(style: Style, bars: &MultiProgress, id: String) -> Self {
        let bar = match style {
            Style::Bars => bars.add(bar(&id, 0)),
            Style::Lines | Style::Json => ProgressBar::hidden(),
        };
        Self { style, id, bar, said: String::new(), said_bytes: 0 }
    }

    /// Takes note of how far it is.
    pub(super) fn reached(&mut self, bytes: u64, size_bytes: u64, phase: Option<&str>) {
        self.bar.set_length(size_bytes);
        self.bar.set_position(bytes);
        if let Some(phase) = phase.filter(|it| *it != self.said) {
            phase.clone_into(&mut self.said);
            match self.style {
                Style::Bars => self.bar.set_message(phase.to_owned()),
                Style::Lines => say(&format!("{}: {phase}", self.id)),
                Style::Json => tell(&json!({ "event": "phase", "model": self.id, "text": phase })),
            }
        }
        let step = (size_bytes / LINE_SHARE).max(64 << 20);
        if bytes < self.said_bytes.saturating_add(step) {
            return;
        }
        self.said_bytes = bytes;
        match self.style {
            Style::Bars => {}
            Style::Lines => {
                say(&format!("{}: {} of {}", self.id, HumanBytes(bytes), HumanBytes(size_bytes)));
            }
            Style::Json => tell(&json!({
                "event": "progress", "model": self.id, "bytes": bytes, "size_bytes": size_bytes
            })),
        }
    }

    /// Takes note of its end; the result says which.
    pub(crate) fn ended(&self) {
        self.bar.finish_and_clear();
    }
}

/// Progress is a courtesy: if nobody reads it, the work goes on.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn tell(event: &serde_json::Value) {
    let _ = writeln!(std::io::stdout(), "{event}");
}
