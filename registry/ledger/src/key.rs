//! The key that signs: kept in a file, never printed, never sent.

use std::{
    fmt, fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use base::{Address, hex};
use rand::RngCore as _;
use secp256k1::{Message, ecdsa::RecoverableSignature};

use crate::event::{Author, Digests, Draft, Scheme, Serialized, Signature, Signed, personal_digest};

/// A secp256k1 key. Its address is its owner's name.
#[derive(Clone)]
pub struct SecretKey {
    secret: secp256k1::SecretKey,
    address: Address,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or made.
    #[error("read the key in {}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it, so it may be known: make a new one, or close it with `chmod 600`.
    #[error("the key in {} can be read by anybody; close it: chmod 600", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
    },
    /// The text is no key.
    #[error("{} holds no key: a key is 64 hex digits", path.display())]
    Form {
        /// Which file.
        path: PathBuf,
    },
}

impl SecretKey {
    /// Makes a new key from the system's randomness.
    pub fn generate() -> Self {
        loop {
            let mut bytes = [0; 32];
            rand::rng().fill_bytes(&mut bytes);
            // All but one in 2^128 texts of 32 bytes are keys.
            if let Some(key) = Self::from_bytes(bytes) {
                return key;
            }
        }
    }

    /// Takes 32 bytes, or returns `None` if they are no key: zero, or beyond the group's order.
    pub fn from_bytes(bytes: [u8; 32]) -> Option<Self> {
        let secret = secp256k1::SecretKey::from_secret_bytes(bytes).ok()?;
        Some(Self { secret, address: crate::event::address_of(&secret.public_key()) })
    }

    /// Reads 64 hex digits, with or without `0x` before and white space around; `None` if they are no key.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim();
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        Self::from_bytes(hex::decode(&digits.to_ascii_lowercase()).ok()?)
    }

    /// Reads the key in a file that only its owner can read.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let io = |source| KeyError::Io { path: path.to_owned(), source };
        check_closed(path)?;
        let text = fs::read_to_string(path).map_err(io)?;
        Self::parse(&text).ok_or_else(|| KeyError::Form { path: path.to_owned() })
    }

    /// Reads the key in a file, or makes one there (mode 0600) if there is none.
    pub fn read_or_create(path: &Path) -> Result<Self, KeyError> {
        let key = Self::generate();
        match create(path, &format!("{}\n", hex::text(&key.secret.to_secret_bytes()))) {
            Ok(()) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::read(path),
            Err(source) => Err(KeyError::Io { path: path.to_owned(), source }),
        }
    }

    /// Returns the address of the key: its owner's name.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Signs a draft. The clients' libraries want an author in checksum case, the specification in lower case.
    pub fn sign(&self, draft: Draft, scheme: Scheme) -> Signed {
        let author = match scheme {
            Scheme::Sdk | Scheme::SdkUtf16 => Author::checksum(self.address),
            Scheme::SpecEip191 | Scheme::SpecRaw | Scheme::SpecText => Author::lower(self.address),
        };
        let digests = Digests::new(Serialized::of(&author, &draft));
        let sdk_id = digests.sdk_id();
        let (id, digest) = match scheme {
            Scheme::SpecEip191 => (digests.spec_id(), personal_digest(digests.spec_id().as_bytes())),
            Scheme::SpecRaw => (digests.spec_id(), *digests.spec_id().as_bytes()),
            Scheme::SpecText => {
                (digests.spec_id(), personal_digest(digests.spec_id().to_string().as_bytes()))
            }
            Scheme::Sdk => (sdk_id, *sdk_id.as_bytes()),
            Scheme::SdkUtf16 => (digests.utf16_id(), *sdk_id.as_bytes()),
        };
        let signature =
            RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest), &self.secret);
        Signed::new(id, author, draft, Signature::of(&signature), digests.body, scheme)
    }
}

impl SecretKey {
    /// Signs a text as wallets do (EIP-191): `0x` and 130 hex digits.
    pub fn sign_text(&self, text: &str) -> String {
        let digest = Message::from_digest(personal_digest(text.as_bytes()));
        let signature = RecoverableSignature::sign_ecdsa_recoverable(digest, &self.secret);
        format!("0x{}", Signature::of(&signature))
    }
}

/// Says whether a wallet's signature over a text, with or without `0x`, is by this address.
pub fn signed_text(text: &str, signature: &str, by: Address) -> bool {
    let parsed = Signature::parse(signature.strip_prefix("0x").unwrap_or(signature));
    let digest = personal_digest(text.as_bytes());
    parsed.and_then(|it| it.which([digest].into_iter(), by, false)).is_ok_and(|it| it.is_some())
}

/// Says whether others may read a secret.
pub(crate) fn check_closed(path: &Path) -> Result<(), KeyError> {
    let meta = fs::metadata(path).map_err(|source| KeyError::Io { path: path.to_owned(), source })?;
    let others = meta.permissions().mode() & 0o007;
    if others > 0 { Err(KeyError::Open { path: path.to_owned() }) } else { Ok(()) }
}

/// Writes a secret into a new file, whole or not at all, readable by its owner alone.
pub(crate) fn create(path: &Path, text: &str) -> io::Result<()> {
    if path.exists() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A temporary file is made with mode 0600, and takes its name only if nobody else has it by now.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|it| it.error)?;
    fs::File::open(folder)?.sync_all()
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SecretKey(of {})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let made = SecretKey::read_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SecretKey::read_or_create(&path).unwrap().address(), made.address());
        assert_eq!(format!("{made:?}"), format!("SecretKey(of {})", made.address()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(SecretKey::read(&path), Err(KeyError::Open { .. })));
    }

    #[test]
    fn a_text_is_signed_as_wallets_do_it() {
        // The account and the signature of web3.js' own documentation of `sign`.
        let key =
            SecretKey::parse("0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318").unwrap();
        let signature = "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c";
        assert_eq!(key.sign_text("Some data"), signature);
        assert!(signed_text("Some data", signature, key.address()));
        assert!(!signed_text("Some date", signature, key.address()));
        assert!(!signed_text("Some data", "0x00", key.address()));
    }

    #[test]
    fn a_file_that_holds_no_key_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        for text in ["", "not a key", &"0".repeat(64), &"f".repeat(64), &"1".repeat(63)] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(SecretKey::read_or_create(&path), Err(KeyError::Form { .. })), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::write(&path, format!("0x{}\n", "1".repeat(64))).unwrap();
        assert!(SecretKey::read(&path).is_ok());
    }
}
