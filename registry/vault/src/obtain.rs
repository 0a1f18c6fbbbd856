//! Fetch and verify until the bytes are right or the sources are used up.

use std::sync::Arc;

use crate::{
    fetch::{Downloader, FetchError, SourceFailure},
    judge::{Try, Verdict, judge},
    partial::Partials,
    progress::Progress,
    verify::{Refused, Verified},
    want::Want,
};

/// Why there are no verified bytes.
#[derive(Debug, thiserror::Error)]
pub enum ObtainError {
    /// The bytes did not come.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Bytes came, and they were wrong. Quarantine them; the verdict says what to mend.
    #[error("{}{}", refused.last().map(ToString::to_string).unwrap_or_default(), said(verdict))]
    Mismatch {
        /// What came, in the order it came; bytes that came twice are named once.
        refused: Vec<Refused>,
        /// Who is to blame.
        verdict: Verdict,
    },
}

impl Downloader {
    /// Fetches and verifies. A source that gives wrong bytes is asked a second time, so that it shows whether the
    /// index is wrong or the transfer; then the next source has its turn.
    pub async fn obtain(
        &self,
        want: &Want,
        partials: &Partials,
        progress: &Arc<dyn Progress>,
    ) -> Result<Verified, ObtainError> {
        let (mut refused, mut tries, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        // Bytes of an earlier download count against the source that is asked first.
        let turns = want.sources.iter().flat_map(|it| [it, it]).cloned().collect::<Vec<_>>();
        for source in turns {
            if failures.last().is_some_and(|it: &SourceFailure| it.source == source.to_string()) {
                continue;
            }
            let one = Want { sources: vec![source.clone()], ..want.clone() };
            match self.fetch(&one, partials, progress).await {
                Ok(partial) => match partial.verify(want) {
                    Ok(verified) => return Ok(verified),
                    Err(it) => {
                        tries.push(Try {
                            source: it.origin.clone(),
                            digest: it.found,
                            size_bytes: it.found_bytes,
                        });
                        // The same bytes stand in the same file: whoever moves it must find it once.
                        refused.retain(|other: &Refused| other.path != it.path);
                        refused.push(*it);
                    }
                },
                Err(FetchError::AllFailed { failures: more, .. }) => failures.extend(more),
                Err(error) => return Err(error.into()),
            }
            if let verdict @ Verdict::Index { .. } = judge(&tries) {
                return Err(ObtainError::Mismatch { refused, verdict });
            }
        }
        if refused.is_empty() {
            return Err(
                FetchError::AllFailed { name: want.name.clone(), digest: want.digest, failures }.into()
            );
        }
        Err(ObtainError::Mismatch { verdict: judge(&tries), refused })
    }
}

fn said(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Unclear => "",
        Verdict::Index { .. } => {
            "; the same bytes came twice, so the index is wrong: correct sha256 and sizeBytes"
        }
        Verdict::Transfer => {
            "; different bytes came each time, so the transfer is wrong: look at the network and the mirrors"
        }
    }
}
