//! The hub's token: read anew for each use, sent to one origin, printed nowhere.

use std::{fmt, io, path::PathBuf};

use reqwest::header::HeaderValue;
use tokio::io::AsyncReadExt as _;

/// Longer than any token; whoever names a larger file named the wrong one.
const TOKEN_BYTES_MAX: u64 = 16 << 10;

/// The file that holds the hub's token. It is read for each use, so a rotated token needs no restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFile(pub PathBuf);

/// A secret. It can be sent, not printed.
#[derive(Clone)]
pub struct Token(String);

/// Why there is no token to send.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read. Mend its path or its rights.
    #[error("read the hub token from {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file holds no token. Its content is not shown, since it may be another secret.
    #[error("{path} does not hold one line with a hub token")]
    Form {
        /// The file.
        path: PathBuf,
    },
}

impl TokenFile {
    /// Reads the token as it is now.
    pub async fn read(&self) -> Result<Token, TokenError> {
        let path = || self.0.clone();
        let mut text = String::new();
        let file = tokio::fs::File::open(&self.0)
            .await
            .map_err(|source| TokenError::Read { path: path(), source })?;
        let read = file.take(TOKEN_BYTES_MAX).read_to_string(&mut text).await;
        read.map_err(|source| TokenError::Read { path: path(), source })?;
        let token = text.trim();
        let plain = !token.is_empty() && token.bytes().all(|it| it.is_ascii_graphic());
        if plain { Ok(Token(token.to_owned())) } else { Err(TokenError::Form { path: path() }) }
    }
}

impl Token {
    /// Returns the header that carries the token, marked so that no layer prints it.
    pub(crate) fn header(&self) -> HeaderValue {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0)).expect("visible ASCII only");
        value.set_sensitive(true);
        value
    }

    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_read_anew_and_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile(folder.path().join("token"));
        for secret in ["hf_first", "hf_second"] {
            std::fs::write(&file.0, format!("{secret}\n")).unwrap();
            let token = file.read().await.unwrap();
            assert_eq!(token.secret(), secret);
            assert_eq!(format!("{token:?} {:?}", token.header()), "Token(…) Sensitive");
        }
        std::fs::write(&file.0, "two\nlines").unwrap();
        let wrong = file.read().await.unwrap_err().to_string();
        assert!(wrong.contains("does not hold one line") && !wrong.contains("two"), "{wrong}");
    }
}
