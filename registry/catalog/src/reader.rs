//! Reads one version of an index after another.

use crate::{
    check::{Checked, check_again},
    flaw::Report,
    follow::Reader,
    index::Index,
    schema::Contract,
};

/// Returns what [`crate::watch`] and [`crate::git`] read an index with. It remembers the last version that held, so that
/// the next one costs what changed.
pub fn reader(contract: Contract) -> Reader<Index, Report> {
    let mut last_good = None;
    Box::new(move |found| {
        let checked = check_again(found, &contract, last_good.as_ref());
        let Checked { index, report } = &checked;
        let read = (index.clone(), report.clone());
        if index.is_some() {
            last_good = Some(checked);
        }
        read
    })
}
