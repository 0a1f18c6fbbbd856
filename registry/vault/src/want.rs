//! What to fetch, and what it must turn out to be.

use base::Sha256;

use crate::source::Source;

/// One file that somebody wants, known by the digest and the size that the catalog promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The promised digest: what the bytes must turn out to be.
    pub digest: Sha256,
    /// The promised size.
    pub size_bytes: u64,
    /// A name for messages, such as `ajna-insight-v2/model.safetensors`. Decides nothing.
    pub name: String,
    /// Where the bytes may be found, best place first.
    pub sources: Vec<Source>,
}
