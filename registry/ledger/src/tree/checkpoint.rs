//! Checkpoints: the log's size and root, signed as a note (C2SP tlog-checkpoint, Ed25519).

use std::{fmt, fs, io, path::Path};

use base::Sha256;
use signed_note::{Note, StandardSigner, StandardVerifier, Verifier as _, VerifierList};
use tlog_tiles::{checkpoint, tlog::Hash};

use crate::key::{KeyError, create};

/// The key that signs checkpoints. Its name is the log's origin.
#[derive(Clone)]
pub struct CheckpointKey {
    signer: StandardSigner,
    origin: String,
    verifier: String,
}

/// A checkpoint whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// How many leaves its tree has.
    pub size: u64,
    /// The tree's root.
    pub root: Sha256,
}

/// Why a text is no checkpoint of that log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The public key is none.
    #[error("`{0}` is not a log's public key: name+id+key")]
    Key(String),
    /// The text is not a signed note.
    #[error("the checkpoint is not a signed note")]
    Note,
    /// Nobody signed it, or somebody else.
    #[error("the checkpoint is not signed by {0}")]
    Signature(String),
    /// What is signed is no checkpoint, or another log's.
    #[error("the note is not a checkpoint of {0}")]
    Text(String),
}

impl CheckpointKey {
    /// Reads the key in a file, or makes one for a log of that name. A name has no spaces and no plus.
    pub fn read_or_create(path: &Path, origin: &str) -> Result<Self, KeyError> {
        let io = |source| KeyError::Io { path: path.to_owned(), source };
        if signed_note::is_key_name_valid(origin) && !path.exists() {
            let (signer, verifier) = signed_note::generate_key(&mut rand_core::OsRng, origin);
            match create(path, &format!("{signer}\n{verifier}\n")) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io(error)),
                _ => {}
            }
        }
        crate::key::check_closed(path)?;
        let text = fs::read_to_string(path).map_err(io)?;
        Self::parse(&text).ok_or_else(|| KeyError::Form { path: path.to_owned() })
    }

    /// Reads both lines of a key file: what signs, and what others check with.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (signer, verifier) = (lines.next()?, lines.next()?);
        let known = StandardVerifier::new(verifier).ok()?;
        let key = Self {
            signer: StandardSigner::new(signer).ok()?,
            origin: known.name().to_owned(),
            verifier: verifier.to_owned(),
        };
        // The two lines have to be one key: what nobody can check is of no use.
        let probe = key.sign(0, Sha256::of(b""));
        Checkpoint::verify(&probe, verifier).is_ok().then_some(key)
    }

    /// Returns the log's name.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the public key, as others need it to check proofs: `name+id+key`.
    pub fn public(&self) -> &str {
        &self.verifier
    }

    /// Signs the size and root of a tree.
    ///
    /// # Panics
    ///
    /// Never: the name was checked when the key was read, and Ed25519 signs any text.
    pub fn sign(&self, size: u64, root: Sha256) -> String {
        let checkpoint = checkpoint::Checkpoint::new(&self.origin, size, Hash(*root.as_bytes()), "");
        let text = checkpoint.expect("a log's name is not empty").to_bytes();
        let mut note = Note::new(&text, &[]).expect("a checkpoint is a note");
        note.add_sigs(&[&self.signer]).expect("a log's name can sign");
        String::from_utf8_lossy(&note.to_bytes()).into_owned()
    }
}

impl fmt::Debug for CheckpointKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "CheckpointKey(of {})", self.origin)
    }
}

impl Checkpoint {
    /// Checks a signed checkpoint against the public key of its log.
    pub fn verify(text: &str, public: &str) -> Result<Self, CheckpointError> {
        let verifier = StandardVerifier::new(public)
            .map_err(|_| CheckpointError::Key(public.chars().take(200).collect()))?;
        let origin = verifier.name().to_owned();
        let note = Note::from_bytes(text.as_bytes()).map_err(|_| CheckpointError::Note)?;
        note.verify(&VerifierList::new(vec![Box::new(verifier)]))
            .map_err(|_| CheckpointError::Signature(origin.clone()))?;
        let parsed = checkpoint::Checkpoint::from_bytes(note.text());
        let parsed = parsed.ok().filter(|it| it.origin() == origin).ok_or(CheckpointError::Text(origin))?;
        let root = Sha256::from_bytes(parsed.hash().0);
        Ok(Self { origin: parsed.origin().to_owned(), size: parsed.size(), root })
    }
}
