//! Why a branch was not pushed.

use url::Url;

use super::GitError;

/// How much of what a server says beside its work is kept.
const SAID_BYTES_MAX: usize = 4 << 10;

/// Why a branch was not pushed. Nothing has changed in the repository.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The repository could not be worked with.
    #[error(transparent)]
    Git(#[from] GitError),
    /// Somebody else pushed in between, to this branch or the one that it is for. Look again.
    #[error("push {branch}: somebody else pushed in between; run it again to see what is there now")]
    Moved {
        /// The branch.
        branch: String,
    },
    /// The server took the commit and refused to put it on the branch: a protected branch, a hook.
    #[error(
        "push {branch} to {url}: the server refuses it: {why}; let this user push to {branch}, or to `ci/**`"
    )]
    Rejected {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
        /// What the server said.
        why: String,
    },
    /// The credentials are known and may not write.
    #[error(
        "push {branch} to {url}: these credentials may not write there; the token needs the right to write the \
         repository's contents, a deploy key needs write access"
    )]
    Forbidden {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
        /// What git said.
        source: git2::Error,
    },
    /// Anything else.
    #[error("push {branch} to {url}{}", if said.is_empty() { String::new() } else { format!(": the server says: {said}") })]
    Failed {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
        /// What the server said beside its work.
        said: String,
        /// What git said.
        source: git2::Error,
    },
}

/// What a server said during a push.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Why it did not take the branch.
    pub(super) refused: Option<String>,
    said: Vec<u8>,
}

impl Told {
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let room = SAID_BYTES_MAX.saturating_sub(self.said.len());
        self.said.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Returns what it said as one line that steers no terminal.
    fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.said);
        let lines = text.split(['\n', '\r']).map(str::trim).filter(|it| !it.is_empty());
        lines.collect::<Vec<_>>().join("; ").chars().filter(|it| !it.is_control()).collect()
    }
}

/// Sorts what became of a push that was not taken.
pub(super) fn refused(url: &Url, branch: &str, told: &Told, error: Option<git2::Error>) -> PushError {
    let (url, branch) = (url.to_string(), branch.to_owned());
    if let Some(why) = &told.refused {
        let said = told.said();
        let why = if said.is_empty() { why.clone() } else { format!("{why} ({said})") };
        return PushError::Rejected { url, branch, why };
    }
    let source = error.unwrap_or_else(|| git2::Error::from_str("the server did not say why"));
    let is_status = |code: &str| source.message().ends_with(&format!("status code: {code}"));
    if is_status("403") || is_status("404") {
        return PushError::Forbidden { url, branch, source };
    }
    match source.class() {
        git2::ErrorClass::Net | git2::ErrorClass::Http | git2::ErrorClass::Ssl => {
            GitError::Unreachable { url, source }.into()
        }
        _ => PushError::Failed { url, branch, said: told.said(), source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_bounded_and_steers_no_terminal() {
        let mut told = Told { refused: Some("pre-receive hook declined".to_owned()), ..Told::default() };
        told.hear(b"remote: \x1b[31mno\x1b[0m\r\n\nGH006: protected\n");
        told.hear(&[b'x'; SAID_BYTES_MAX]);
        assert_eq!(told.said.len(), SAID_BYTES_MAX);
        let url = Url::parse("https://example.org/r").unwrap();
        let text = refused(&url, "b", &told, None).to_string();
        assert!(text.contains("(remote: [31mno[0m; GH006: protected; xxx"), "{text}");
    }
}
