//! Signs commits with an ssh key, as `git commit -S` with `gpg.format = ssh` does.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ssh_key::{HashAlg, LineEnding, PrivateKey};

/// What git's signatures are made for, so that none of them can stand for something else.
const NAMESPACE: &str = "git";

/// An ssh key that signs commits. Never printed.
pub struct SigningKey(PrivateKey);

/// Why something cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The file cannot be read.
    #[error("read the signing key {path}: let this user read it", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds no key that can be used.
    #[error(
        "use the signing key {path}: it has to be a private key as `ssh-keygen -t ed25519` or `-t ecdsa` makes it",
        path = path.display()
    )]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ssh_key::Error,
    },
    /// The key has a passphrase, and none was given, or a wrong one.
    #[error("open the signing key {path}: it has a passphrase; name a file with the right one", path = path.display())]
    Passphrase {
        /// The file.
        path: PathBuf,
    },
    /// The key cannot sign.
    #[error("sign the commit: use a key of the kind ed25519 or ecdsa")]
    Sign(#[source] ssh_key::Error),
}

impl SigningKey {
    /// Reads a key, and its passphrase if it has one, from files.
    pub fn read(path: &Path, passphrase: Option<&Path>) -> Result<Self, SignError> {
        let read = |path: &Path| {
            fs::read_to_string(path).map_err(|source| SignError::Read { path: path.to_owned(), source })
        };
        let form = |source| SignError::Form { path: path.to_owned(), source };
        let key = PrivateKey::from_openssh(read(path)?).map_err(form)?;
        if !key.is_encrypted() {
            return Ok(Self(key));
        }
        let wrong = || SignError::Passphrase { path: path.to_owned() };
        let phrase = read(passphrase.ok_or_else(wrong)?)?;
        let key = key.decrypt(phrase.trim_end_matches(['\r', '\n'])).map_err(|_| wrong())?;
        Ok(Self(key))
    }

    /// Signs bytes, and returns the signature as git keeps it in a commit.
    pub(super) fn sign(&self, bytes: &[u8]) -> Result<String, SignError> {
        let signature = self.0.sign(NAMESPACE, HashAlg::Sha512, bytes).map_err(SignError::Sign)?;
        let text = signature.to_pem(LineEnding::LF).map_err(SignError::Sign)?;
        Ok(text.trim_end().to_owned())
    }

    /// Returns the key's fingerprint, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }
}
