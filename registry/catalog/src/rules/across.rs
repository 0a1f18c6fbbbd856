//! Rules that need all entries: an id stands once, and one digest has one size.

use std::{borrow::Cow, collections::HashMap};

use super::Parts;
use crate::{document::Node, flaw::Flaw};

/// What has been seen so far.
///
/// Flaws come in the order of the file, so nothing here depends on the order of the maps.
#[derive(Default)]
pub(crate) struct Across<'d> {
    ids: HashMap<Cow<'d, str>, Node<'d>>,
    sizes: HashMap<Cow<'d, str>, (&'d str, Node<'d>)>,
}

impl<'d> Across<'d> {
    /// Makes room for so many entries.
    pub(crate) fn with_capacity(entries: usize) -> Self {
        Self { ids: HashMap::with_capacity(entries), sizes: HashMap::with_capacity(entries) }
    }

    /// Looks at the next entry.
    pub(crate) fn check(&mut self, parts: &Parts<'d>, flaws: &mut Vec<Flaw>) {
        if let Some((id, node)) = parts.id.and_then(|node| Some((node.as_str()?, node))) {
            match self.ids.get(&id) {
                Some(first) => flaws.push(
                    Flaw::error("id-unique", node, format!("two entries have the id '{id}'"))
                        .see(*first, "the first one")
                        .help("give one of them another id, or remove it"),
                ),
                None => {
                    self.ids.insert(id, node);
                }
            }
        }
        for artifact in parts.artifact.files() {
            let Some((digest, node)) = artifact.sha256.and_then(|node| Some((node.as_str()?, node))) else {
                continue;
            };
            let Some(size) = artifact.size_bytes.and_then(Node::as_number) else { continue };
            // All stubs share the zero digest, whatever size they claim.
            if digest.bytes().all(|it| it == b'0') {
                continue;
            }
            let (known, first) = *self.sizes.entry(digest).or_insert((size, node));
            if known != size && known.parse::<f64>().ok() != size.parse::<f64>().ok() {
                let message = format!("this digest has {size} bytes here and {known} bytes elsewhere");
                let flaw = Flaw::error("digest-size", node, message).see(first, format!("{known} bytes"));
                flaws.push(
                    flaw.help("the same bytes have one size: compute both again with sha256sum and stat"),
                );
            }
        }
    }
}
