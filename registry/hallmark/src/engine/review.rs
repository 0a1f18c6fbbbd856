//! The gate's answers, asked for again when the log has grown.

use std::{collections::BTreeSet, sync::Arc};

use base::ModelId;

use super::{Engine, work::Tools};

/// Whether the gate is looking, and whether the log has grown meanwhile.
#[derive(Debug, Default)]
pub(super) struct Reviews {
    is_looking: bool,
    again: bool,
}

impl Engine {
    /// Lets the gate look at every model that is asked for. While it looks, more growth means one more look.
    pub(super) fn review(&mut self) {
        let Some(gate) = self.tools.gate.clone() else { return };
        if std::mem::replace(&mut self.reviews.is_looking, true) {
            self.reviews.again = true;
            return;
        }
        let models = self.world.models.values().filter(|it| it.wanted);
        let models = models.filter_map(|it| it.order.as_ref().map(|it| Arc::clone(&it.listed))).collect();
        self.jobs.push(Tools::review(gate, models));
    }

    /// Looks at the models for which the gate says something else now.
    pub(super) fn take_review(&mut self, changed: &BTreeSet<ModelId>) {
        self.reviews.is_looking = false;
        if !changed.is_empty() {
            self.try_again(changed);
        }
        if std::mem::take(&mut self.reviews.again) {
            self.review();
        }
    }
}
