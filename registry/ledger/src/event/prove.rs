//! From a claim to a fact: the id is the body's, and the signature is the author's.

use super::{
    Author, Claimed, Draft, EventId, Leniency, Signature, SignatureError, Signed,
    body::{Digests, Serialized, Signable},
    claim::Content,
    together::{self, Asked},
};

/// Why an event that has the right shape proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The id is none that this body can have.
    #[error("id {found} is neither the SHA-256 of the event, {sha256}, nor its EIP-191 Keccak, {keccak}")]
    Id {
        /// What the event says.
        found: EventId,
        /// What the specification asks for.
        sha256: EventId,
        /// What the clients' libraries compute.
        keccak: EventId,
    },
    /// The signature cannot be anybody's.
    #[error("the signature of {id} cannot be read")]
    Signature {
        /// Which event.
        id: EventId,
        /// What is wrong with it.
        source: SignatureError,
    },
    /// The signature is somebody else's, or over something else.
    #[error("the signature of {id} is not by {author}")]
    Author {
        /// Which event.
        id: EventId,
        /// Who is said to have signed it.
        author: Author,
    },
}

impl VerifyError {
    /// Returns the id of the event that proves nothing.
    pub fn id(&self) -> EventId {
        match self {
            Self::Id { found: id, .. } | Self::Signature { id, .. } | Self::Author { id, .. } => *id,
        }
    }
}

/// What an event is proved to be, with the bytes that its signature covers.
pub(crate) type Proof = Result<(Signed, Serialized), VerifyError>;

/// An event whose id is its body's. Whose signature it has is not known yet.
struct Unproven {
    id: EventId,
    author: Author,
    /// With the content that the id was made of.
    draft: Draft,
    signature: Signature,
    digests: Digests,
    signable: Signable,
}

impl Claimed {
    /// Checks id and signature: the only way from a stranger's text to a fact.
    pub fn verify(self, leniency: Leniency) -> Result<Signed, VerifyError> {
        self.prove(leniency).map(|it| it.0)
    }

    /// Checks id and signature, and returns the body's bytes beside the event.
    pub(crate) fn prove(self, leniency: Leniency) -> Proof {
        self.hashed(leniency)?.prove(leniency)
    }

    /// Does the same for many events, in order: their signatures are checked together.
    pub(crate) fn prove_all(claimed: Vec<Self>, leniency: Leniency) -> Vec<Proof> {
        let hashed: Vec<_> = claimed.into_iter().map(|it| it.hashed(leniency)).collect();
        let asked: Vec<_> = hashed.iter().map(|it| it.as_ref().ok().map(|it| it.asked(leniency))).collect();
        let found = together::which(&asked);
        drop(asked);
        hashed.into_iter().zip(found).map(|(it, found)| it?.signed(found)).collect()
    }

    /// Checks the id.
    fn hashed(self, leniency: Leniency) -> Result<Unproven, VerifyError> {
        let Self { id, author, mut draft, content, signature } = self;
        let candidates = match content {
            Content::Text(text) => [Some(text), None],
            Content::Object { compact, raw } => [Some(raw), Some(compact)],
        };
        let mut first = None;
        for content in candidates.into_iter().flatten() {
            let digests = Digests::new(Serialized::with(&author, &draft, &content));
            let signable = digests.signable(id, leniency);
            if signable.iter().any(Option::is_some) {
                draft.content = content;
                return Ok(Unproven { id, author, draft, signature, digests, signable });
            }
            first.get_or_insert(digests);
        }
        let digests = first.unwrap_or_else(|| Digests::new(Serialized::of(&author, &draft)));
        Err(VerifyError::Id { found: id, sha256: digests.spec_id(), keccak: digests.sdk_id() })
    }
}

impl Unproven {
    /// Says what its signature is asked for.
    fn asked(&self, leniency: Leniency) -> Asked<'_> {
        let (author, accept_eip2098) = (self.author.address(), leniency.accept_eip2098);
        Asked { signature: &self.signature, signable: &self.signable, author, accept_eip2098 }
    }

    /// Checks the signature.
    fn prove(self, leniency: Leniency) -> Proof {
        let found = self.asked(leniency).alone().map(|it| it.map(|it| it.0));
        self.signed(found)
    }

    /// Takes what was found about the signature: in which of the ways the author made it, if in any.
    fn signed(self, found: Result<Option<usize>, SignatureError>) -> Proof {
        let Self { id, author, draft, signature, digests, signable } = self;
        let found = found.map_err(|source| VerifyError::Signature { id, source })?;
        let Some((scheme, _)) = found.and_then(|it| signable.get(it).copied().flatten()) else {
            return Err(VerifyError::Author { id, author });
        };
        Ok((Signed::new(id, author, draft, signature, digests.body, scheme), digests.serialized))
    }
}
