//! Ends that somebody waits for. One is told once nothing of the model's work is left, its place in the repositories
//! that it shares included, and once the world says so too.

use std::collections::BTreeMap;

use base::ModelId;

use crate::delivery::End;

/// Models that somebody waits for.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    models: BTreeMap<ModelId, Waiting>,
    /// What can be told with the next world.
    told: Vec<(ModelId, End)>,
}

#[derive(Debug, Default)]
struct Waiting {
    end: Option<End>,
    /// How many repositories still have to be shown on disk.
    publishing: usize,
}

impl Awaited {
    /// Begins to wait for a model. Work that runs already counts.
    pub(super) fn add(&mut self, id: ModelId) {
        // An end that was taken is about an earlier wish, but so is the work that is left of it.
        self.models.entry(id).or_default().end = None;
    }

    /// Takes a model's end, and how many repositories still have to be shown.
    pub(super) fn ended(&mut self, id: &ModelId, end: &End, publishing: usize) {
        if let Some(waiting) = self.models.get_mut(id) {
            waiting.end = Some(end.clone());
            waiting.publishing = publishing;
            self.settle(id);
        }
    }

    /// Takes that a repository was shown for a model, or why not.
    pub(super) fn published(&mut self, id: &ModelId, hidden: Option<&str>) {
        let Some(waiting) = self.models.get_mut(id) else { return };
        waiting.publishing = waiting.publishing.saturating_sub(1);
        if let Some(why) = hidden.filter(|_| waiting.end.is_some()) {
            waiting.end = Some(End::Failed { why: format!("deployed, but {why}"), is_final: false });
        }
        self.settle(id);
    }

    /// Returns what can be told now.
    pub(super) fn take(&mut self) -> Vec<(ModelId, End)> {
        std::mem::take(&mut self.told)
    }

    fn settle(&mut self, id: &ModelId) {
        if self.models.get(id).is_some_and(|it| it.end.is_some() && it.publishing == 0) {
            let waited = self.models.remove(id).and_then(|it| it.end);
            self.told.extend(waited.map(|end| (id.clone(), end)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_once_the_last_repository_is_shown_and_only_to_who_waits() {
        let [one, other] = ["ajna-one-v1", "ajna-other-v1"].map(|it| ModelId::parse(it).unwrap());
        let end = End::Stub { why: "a stub".to_owned() };
        let mut awaited = Awaited::default();
        awaited.add(one.clone());
        awaited.ended(&other, &end, 0);
        awaited.ended(&one, &end, 2);
        awaited.published(&one, None);
        assert!(awaited.take().is_empty());
        awaited.published(&one, Some("the place is taken"));
        let told = awaited.take();
        assert!(matches!(&told[..], [(id, End::Failed { why, .. })] if *id == one && why.contains("taken")));
        awaited.ended(&one, &end, 0);
        assert!(awaited.take().is_empty(), "nobody waits any more");
    }
}
