//! What is here already: one look at the disk for each file, nothing is opened.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use base::Sha256;
use catalog::Index;
use vault::{Loose, Want};

use super::fetch::Fetched;
use crate::{
    host::Host,
    order::{Choice, Order, Places},
    records::Event,
};

/// Sorts files into those that are there and those to fetch: one look at the disk for each.
pub(crate) fn look_on_shelf(
    host: &Host,
    orders: &[Order],
) -> anyhow::Result<(BTreeMap<Sha256, Fetched>, BTreeMap<Sha256, Want>)> {
    let mut fetched = BTreeMap::new();
    let mut wants = BTreeMap::new();
    for (order, want) in orders.iter().flat_map(|order| order.files.iter().map(move |it| (order, &it.want))) {
        let object = host.shelf.object_of_size(&want.digest, want.size_bytes).context("look on the shelf")?;
        if let Some(object) = object {
            fetched.insert(want.digest, Fetched::Stands(object));
        } else if let Some(loose) = waived(host, order, &want.digest)? {
            fetched.insert(want.digest, Fetched::StandsUnproven(loose));
        } else {
            wants.insert(want.digest, want.clone());
        }
    }
    // One model's record may know what another one's does not.
    wants.retain(|digest, _| !fetched.contains_key(digest));
    Ok((fetched, wants))
}

/// Returns the models that were deployed before and are not asked for now: they may share a repository with one that is.
pub(crate) fn deployed_besides(
    host: &Host,
    index: &Index,
    asked: &[Choice<'_>],
    places: &Places,
) -> anyhow::Result<Vec<Order>> {
    let asked = asked.iter().filter_map(|it| match it {
        Choice::Model(listed) => Some(&listed.entry.id),
        _ => None,
    });
    let asked = asked.collect::<BTreeSet<_>>();
    let besides = index.entries().filter(|it| !it.is_stub && !asked.contains(&it.entry.id));
    let mut found = Vec::new();
    for listed in besides {
        if host.store.path(&listed.entry.id).try_exists().context("look for a deployed model")? {
            // One that cannot be ordered any more is not shown under a repository either.
            found.extend(Order::of(listed, places).ok());
        }
    }
    Ok(found)
}

/// Returns what an earlier sync took in place of a file, if the operator still waives the check.
fn waived(host: &Host, order: &Order, promised: &Sha256) -> anyhow::Result<Option<Loose>> {
    if host.config.vault.verify_checksums {
        return Ok(None);
    }
    let record = host.records.read(&order.id, order.digest)?;
    let Some(Event::Deployed { waived, .. }) = record.map(|it| it.event) else { return Ok(None) };
    let Some(found) = waived.get(promised) else { return Ok(None) };
    host.shelf.loose(found).context("look among the unverified files")
}
