//! Shows a server who we are, and checks that it is the one that is meant.
//!
//! Secrets are read from their files for each fetch, so that a rotated one needs no restart, and are dropped after it.

use std::{cell::RefCell, fs, path::Path, path::PathBuf, rc::Rc};

use git2::{CertificateCheckStatus, Cred, CredentialType, Error, RemoteCallbacks, cert::Cert};
use serde::Deserialize;
use url::Url;

use super::{GitError, known_hosts::KnownHosts};

/// Which files hold what a repository asks for. None are needed for a public one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GitLogin {
    /// A file with an access token, for https.
    pub token_file: Option<PathBuf>,
    /// A file with one line `user:password`, for https; instead of a token.
    pub password_file: Option<PathBuf>,
    /// A file with a private key, for ssh.
    pub ssh_key_file: Option<PathBuf>,
    /// A file with the passphrase of that key, if it has one.
    pub ssh_passphrase_file: Option<PathBuf>,
    /// The host keys that are trusted, as ssh writes them. Needed for ssh: no key is trusted unseen.
    pub known_hosts_file: Option<PathBuf>,
}

/// What forges take as the user that comes with a token.
const TOKEN_USER: &str = "x-access-token";

/// The user of a git server where the location names none.
const SSH_USER: &str = "git";

/// The credentials of one fetch. Never printed.
#[derive(Clone)]
struct Secrets {
    password: Option<(String, String)>,
    ssh_key: Option<PathBuf>,
    passphrase: Option<String>,
    known_hosts: Option<(PathBuf, KnownHosts)>,
}

/// The callbacks of one fetch, and what they had to complain of.
pub(super) struct Guard {
    url: Url,
    secrets: Secrets,
    complaint: Rc<RefCell<Option<GitError>>>,
}

impl Guard {
    /// Reads the files that a login names.
    pub(super) fn new(url: &Url, login: &GitLogin) -> Result<Self, GitError> {
        let read = |path: &Path| {
            let failed = |source| GitError::Secret { path: path.to_owned(), url: url.to_string(), source };
            fs::read_to_string(path).map(|it| it.trim_end_matches(['\r', '\n']).to_owned()).map_err(failed)
        };
        let token = login.token_file.as_deref().map(read).transpose()?;
        let line = login.password_file.as_deref().map(read).transpose()?;
        let password = match (token, line) {
            (Some(token), _) => Some((TOKEN_USER.to_owned(), token)),
            (None, Some(line)) => Some(split_line(url, &line)?),
            (None, None) => None,
        };
        let known_hosts = match &login.known_hosts_file {
            Some(path) => Some((path.clone(), KnownHosts::parse(&read(path)?))),
            None => None,
        };
        let passphrase = login.ssh_passphrase_file.as_deref().map(read).transpose()?;
        let ssh_key = login.ssh_key_file.clone();
        let secrets = Secrets { password, ssh_key, passphrase, known_hosts };
        Ok(Self { url: url.clone(), secrets, complaint: Rc::default() })
    }

    /// Returns callbacks that answer the server's questions. Each set answers each question once.
    pub(super) fn callbacks(&self) -> RemoteCallbacks<'static> {
        let mut callbacks = RemoteCallbacks::new();
        let (url, secrets, complaint) = (self.url.clone(), self.secrets.clone(), Rc::clone(&self.complaint));
        let mut shown = false;
        callbacks.credentials(move |_, user, allowed| {
            if allowed.contains(CredentialType::USERNAME) {
                return Cred::username(user.unwrap_or(SSH_USER));
            }
            let answer = if std::mem::replace(&mut shown, true) { None } else { secrets.show(user, allowed) };
            answer.unwrap_or_else(|| {
                let remedy = remedy(&url, secrets.fits(allowed));
                complain(&complaint, GitError::Denied { url: url.to_string(), remedy })
            })
        });
        let (url, secrets, complaint) = (self.url.clone(), self.secrets.clone(), Rc::clone(&self.complaint));
        callbacks.certificate_check(move |cert, _| match secrets.check_host(&url, cert) {
            Ok(status) => Ok(status),
            Err(remedy) => complain(&complaint, GitError::Untrusted { url: url.to_string(), remedy }),
        });
        callbacks
    }

    /// Returns what the callbacks had to complain of.
    pub(super) fn complaint(&self) -> Option<GitError> {
        self.complaint.borrow_mut().take()
    }
}

fn complain<T>(place: &RefCell<Option<GitError>>, error: GitError) -> Result<T, Error> {
    let text = Error::from_str(&error.to_string());
    place.borrow_mut().get_or_insert(error);
    Err(text)
}

fn split_line(url: &Url, line: &str) -> Result<(String, String), GitError> {
    let (user, password) = line.split_once(':').ok_or_else(|| {
        let remedy = "`password_file` holds one line user:password, and this one has no colon".to_owned();
        GitError::Denied { url: url.to_string(), remedy }
    })?;
    Ok((user.to_owned(), password.to_owned()))
}

impl Secrets {
    fn fits(&self, allowed: CredentialType) -> bool {
        let password = allowed.contains(CredentialType::USER_PASS_PLAINTEXT) && self.password.is_some();
        password || (allowed.contains(CredentialType::SSH_KEY) && self.ssh_key.is_some())
    }

    fn show(&self, user: Option<&str>, allowed: CredentialType) -> Option<Result<Cred, Error>> {
        if let Some(key) = self.ssh_key.as_deref().filter(|_| allowed.contains(CredentialType::SSH_KEY)) {
            return Some(Cred::ssh_key(user.unwrap_or(SSH_USER), None, key, self.passphrase.as_deref()));
        }
        let plain = allowed.contains(CredentialType::USER_PASS_PLAINTEXT);
        let (user, password) = self.password.as_ref().filter(|_| plain)?;
        Some(Cred::userpass_plaintext(user, password))
    }

    fn check_host(&self, url: &Url, cert: &Cert<'_>) -> Result<CertificateCheckStatus, String> {
        // A certificate is judged by the system's authorities; a host key only by the file of known ones.
        let Some(key) = cert.as_hostkey() else { return Ok(CertificateCheckStatus::CertificatePassthrough) };
        let host = url.host_str().unwrap_or_default();
        let port = url.port().unwrap_or(22);
        let Some((path, known)) = &self.known_hosts else {
            return Err("no host key is trusted unseen: name a file of known ones in `known_hosts_file`, \
                 such as `ssh-keyscan` writes, checked against what the host's owner publishes"
                .to_owned());
        };
        let Some(blob) = key.hostkey() else { return Err("the server shows no host key".to_owned()) };
        known
            .check(host, port, blob)
            .map_err(|why| format!("{why} (known hosts are in {})", path.display()))?;
        Ok(CertificateCheckStatus::CertificateOk)
    }
}

fn remedy(url: &Url, refused: bool) -> String {
    let text = match (url.scheme(), refused) {
        ("ssh", true) => {
            "the server refuses the key in `ssh_key_file`: add its public half there as a deploy key"
        }
        ("ssh", false) => "the server asks for a key: name a private key's file in `ssh_key_file`",
        (_, true) => {
            "the server refuses the credentials in `token_file` or `password_file`: put valid ones in that file"
        }
        (_, false) => {
            "the server asks for credentials, or has no such repository: name a file with a token in `token_file`"
        }
    };
    text.to_owned()
}
