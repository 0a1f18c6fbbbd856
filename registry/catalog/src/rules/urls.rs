//! Download URLs: safe to follow, pinned to a revision, and of the file that the entry names.

use std::sync::LazyLock;

use base::CommitId;
use memchr::{memchr, memmem::Finder, memrchr};
use url::{Host, Url};

use super::{Artifact, Facts, FileFacts};
use crate::{
    document::Node,
    flaw::Flaw,
    schema::{data_path, plain_in_url},
};

/// The beginning of a part such as `..`.
static DOTTED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("/."));

/// Checks the main file's URL and those of its companions; the revision stands beside the former.
pub(super) fn check(files: &[Artifact<'_>], flaws: &mut Vec<Flaw>) {
    let revision = files.first().and_then(|it| it.revision);
    let revision = revision.and_then(|it| Some((it, CommitId::parse(&it.as_str()?).ok()?)));
    let Some((main, companions)) = files.split_first() else { return };
    let before = flaws.len();
    file(main, revision, flaws);
    let root = main.download_url.and_then(Node::plain_str).and_then(root).filter(|_| flaws.len() == before);
    for it in companions {
        let (url, name) = (it.download_url.and_then(Node::plain_str), it.name.and_then(Node::plain_str));
        if root.is_none_or(|root| !surely_beside(url, name, root)) {
            file(it, revision, flaws);
        }
    }
}

/// Says that [`check`] has nothing to report.
pub(super) fn surely_kept(facts: &Facts<'_>) -> bool {
    let (main, revision) = (facts.main(), facts.revision);
    let root = main.download_url.and_then(root);
    let beside = |it: &FileFacts<'_>| root.is_some_and(|root| surely_beside(it.download_url, it.name, root));
    surely_fine(main, revision) && facts.companions().iter().all(|it| beside(it) || surely_fine(it, revision))
}

/// Says that there is nothing to report of a file, whatever stands beside it.
fn surely_fine(file: &FileFacts<'_>, revision: Option<&str>) -> bool {
    let Some(url) = file.download_url else { return true };
    plain_https(url).is_some_and(|path| {
        let named = file_of_revision(path).map(|it| it.0);
        let pinned = named.is_none_or(|it| match revision {
            Some(revision) => it == revision,
            None => CommitId::parse(it).is_ok(),
        });
        // Nothing in a plain path is escaped.
        let last = last_part(path);
        pinned && (last.is_empty() || file.name.is_none_or(|it| last == last_part(it)))
    })
}

/// Returns the beginning of a plain URL up to the files of a revision, if it has such a part.
fn root(url: &str) -> Option<&str> {
    let (_, file) = file_of_revision(plain_https(url)?)?;
    Some(&url[..url.len() - file?.len()])
}

/// Returns which revision a path names, if it has such a part, and what follows it.
fn file_of_revision(path: &str) -> Option<(&str, Option<&str>)> {
    let next = |from: usize| memchr(b'/', &path.as_bytes()[from..]).map(|it| from + it);
    let mut from = 0;
    loop {
        let end = next(from)?;
        if matches!(&path[from..end], "resolve" | "raw") {
            let named = &path[end + 1..];
            return Some(
                next(end + 1).map_or((named, None), |it| (&path[end + 1..it], Some(&path[it + 1..]))),
            );
        }
        from = end + 1;
    }
}

fn last_part(path: &str) -> &str {
    &path[memrchr(b'/', path.as_bytes()).map_or(0, |it| it + 1)..]
}

/// Says that there is nothing to report of a companion: its URL begins as the main file's, of which there was nothing
/// to report, does up to the revision, and ends with its name. If it does not say so, that may still hold.
fn surely_beside(url: Option<&str>, name: Option<&str>, root: &str) -> bool {
    let rest = url.and_then(|it| it.strip_prefix(root));
    let Some((rest, name)) = rest.zip(name) else { return false };
    let last = last_part(name);
    let folder = rest.strip_suffix(last).filter(|it| it.is_empty() || it.ends_with('/'));
    let dotted = rest.starts_with('.') || DOTTED.find(rest.as_bytes()).is_some();
    folder.is_some() && !last.is_empty() && plain_in_url(rest) && !dotted
}

fn file(file: &Artifact<'_>, revision: Option<(Node<'_>, CommitId)>, flaws: &mut Vec<Flaw>) {
    let Some((node, text)) = file.download_url.and_then(|it| Some((it, it.as_str()?))) else { return };
    if let Some(path) = plain_https(&text) {
        return path_flaws(node, path, file, revision, flaws);
    }
    let Ok(url) = Url::parse(&text) else {
        // What no URI is, the schema reports; a URI without a host is for us to say.
        let message = format!("{} should be an https URL", data_path(node));
        flaws.push(Flaw::error("url-scheme", node, message).help("write https://host/path"));
        return;
    };
    flaws.extend(scheme(node, &url));
    flaws.extend(secrets(node, &url));
    if let Some(path) = url.path().strip_prefix('/') {
        path_flaws(node, path, file, revision, flaws);
    }
}

