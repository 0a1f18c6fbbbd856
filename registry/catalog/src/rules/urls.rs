//! Download URLs: safe to follow, pinned to a revision, and of the file that the entry names.

use base::CommitId;
use url::{Host, Url};

use super::Artifact;
use crate::{document::Node, flaw::Flaw, schema::data_path};

pub(super) fn check(artifact: &Artifact<'_>, flaws: &mut Vec<Flaw>) {
    let revision = artifact.revision.and_then(|it| Some((it, CommitId::parse(&it.as_str()?).ok()?)));
    file(artifact, revision, flaws);
    artifact.companions().for_each(|companion| file(&companion, revision, flaws));
}

fn file(file: &Artifact<'_>, revision: Option<(Node<'_>, CommitId)>, flaws: &mut Vec<Flaw>) {
    let Some((node, text)) = file.download_url.and_then(|it| Some((it, it.as_str()?))) else { return };
    let Ok(url) = Url::parse(&text) else {
        // What no URI is, the schema reports; a URI without a host is for us to say.
        let message = format!("{} should be an https URL", data_path(node));
        flaws.push(Flaw::error("url-scheme", node, message).help("write https://host/path"));
        return;
    };
    flaws.extend(scheme(node, &url));
    flaws.extend(secrets(node, &url));
    flaws.extend(pin(node, &url, revision));
    flaws.extend(file.name.and_then(|name| same_file(node, &url, name)));
}

fn scheme(node: Node<'_>, url: &Url) -> Option<Flaw> {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() == "https" || (url.scheme() == "http" && loopback) {
        return None;
    }
    let message = format!("{} should be an https URL", data_path(node));
    let flaw = Flaw::error("url-scheme", node, message).found(format!("its scheme is {}", url.scheme()));
    Some(flaw.help("use https; plain http is for this machine's own addresses only"))
}

fn secrets(node: Node<'_>, url: &Url) -> Option<Flaw> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let message = format!("{} should not carry a user name or a password", data_path(node));
    let help = "remove it and revoke it: the index is public. Hosts bring their token in a file of their own";
    Some(Flaw::error("url-secret", node, message).help(help))
}

/// Warns where a URL names a branch, unless the entry says which commit is meant.
fn pin(node: Node<'_>, url: &Url, pinned: Option<(Node<'_>, CommitId)>) -> Option<Flaw> {
    let mut segments = url.path_segments()?.skip_while(|it| !matches!(*it, "resolve" | "raw"));
    segments.next()?;
    let named = segments.next()?;
    let commit = CommitId::parse(named).ok();
    match (commit, pinned) {
        (None, None) => {
            let message = format!("unpinned: {} names the branch '{named}', which can move", data_path(node));
            let help = "put the commit into the URL, or beside it as artifact.revision";
            Some(Flaw::warning("unpinned", node, message).help(help))
        }
        (Some(commit), Some((field, revision))) if commit != revision => {
            let message = format!("{} names another commit than artifact.revision", data_path(node));
            let flaw = Flaw::warning("revision", node, message).see(field, "the revision");
            Some(flaw.help("make the two agree"))
        }
        _ => None,
    }
}

fn same_file(node: Node<'_>, url: &Url, name: Node<'_>) -> Option<Flaw> {
    let last = url.path_segments()?.next_back()?;
    let last = percent_encoding::percent_decode_str(last).decode_utf8().ok()?;
    let named = name.as_str()?;
    let named = named.rsplit('/').next()?;
    if last.is_empty() || last == named {
        return None;
    }
    let message = format!("{} fetches '{last}', but the entry names '{named}'", data_path(node));
    let flaw = Flaw::warning("url-filename", node, message).see(name, "the name");
    Some(
        flaw.help(
            "if that is meant, nothing is wrong: the bytes are checked, and stored under the entry's name",
        ),
    )
}
