//! Names that mean something: the id's form, the version, the licence, the commits.

use base::ModelId;

use super::{Facts, Parts};
use crate::{document::Node, flaw::Flaw, schema::data_path};

/// Licences that were seen to be well written, each compared with the next before that is parsed.
#[derive(Debug, Default)]
pub(crate) struct Licenses(Vec<String>);

/// More different licences than this are parsed each time.
const LICENSES_MAX: usize = 16;

impl Licenses {
    fn surely_hold(&mut self, text: &str) -> bool {
        if self.0.iter().any(|it| it == text) {
            return true;
        }
        let holds = is_plain_license(text) || spdx::Expression::parse(text).is_ok();
        if holds && self.0.len() < LICENSES_MAX {
            self.0.push(text.to_owned());
        }
        holds
    }
}

/// Says that [`check`] has nothing to report.
pub(super) fn surely_kept(facts: &Facts<'_>, licenses: &mut Licenses) -> bool {
    let version = facts.version.and_then(|it| semver::Version::parse(it).ok());
    let agree = facts
        .id
        .and_then(ModelId::parts_of)
        .zip(version)
        .is_some_and(|((chakra, major), version)| facts.chakra == Some(chakra) && version.major == major);
    let pinned = facts.dataset_commit.is_some() && facts.training_commit.is_some();
    agree && pinned && facts.license.is_some_and(|it| licenses.surely_hold(it))
}

pub(super) fn check(parts: &Parts<'_>, flaws: &mut Vec<Flaw>) {
    let version = parts.version.and_then(|it| Some((it, semver::Version::parse(&it.as_str()?))));
    if let Some((node, Err(cause))) = &version {
        flaws.push(no_version(*node, cause));
    }
    flaws.extend(parts.license.and_then(license));
    id(parts, version.and_then(|it| Some((it.0, it.1.ok()?))), flaws);
    for pinned in [parts.dataset, parts.training].into_iter().flatten() {
        flaws.extend(unpinned(pinned));
    }
}

fn id(parts: &Parts<'_>, version: Option<(Node<'_>, semver::Version)>, flaws: &mut Vec<Flaw>) {
    let Some((node, id)) = parts.id.and_then(|node| Some((node, ModelId::parse(&node.as_str()?).ok()?)))
    else {
        return;
    };
    let Some((chakra, major)) = id.chakra().zip(id.major()) else {
        let message = format!("id '{id}' has not the form <chakra>-<purpose>-v<version>");
        flaws.push(Flaw::warning("id-form", node, message).help("write it like ajna-insight-v2"));
        return;
    };
    let filed_under = parts.chakra.and_then(|it| Some((it, it.as_str()?)));
    if let Some((field, _)) = filed_under.filter(|(_, name)| name.as_ref() != chakra) {
        let message =
            format!("id '{id}' begins with '{chakra}', but the entry is filed under {}", field.source());
        let flaw = Flaw::warning("id-chakra", node, message).see(field, "filed here");
        flaws.push(flaw.help("make the two agree: people search by either"));
    }
    if let Some((field, version)) = version.filter(|(_, version)| version.major != major) {
        let message = format!("id '{id}' says v{major}, but the version is {version}");
        let flaw = Flaw::warning("id-version", node, message).see(field, "the version");
        flaws.push(flaw.help("a new major version is a new id, so that hosts choose it on purpose"));
    }
}

fn no_version(node: Node<'_>, cause: &semver::Error) -> Flaw {
    let message = format!("{} should be a semantic version", data_path(node));
    let flaw = Flaw::error("version", node, message).found(cause.to_string());
    flaw.help("write MAJOR.MINOR.PATCH without leading zeros, such as 1.0.0 or 2.1.0-alpha.1")
}

fn license(node: Node<'_>) -> Option<Flaw> {
    let text = node.as_str()?;
    if is_plain_license(&text) {
        return None;
    }
    let cause = spdx::Expression::parse(&text).err()?;
    let message = format!("{} should be an SPDX license expression", data_path(node));
    let flaw = Flaw::error("license", node, message).found(cause.reason.to_string());
    Some(match spdx::imprecise_license_id(&text) {
        Some((id, _)) => flaw.help(format!("did you mean \"{}\"?", id.name)),
        None => flaw.help(
            "see the SPDX license list; a licence that is not on it is written LicenseRef-<name>, \
             such as LicenseRef-llama3",
        ),
    })
}

/// Nearly every entry has one of a few identifiers alone; only the others are worth a parse.
fn is_plain_license(text: &str) -> bool {
    spdx::license_id(text).is_some_and(|it| it.name == text && !it.is_deprecated())
}

fn unpinned(node: Node<'_>) -> Option<Flaw> {
    if node.members().next().is_none() || node.get("commit").is_some() {
        return None;
    }
    let key = node.key()?;
    let message = format!("{} has no commit: what it names can change", data_path(node));
    let mut flaw = Flaw::warning("commit-recommended", key, message);
    flaw.pointer = node.pointer();
    Some(flaw.help("add the commit that was used; if it is unknown, say so in notes"))
}
