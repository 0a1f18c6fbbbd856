//! What those who watch, and who read the log, hear of the index and of transfers.

use base::ModelId;
use catalog::{
    Index, Report,
    follow::{Look, Snapshot},
};
use serde_json::json;

use super::Engine;
use crate::out;

impl Engine {
    pub(super) fn tell_reload(
        &mut self,
        after: &Snapshot<Index, Report>,
        changes: Option<&catalog::Changes>,
    ) {
        let place = &self.world.location;
        let (outcome, error) = match &after.look {
            Look::Good(report) => {
                let news = changes.map_or_else(String::new, |it| {
                    format!(
                        ": {} added, {} removed, {} revised",
                        it.added.len(),
                        it.removed.len(),
                        it.revised.len()
                    )
                });
                tracing::info!(
                    "{place} is in force with {}{news}",
                    out::counted(report.models as u64, "model")
                );
                ("good", None)
            }
            Look::Bad { report, .. } => {
                let first = report.flaws.first().map_or_else(String::new, |it| {
                    format!("; the first at line {}: {}", it.place.line, it.message)
                });
                let text = format!(
                    "{place} does not hold ({}{first}); {}; run `hallmark validate` to see all",
                    out::counted((report.errors.max(1)) as u64, "error"),
                    if after.good.is_some() {
                        "the last good one stays in force"
                    } else {
                        "nothing is in force yet"
                    },
                );
                tracing::warn!("{text}");
                ("bad", Some(text))
            }
            Look::Failed(error) => {
                let text = crate::host::with_causes(error.as_ref());
                tracing::warn!(
                    "{text}; {}",
                    if after.good.is_some() {
                        "the last good index stays in force"
                    } else {
                        "nothing is in force yet"
                    }
                );
                ("unreadable", Some(text))
            }
        };
        self.metrics.reload(outcome);
        let digest = after.good.as_ref().map(|it| it.digest.to_string());
        self.tell(
            "reload",
            &json!({ "outcome": outcome, "error": error, "digest": digest, "changes": changes.map(summary) }),
        );
    }

    pub(super) fn tell_progress(&mut self) {
        for (id, told) in &mut self.fetching {
            let Some(model) = self.world.models.get(id) else { continue };
            // Those that wait for their turn have nothing to tell.
            let Some((bytes, size_bytes)) = model.progress().filter(|it| it.0 != *told) else { continue };
            *told = bytes;
            let phases = model.transfers.iter().filter(|it| it.bytes() < it.size_bytes);
            let phase = phases.map(|it| it.phase()).find(|it| !it.is_empty());
            self.news.tell(
                "progress",
                &json!({ "id": id, "bytes": bytes, "size_bytes": size_bytes, "phase": phase }),
            );
        }
    }
}

/// Tells what changed, by id; what exactly, the catalog's own answers say.
fn summary(changes: &catalog::Changes) -> serde_json::Value {
    let revised = changes.revised.iter().map(|it| &it.id).collect::<Vec<_>>();
    let few = |ids: Vec<&ModelId>| (ids.len(), ids.into_iter().take(100).cloned().collect::<Vec<_>>());
    let (added, removed, revised) =
        (few(changes.added.iter().collect()), few(changes.removed.iter().collect()), few(revised));
    json!({
        "added": added.1, "removed": removed.1, "revised": revised.1,
        "counts": { "added": added.0, "removed": removed.0, "revised": revised.0 }
    })
}
