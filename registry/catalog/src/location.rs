//! Where an index lives: a file here, or a branch of a repository somewhere.
//!
//! A location is written into configuration files, which end up in the Nix store and in logs: so it never holds a
//! secret, and [`Location`]'s parser refuses one without repeating it.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};
use url::Url;

/// Where an index lives. Written as a path, or as `git+https://host/repository#branch:path`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Location {
    /// A file on this machine.
    File(PathBuf),
    /// A file on a branch of a repository.
    Git(GitLocation),
}

/// A file on a branch of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitLocation {
    url: Url,
    branch: Option<String>,
    path: String,
}

/// Why a text is no location. Correct the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// Nothing there.
    #[error("the index has no location: give a path, or git+https://host/repository#branch:path")]
    Empty,
    /// A URL that is not one of a repository.
    #[error(
        "{scheme}:// is no place for an index: give a path, or a repository as git+https://, git+ssh:// or git+file://"
    )]
    Scheme {
        /// The scheme that was given.
        scheme: String,
    },
    /// The short form of ssh, which could as well be a path.
    #[error("host:path is no location: write the repository as git+ssh://git@host/path")]
    ShortForm,
    /// After `git+`, something that is no URL.
    #[error(
        "after git+ comes a URL, such as git+https://host/repository#branch:path; this one cannot be read: {0}"
    )]
    Url(#[from] url::ParseError),
    /// A repository without a host, or a folder with one.
    #[error("git+{scheme}:// needs {needs}")]
    Host {
        /// The scheme that was given.
        scheme: String,
        /// What it needs.
        needs: &'static str,
    },
    /// A name, password or token in the URL, where it would be stored and logged.
    #[error(
        "the location for {host} holds credentials: take them out, change them, and put them in a file that \
         `token_file`, `password_file` or `ssh_key_file` names"
    )]
    Secret {
        /// Whom they are for.
        host: String,
    },
    /// A query, which git has no use for, and which is often a token.
    #[error(
        "the location for {host} has a query, `?` and what follows it: a branch comes after #, as in \
         #main:index.json, and a token belongs into a file that `token_file` names"
    )]
    Query {
        /// Whom it was meant for.
        host: String,
    },
    /// Plain HTTP to another machine, which anybody on the way could change.
    #[error("git+http:// is for this machine only, and {host} is not: use git+https://{host}/…")]
    Plain {
        /// The other machine.
        host: String,
    },
    /// A branch that git would not accept.
    #[error("{0:?} is no name of a branch: after # comes branch:path, such as #main:index.json")]
    Branch(String),
    /// A path that leaves the repository, or none.
    #[error("{0:?} is no path in a repository: after # comes branch:path, such as #main:models/index.json")]
    Path(String),
}

impl Location {
    /// Reads a path or a `git+…` URL.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        if text.is_empty() {
            return Err(LocationError::Empty);
        }
        if let Some(url) = text.strip_prefix("git+") {
            return GitLocation::parse(url).map(Self::Git);
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(LocationError::Scheme { scheme: scheme.to_owned() });
        }
        let short_form =
            text.split_once(':').is_some_and(|(host, _)| host.contains('@') && !host.contains('/'));
        if short_form { Err(LocationError::ShortForm) } else { Ok(Self::File(text.into())) }
    }
}

impl GitLocation {
    fn parse(text: &str) -> Result<Self, LocationError> {
        // Split by hand: what follows # is branch:path as it stands, without escapes.
        let (url, place) = text.split_once('#').unwrap_or((text, ""));
        let url = Url::parse(url)?;
        check_url(&url)?;
        let (branch, path) = place.split_once(':').unwrap_or((place, ""));
        let branch = Some(branch).filter(|it| !it.is_empty());
        if let Some(name) = branch
            && !git2::Reference::is_valid_name(&format!("refs/heads/{name}"))
        {
            return Err(LocationError::Branch(name.to_owned()));
        }
        let path = if path.is_empty() { "index.json" } else { path };
        if path.split('/').any(|it| matches!(it, "" | "." | "..")) || path.contains('\0') {
            return Err(LocationError::Path(path.to_owned()));
        }
        Ok(Self { url, branch: branch.map(str::to_owned), path: path.to_owned() })
    }

    /// Returns the repository's URL, without the `git+` and without secrets.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the branch, or `None` for the one that the repository itself names.
    pub fn branch(&self) -> Option<&str> {
        self.branch.as_deref()
    }

    /// Returns the index's path in the repository.
    pub fn path(&self) -> &str {
        &self.path
    }
}

