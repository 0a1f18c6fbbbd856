//! Which forge keeps a repository, and where its API is.

use std::{fmt, str::FromStr};

use url::Url;

use crate::forge::{Forge, gitea::Gitea, github::GitHub, gitlab::GitLab};

/// The forges that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// GitHub and GitHub Enterprise.
    GitHub,
    /// Forgejo and Gitea, which speak the same language.
    Forgejo,
    /// GitLab.
    GitLab,
}

/// A repository on a forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    kind: Kind,
    /// Where people go, without a slash at the end.
    web: String,
    /// Where programs go, without a slash at the end.
    api: String,
    /// The repository's path, such as `org/models`.
    path: String,
}

/// Why it is not known where pull requests are kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The host does not say which forge it is.
    #[error("which forge {host} is cannot be told from its name: say --forge github, forgejo or gitlab")]
    Unknown {
        /// The host.
        host: String,
    },
    /// A folder is on no forge.
    #[error(
        "{url} is on no forge: name one with --forge, --forge-url and --forge-repo, or stop at the push with --no-pr"
    )]
    None {
        /// The repository's URL.
        url: String,
    },
    /// The repository has no path such as `org/models`.
    #[error("{path:?} is no repository on a forge: it is called owner/name there; say it with --forge-repo")]
    Path {
        /// What was found.
        path: String,
    },
    /// An address that is none.
    #[error("{0:?} is no address of a forge: it looks like https://git.example.org")]
    Url(String),
    /// The token would go over the network for anybody to read.
    #[error("{0} is not encrypted, and a token would be sent there: use https://")]
    Plain(String),
    /// A name that is none of the known ones.
    #[error("{0:?} is no forge that is known: say github, forgejo, gitea or gitlab")]
    Kind(String),
}

impl Kind {
    /// Guesses from a host's name.
    fn of_host(host: &str) -> Option<Self> {
        let named = |name: &str| host == format!("{name}.com") || host.starts_with(&format!("{name}."));
        match host {
            "codeberg.org" => Some(Self::Forgejo),
            _ if named("github") => Some(Self::GitHub),
            _ if named("gitlab") => Some(Self::GitLab),
            _ if named("gitea") || named("forgejo") => Some(Self::Forgejo),
            _ => None,
        }
    }

    /// Returns what people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub",
            Self::Forgejo => "Forgejo",
            Self::GitLab => "GitLab",
        }
    }
}

impl FromStr for Kind {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text {
            "github" => Ok(Self::GitHub),
            "forgejo" | "gitea" => Ok(Self::Forgejo),
            "gitlab" => Ok(Self::GitLab),
            _ => Err(AddressError::Kind(text.to_owned())),
        }
    }
}

impl Address {
    /// Finds the forge of a repository by its URL, as far as `kind`, `web` and `path` do not say it.
    pub fn of(
        repository: &Url,
        kind: Option<Kind>,
        web: Option<&Url>,
        path: Option<&str>,
    ) -> Result<Self, AddressError> {
        let web = match web {
            Some(web) => web.clone(),
            None => web_of(repository)?,
        };
        let host = web.host_str().ok_or_else(|| AddressError::Url(web.to_string()))?.to_owned();
        let plain = web.scheme() == "http" && !is_loopback(&web);
        match web.scheme() {
            _ if plain => return Err(AddressError::Plain(web.to_string())),
            "http" | "https" if web.query().is_none() && web.username().is_empty() => {}
            _ => return Err(AddressError::Url(host)),
        }
        let kind =
            kind.or_else(|| Kind::of_host(&host)).ok_or(AddressError::Unknown { host: host.clone() })?;
        let path = path.unwrap_or_else(|| repository.path()).trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        // GitLab has groups in groups.
        let depth = path.split('/').count();
        let fits = if kind == Kind::GitLab { (2..=20).contains(&depth) } else { depth == 2 };
        let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.' | '/');
        let wrong = |it: &str| matches!(it, "" | "." | "..");
        if !fits || !path.chars().all(plain) || path.split('/').any(wrong) {
            return Err(AddressError::Path { path: path.to_owned() });
        }
        let web = web.as_str().trim_end_matches('/').to_owned();
        let api = match kind {
            Kind::GitHub if host == "github.com" => "https://api.github.com".to_owned(),
            Kind::GitHub => format!("{web}/api/v3"),
            Kind::Forgejo => format!("{web}/api/v1"),
            Kind::GitLab => format!("{web}/api/v4"),
        };
        Ok(Self { kind, web, api, path: path.to_owned() })
    }