fn path_flaws(
    node: Node<'_>,
    path: &str,
    file: &Artifact<'_>,
    revision: Option<(Node<'_>, CommitId)>,
    flaws: &mut Vec<Flaw>,
) {
    flaws.extend(pin(node, path, revision));
    flaws.extend(file.name.and_then(|name| same_file(node, path, name)));
}

/// Returns the path, without its first slash, of an https URL in which nothing needs a second look: a host
/// with a name, no port, no user, no escape, no query, nothing that the parser proper would rewrite.
fn plain_https(text: &str) -> Option<&str> {
    let (host, path) = text.strip_prefix("https://")?.split_once('/')?;
    let letter_or_digit = |it: &u8| it.is_ascii_lowercase() || it.is_ascii_digit();
    let plain_label = |it: &[u8]| {
        it.first().is_some_and(letter_or_digit)
            && it.last().is_some_and(letter_or_digit)
            && it.iter().all(|byte| letter_or_digit(byte) || *byte == b'-')
            && !it.starts_with(b"xn--")
    };
    let mut labels = host.as_bytes().split(|it| *it == b'.');
    // What ends in a number is an address.
    let named = host.rsplit('.').next()?.starts_with(|it: char| it.is_ascii_lowercase());
    // A part that begins with a dot may lead elsewhere.
    let dotted = path.starts_with('.') || DOTTED.find(path.as_bytes()).is_some();
    (named && labels.all(plain_label) && plain_in_url(path) && !dotted).then_some(path)
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
fn pin(node: Node<'_>, path: &str, pinned: Option<(Node<'_>, CommitId)>) -> Option<Flaw> {
    let mut segments = path.split('/').skip_while(|it| !matches!(*it, "resolve" | "raw"));
    segments.next()?;
    let named = segments.next()?;
    if pinned.is_some_and(|(field, _)| field.is(named)) {
        return None;
    }
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

fn same_file(node: Node<'_>, path: &str, name: Node<'_>) -> Option<Flaw> {
    let last = path.rsplit('/').next()?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{document::Document, rules::Fact};

    #[test]
    fn only_what_the_parser_would_leave_as_it_is_counts_as_plain() {
        assert_eq!(
            plain_https("https://huggingface.co/o/r/resolve/main/a_b.gguf"),
            Some("o/r/resolve/main/a_b.gguf")
        );
        for other in [
            "https://h",
            "https://h/../a",
            "https://h/./a",
            "https://h/.",
            "https://h:443/a",
            "https://H/a",
            "https://h/a?b",
            "https://1.2.3.4/a",
            "https://0x7f.1/a",
            "https://xn--a/a",
            "https://a..b/a",
            "https://u@h/a",
            "http://h/a",
            "https:///a",
            "https://h/%61",
            "https://h/a b",
        ] {
            assert_eq!(plain_https(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_companion_is_passed_over_only_if_there_is_nothing_to_report_of_it(
            urls in proptest::collection::vec(
                "(https://h/|http://h/)(a/)?(resolve/|raw/)?(main/|0{39}[12]/|0{39}[12])?(\\.|%61|b/|raw/c/)?[xy]{0,1}",
                1..4,
            ),
            names in proptest::collection::vec("(b/)?[xy.]{0,1}", 4),
            pinned: bool,
        ) {
            let file = |(url, name): (&String, &String)| json!({ "downloadUrl": url, "path": name });
            let mut artifact = file((&urls[0], &names[0]));
            artifact["files"] = urls[1..].iter().zip(&names[1..]).map(file).collect();
            if pinned {
                artifact["revision"] = json!(format!("{}1", "0".repeat(39)));
            }
            let text = artifact.to_string();
            let document = Document::parse(text.as_bytes()).unwrap();
            let files = Artifact::of(document.root()).files().collect::<Vec<_>>();
            let revision = files[0].revision.and_then(|it| Some((it, CommitId::parse(&it.as_str()?).ok()?)));
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            check(&files, &mut found);
            for it in &files {
                super::file(it, revision, &mut expected);
            }
            prop_assert_eq!(found, &expected[..]);
            let mut facts = Facts::default();
            for (number, (url, name)) in urls.iter().zip(&names).enumerate() {
                if number > 0 {
                    facts.next_file();
                }
                facts.tell(Fact::DownloadUrl, url);
                facts.tell(Fact::Name, name);
            }
            let pin = format!("{}1", "0".repeat(39));
            if pinned {
                facts.tell(Fact::Revision, &pin);
            }
            prop_assert!(expected.is_empty() || !surely_kept(&facts), "{:?}", expected);
        }

        #[test]
        fn a_plain_url_is_read_as_the_parser_reads_it(text in "https://[a-z0-9.-]{0,8}/[a-zA-Z0-9._~/:%@-]{0,12}") {
            if let Some(path) = plain_https(&text) {
                let url = Url::parse(&text);
                prop_assert!(url.is_ok(), "{}", text);
                let url = url.unwrap();
                prop_assert_eq!((url.as_str(), url.path().strip_prefix('/')), (text.as_str(), Some(path)));
                prop_assert!(matches!(url.host(), Some(Host::Domain(_))), "{}", text);
                prop_assert!(url.username().is_empty() && url.password().is_none() && url.port().is_none());
            }
        }
    }
}