fn check_url(url: &Url) -> Result<(), LocationError> {
    let scheme = url.scheme().to_owned();
    let host = url.host_str().unwrap_or_default().to_owned();
    let needs = match url.scheme() {
        "https" | "http" | "ssh" if host.is_empty() => Some("a host, as in git+https://host/repository"),
        "file" if !host.is_empty() => Some("an absolute path, as in git+file:///srv/git/models.git"),
        "https" | "http" | "ssh" | "file" => None,
        _ => return Err(LocationError::Scheme { scheme: format!("git+{scheme}") }),
    };
    if let Some(needs) = needs {
        return Err(LocationError::Host { scheme, needs });
    }
    // Over ssh a user is part of the address. Over https, what stands there is as often a token.
    let user = scheme != "ssh" && !url.username().is_empty();
    if user || url.password().is_some() {
        return Err(LocationError::Secret { host });
    }
    if url.query().is_some() {
        return Err(LocationError::Query { host });
    }
    if scheme == "http" && !is_loopback(url) {
        return Err(LocationError::Plain { host });
    }
    Ok(())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

impl fmt::Display for Location {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(out),
            Self::Git(place) => place.fmt(out),
        }
    }
}

impl fmt::Display for GitLocation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let branch = self.branch.as_deref().unwrap_or_default();
        write!(out, "git+{}#{branch}:{}", self.url, self.path)
    }
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Location {
    type Error = LocationError;

    fn try_from(text: String) -> Result<Self, LocationError> {
        Self::parse(&text)
    }
}

impl From<Location> for String {
    fn from(it: Location) -> Self {
        it.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn git(text: &str) -> GitLocation {
        match Location::parse(text) {
            Ok(Location::Git(place)) => place,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn branch_and_path_have_defaults_and_the_written_form_leads_back() {
        let check = |text: &str, branch: Option<&str>, path: &str, shown: &str| {
            let place = git(text);
            assert_eq!((place.branch(), place.path()), (branch, path), "{text}");
            assert_eq!(place.to_string(), shown);
            assert_eq!(git(shown), place);
        };
        check("git+https://h/r", None, "index.json", "git+https://h/r#:index.json");
        check("git+https://h/r#", None, "index.json", "git+https://h/r#:index.json");
        check("git+https://h/r#main", Some("main"), "index.json", "git+https://h/r#main:index.json");
        check(
            "git+ssh://git@h:22/r#a/b:c/d.json",
            Some("a/b"),
            "c/d.json",
            "git+ssh://git@h:22/r#a/b:c/d.json",
        );
        check("git+file:///srv/r.git#:x.json", None, "x.json", "git+file:///srv/r.git#:x.json");
        check("git+http://127.0.0.1:80/r", None, "index.json", "git+http://127.0.0.1/r#:index.json");
        assert_eq!(Location::parse("./index.json"), Ok(Location::File("./index.json".into())));
        assert_eq!(Location::parse("/etc/a:b@c"), Ok(Location::File("/etc/a:b@c".into())));
    }

    #[test]
    fn what_is_no_location_is_refused_with_its_remedy() {
        let check = |text: &str, wrong: &str| {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(error.contains(wrong), "{text}: {error}");
        };
        check("", "give a path");
        check("https://h/r", "https:// is no place for an index");
        check("git+ftp://h/r", "git+ftp:// is no place for an index");
        check("git@host:org/repo", "write the repository as git+ssh://git@host/path");
        check("git+https://", "this one cannot be read");
        check("git+file://host/r", "git+file:// needs an absolute path");
        check("git+http://example.org/r", "use git+https://example.org/…");
        check("git+https://h/r#a..b:x", "\"a..b\" is no name of a branch");
        check("git+https://h/r#*:x", "\"*\" is no name of a branch");
        check("git+https://h/r#main:/etc/passwd", "is no path in a repository");
        check("git+https://h/r#main:../x", "is no path in a repository");
    }

    #[test]
    fn a_secret_in_a_location_is_refused_and_not_repeated() {
        for text in [
            "git+https://user:hunter2@example.org/r",
            "git+https://hunter2@example.org/r",
            "git+ssh://git:hunter2@example.org/r",
        ] {
            let error = Location::parse(text).unwrap_err();
            assert!(matches!(&error, LocationError::Secret { host } if host == "example.org"), "{error:?}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        let error = Location::parse("git+https://example.org/r?private_token=hunter2#main").unwrap_err();
        assert!(matches!(&error, LocationError::Query { host } if host == "example.org"), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_parsed_is_written_back(text in "(git\\+)?(https|ssh|file|http)?(://)?.{0,40}") {
            if let Ok(place) = Location::parse(&text) {
                prop_assert_eq!(Location::parse(&place.to_string()), Ok(place));
            }
        }
    }
}
