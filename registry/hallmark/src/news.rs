//! What happens, as it happens, for those who watch.
//!
//! - Each item has a number that grows; who comes back with the last one it saw gets what came after it, as long as
//!   that is still kept.
//! - Bounded twice: so many past items are kept, and a watcher that is further behind than that is let go.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use base::UnixSeconds;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::state::State;

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) number: u64,
    /// What kind of thing: `reload`, `model`, `progress`, `config`, `settled` for who waits after a sync.
    pub(crate) kind: &'static str,
    /// The rest, as JSON on one line.
    pub(crate) json: String,
}

/// What is to be told, written down.
#[derive(Debug)]
pub(crate) struct Draft {
    kind: &'static str,
    json: String,
}

impl Draft {
    /// Writes something down; nothing if that cannot be done.
    pub(crate) fn of(kind: &'static str, what: &impl Serialize) -> Option<Self> {
        let written = serde_json::to_string(what);
        let trouble =
            |error: &serde_json::Error| tracing::error!("An item of news could not be written: {error}");
        Some(Self { kind, json: written.inspect_err(trouble).ok()? })
    }
}

/// How a model stands from now on: an item of the kind `model`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ModelNews {
    pub(crate) id: String,
    /// How it stood before; none if it was not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<State>,
    pub(crate) state: State,
    #[serde(default)]
    pub(crate) why: Vec<String>,
    #[serde(default)]
    pub(crate) retry_at: Option<UnixSeconds>,
}

/// All that happened of late.
#[derive(Debug)]
pub(crate) struct News {
    /// Tells this run of the daemon from an earlier one: numbers begin anew with each.
    pub(crate) run: u64,
    kept_max: usize,
    past: Mutex<Past>,
    bell: broadcast::Sender<Arc<Item>>,
}

#[derive(Debug, Default)]
struct Past {
    last: u64,
    kept: VecDeque<Arc<Item>>,
}

/// What a watcher gets.
pub(crate) struct Watch {
    /// What it missed.
    pub(crate) missed: Vec<Arc<Item>>,
    /// Whether it missed more than that, which is no longer kept: it has to look at everything anew.
    pub(crate) lost: bool,
    /// What comes next.
    pub(crate) next: broadcast::Receiver<Arc<Item>>,
    /// The number of the last item before what comes next.
    pub(crate) last: u64,
}

impl News {
    pub(crate) fn new(run: u64, kept_max: usize) -> Self {
        let kept_max = kept_max.max(16);
        Self { run, kept_max, past: Mutex::default(), bell: broadcast::channel(kept_max).0 }
    }

    /// Tells everybody.
    pub(crate) fn tell(&self, kind: &'static str, what: &impl Serialize) {
        if let Some(draft) = Draft::of(kind, what) {
            self.spread(draft);
        }
    }

    /// Tells everybody what was written down.
    pub(crate) fn spread(&self, Draft { kind, json }: Draft) {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        past.last += 1;
        let item = Arc::new(Item { number: past.last, kind, json });
        if past.kept.len() == self.kept_max {
            past.kept.pop_front();
        }
        past.kept.push_back(Arc::clone(&item));
        // Sent under the lock, so that a watcher misses nothing between the past and what comes next. It is no error
        // if nobody watches.
        drop(self.bell.send(item));
    }

    /// Begins to watch, after the item that was seen last if there is one: its run and its number.
    pub(crate) fn watch(&self, seen: Option<(u64, u64)>) -> Watch {
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.bell.subscribe();
        let last = past.last;
        let Some((run, number)) = seen else { return Watch { missed: Vec::new(), lost: false, next, last } };
        let oldest = past.kept.front().map_or(last + 1, |it| it.number);
        let is_gone = run != self.run || number > last || number + 1 < oldest;
        let from = if is_gone { last } else { number };
        let missed = past.kept.iter().filter(|it| it.number > from).cloned().collect();
        Watch { missed, lost: is_gone, next, last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(watch: &Watch) -> Vec<u64> {
        watch.missed.iter().map(|it| it.number).collect()
    }

    #[test]
    fn who_comes_back_gets_what_it_missed_as_long_as_that_is_kept() {
        let news = News::new(7, 16);
        (1..=20).for_each(|it| news.tell("model", &it));
        assert_eq!(numbers(&news.watch(Some((7, 18)))), [19, 20]);
        assert_eq!(numbers(&news.watch(Some((7, 20)))), [0_u64; 0]);
        assert_eq!(numbers(&news.watch(None)), [0_u64; 0]);
        // 5 to 20 are kept, so who saw 4 lost nothing and who saw 3 did.
        assert!(!news.watch(Some((7, 4))).lost);
        assert!(news.watch(Some((7, 3))).lost);
        assert!(news.watch(Some((7, 21))).lost, "a number that never was");
        assert!(news.watch(Some((6, 20))).lost, "another run's number");
    }

    #[tokio::test]
    async fn what_comes_next_follows_what_was_missed_without_a_gap() {
        let news = News::new(1, 16);
        news.tell("model", &1);
        let mut watch = news.watch(Some((1, 0)));
        news.tell("model", &2);
        assert_eq!((numbers(&watch), watch.last), (vec![1], 1));
        assert_eq!(watch.next.recv().await.unwrap().number, 2);
    }
}