    /// Returns which forge it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the forge's language for this repository.
    pub fn forge(&self) -> Box<dyn Forge> {
        let (web, api, path) = (self.web.clone(), self.api.clone(), self.path.clone());
        match self.kind {
            Kind::GitHub => Box::new(GitHub::new(web, api, path)),
            Kind::Forgejo => Box::new(Gitea::new(web, api, path)),
            Kind::GitLab => Box::new(GitLab { web, api, path }),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.web, self.path)
    }
}

/// Returns where people look at a repository that is cloned from a URL.
fn web_of(repository: &Url) -> Result<Url, AddressError> {
    let none = || AddressError::None { url: repository.to_string() };
    let host = repository.host_str().filter(|it| !it.is_empty()).ok_or_else(none)?;
    let text = match repository.scheme() {
        // The port is ssh's own.
        "ssh" => format!("https://{host}"),
        "https" | "http" => {
            let port = repository.port().map_or_else(String::new, |it| format!(":{it}"));
            format!("{}://{host}{port}", repository.scheme())
        }
        _ => return Err(none()),
    };
    Url::parse(&text).map_err(|_| none())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Result<Address, AddressError> {
        Address::of(&Url::parse(url).unwrap(), None, None, None)
    }

    #[test]
    fn the_forge_is_known_by_the_repositorys_url() {
        let check = |url: &str, kind: Kind, api: &str, shown: &str| {
            let address = of(url).unwrap();
            assert_eq!((address.kind(), address.api.as_str()), (kind, api), "{url}");
            assert_eq!(address.to_string(), shown);
        };
        let github = "https://github.com/org/models";
        check("https://github.com/org/models.git", Kind::GitHub, "https://api.github.com", github);
        check("ssh://git@github.com/org/models", Kind::GitHub, "https://api.github.com", github);
        let own = "https://github.example.org/api/v3";
        check("https://github.example.org/o/m", Kind::GitHub, own, "https://github.example.org/o/m");
        let codeberg = "https://codeberg.org/api/v1";
        check("ssh://git@codeberg.org:22/o/m.git", Kind::Forgejo, codeberg, "https://codeberg.org/o/m");
        let gitlab = "https://gitlab.com/api/v4";
        check("https://gitlab.com/a/b/c.git", Kind::GitLab, gitlab, "https://gitlab.com/a/b/c");
    }

    #[test]
    fn what_a_url_does_not_say_has_to_be_said() {
        assert_eq!(
            of("https://git.example.org/o/m"),
            Err(AddressError::Unknown { host: "git.example.org".into() })
        );
        assert!(matches!(of("file:///srv/models.git"), Err(AddressError::None { .. })));
        assert!(matches!(of("https://github.com/models"), Err(AddressError::Path { .. })));
        assert!(matches!(of("https://github.com/a/b/c"), Err(AddressError::Path { .. })));
        let folder = Url::parse("file:///srv/models.git").unwrap();
        let web = Url::parse("https://git.example.org/forge/").unwrap();
        let said = Address::of(&folder, Some(Kind::Forgejo), Some(&web), Some("org/models")).unwrap();
        assert_eq!(said.api, "https://git.example.org/forge/api/v1");
        let plain = Url::parse("http://git.example.org").unwrap();
        let said = Address::of(&folder, Some(Kind::Forgejo), Some(&plain), Some("org/models"));
        assert!(matches!(said, Err(AddressError::Plain(_))), "{said:?}");
        assert_eq!("gitea".parse(), Ok(Kind::Forgejo));
        assert!("bitbucket".parse::<Kind>().is_err());
    }
}
