//! What the daemon tells as it happens: server-sent events, of which it sends the plain kind only.

use anyhow::Context as _;
use serde::de::DeserializeOwned;

use super::Lines;

/// Something that happened.
#[derive(Debug, Default)]
pub(crate) struct Event {
    /// What kind of thing.
    pub(crate) kind: String,
    id: String,
    data: String,
}

/// Events as they come.
pub(crate) struct Events {
    lines: Lines,
    last: String,
}

impl Events {
    pub(super) fn new(lines: Lines) -> Self {
        Self { lines, last: String::new() }
    }

    /// Returns where to go on after the last event.
    pub(crate) fn last(&self) -> &str {
        &self.last
    }

    /// Returns the next event; nothing when the daemon has ended, or has let go of who reads too slowly.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        let mut event = Event::default();
        while let Some(line) = self.lines.next().await? {
            match line.split_once(':') {
                // A blank line ends an event; a comment alone is only a sign of life.
                None if line.is_empty() && !event.kind.is_empty() => {
                    self.last.clone_from(&event.id);
                    return Ok(Some(event));
                }
                Some(("event", value)) => value.trim_start().clone_into(&mut event.kind),
                Some(("id", value)) => value.trim_start().clone_into(&mut event.id),
                Some(("data", value)) => event.data += value.trim_start(),
                _ => {}
            }
        }
        Ok(None)
    }
}

impl Event {
    /// Reads what it says.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        let what = || format!("read the daemon's news of the kind {}", self.kind);
        serde_json::from_str(&self.data).with_context(what)
    }
}
