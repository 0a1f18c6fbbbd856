//! The gate before deployment: a list of rules of one shape, each of which may hold a model back.
//!
//! - A model is deployed only if no rule objects; one that is held back names every objection.
//! - Some rules also forbid the fetch. The others let the bytes come, so that a changed policy needs no network.
//! - A rule sees facts and decides; it reads no disk and no clock.

mod lineage;

use std::collections::BTreeMap;

use catalog::Entry;
use serde::{Deserialize, Serialize};
use spdx::{Expression, Licensee};
use url::Url;
use vault::{Source, inspect::Format};

pub(crate) use self::lineage::{CardSource, Descent, Judged, LineageRule, OnFail};

/// `[policy]`: what may run here. What is not set is not asked about.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PolicyConfig {
    /// SPDX ids, each perhaps with an exception; an entry's expression has to be satisfied by them.
    pub(crate) licenses: Option<Vec<AllowedLicense>>,
    /// What files may be inside, whatever they are called: `safetensors`, `gguf`, `onnx`, `pytorch`.
    pub(crate) formats: Option<Vec<AllowedFormat>>,
    /// How large a model may be, all files together.
    pub(crate) size_bytes_max: Option<u64>,
    /// From which origins files may be fetched, such as `https://huggingface.co`. Folders on this machine always may.
    pub(crate) sources: Option<Vec<AllowedOrigin>>,
    /// What a model has to rest on.
    pub(crate) lineage: Option<LineageRule>,
}

/// A licence on the list.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct AllowedLicense(Licensee);

/// A format on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AllowedFormat {
    Safetensors,
    Gguf,
    Onnx,
    /// Pickles, plain or zipped: loading one runs what it says.
    Pytorch,
    /// Whatever hallmark cannot tell.
    Unknown,
}

/// An origin on the list: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct AllowedOrigin(url::Origin);

/// Why a rule objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Objection {
    /// Which rule.
    pub(crate) rule: String,
    /// What is wrong, and what would have to change.
    pub(crate) text: String,
}

impl std::fmt::Display for Objection {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} (policy: {})", self.text, self.rule)
    }
}

/// What is known of a model when it comes to the gate.
#[derive(Debug)]
pub(crate) struct Facts<'f> {
    pub(crate) entry: &'f Entry,
    pub(crate) size_bytes: u64,
    /// Where each file could come from, before the policy: its name and its sources.
    pub(crate) sources: Vec<(&'f str, &'f [Source])>,
    /// What each file turned out to be, once it is here.
    pub(crate) formats: Option<&'f BTreeMap<String, Format>>,
    /// What it rests on, once that was looked at.
    pub(crate) descent: Descent,
}

struct Rule {
    name: &'static str,
    /// Whether an objection also forbids the fetch.
    forbids_fetch: bool,
    judge: fn(&PolicyConfig, &Facts<'_>) -> Option<String>,
}

/// The name of the rule about what a model rests on.
pub(crate) const LINEAGE: &str = "lineage";

const RULES: [Rule; 5] = [
    Rule { name: "licenses", forbids_fetch: false, judge: license },
    Rule { name: "formats", forbids_fetch: false, judge: formats },
    Rule { name: "size_bytes_max", forbids_fetch: true, judge: size },
    Rule { name: "sources", forbids_fetch: true, judge: sources },
    Rule { name: LINEAGE, forbids_fetch: false, judge: descent },
];

/// What the gate says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ruling {
    /// Every objection, in the order of the rules.
    pub(crate) objections: Vec<Objection>,
    /// Whether not even the bytes may come.
    pub(crate) forbids_fetch: bool,
}

impl PolicyConfig {
    /// Asks every rule.
    pub(crate) fn judge(&self, facts: &Facts<'_>) -> Ruling {
        let mut ruling = Ruling::default();
        for rule in &RULES {
            if let Some(text) = (rule.judge)(self, facts) {
                ruling.forbids_fetch |= rule.forbids_fetch;
                ruling.objections.push(Objection { rule: rule.name.to_owned(), text });
            }
        }
        ruling
    }

    /// Says whether a model that is held for these reasons alone stays deployed as it is.
    pub(crate) fn keeps_previous(&self, why: &[Objection]) -> bool {
        let keeps = self.lineage.as_ref().is_some_and(|it| it.on_fail == OnFail::KeepPrevious);
        keeps && why.iter().all(|it| it.rule == LINEAGE)
    }

    /// Says whether a file may be fetched from there.
    pub(crate) fn allows(&self, source: &Source) -> bool {
        let Some(allowed) = &self.sources else { return true };
        origin(source).is_none_or(|it| allowed.iter().any(|allowed| allowed.0 == it))
    }
}

fn license(policy: &PolicyConfig, facts: &Facts<'_>) -> Option<String> {
    let allowed = policy.licenses.as_ref()?;
    let written = facts.entry.license.as_str();
    let Ok(expression) = Expression::parse(written) else {
        return Some(format!("the licence {written} is no SPDX expression, so no list can allow it"));
    };
    let holds = expression.evaluate(|wanted| allowed.iter().any(|it| it.0.satisfies(wanted)));
    (!holds)
        .then(|| format!("the licence {written} is not allowed by {}", list(allowed.iter().map(|it| &it.0))))
}

fn formats(policy: &PolicyConfig, facts: &Facts<'_>) -> Option<String> {
    let allowed = policy.formats.as_ref()?;
    let main = facts.entry.artifact.filename.as_str();
    let objects = |(path, found): &(&String, &Format)| {
        // A companion is weighed only if it could be weights: a tokenizer is JSON or text, whatever is allowed.
        let kind = AllowedFormat::of(**found, path.as_str() == main);
        kind.is_some_and(|it| !allowed.contains(&it))
    };
    let wrong = facts.formats?.iter().filter(objects).collect::<Vec<_>>();
    let named = wrong.iter().map(|(path, found)| format!("{path} is {found}")).collect::<Vec<_>>();
    (!named.is_empty()).then(|| format!("{}, which [policy] formats does not allow", named.join(", ")))
}

fn size(policy: &PolicyConfig, facts: &Facts<'_>) -> Option<String> {
    let max = policy.size_bytes_max?;
    let size = facts.size_bytes;
    (size > max).then(|| format!("its {size} bytes are more than the {max} that are allowed"))
}

fn sources(policy: &PolicyConfig, facts: &Facts<'_>) -> Option<String> {
    let allowed = policy.sources.as_ref()?;
    let barred = |(_, sources): &&(&str, &[Source])| !sources.iter().any(|it| policy.allows(it));
    let (name, from) = facts.sources.iter().find(barred)?;
    let origins = from.iter().filter_map(origin).map(|it| it.ascii_serialization());
    Some(format!(
        "{name} would come from {}, which is not one of {}",
        list(origins),
        list(allowed.iter().map(|it| it.0.ascii_serialization()))
    ))
}

fn descent(policy: &PolicyConfig, facts: &Facts<'_>) -> Option<String> {
    policy.lineage.as_ref()?.objection(&facts.descent)
}

/// Returns where a source is; nothing for a folder on this machine.
fn origin(source: &Source) -> Option<url::Origin> {
    match source {
        Source::Mirror(url) | Source::Web(url) => Some(url.origin()),
        Source::Hub(file) => Some(file.endpoint().url().origin()),
        Source::File(_) | Source::Seeds(_) => None,
    }
}

fn list(items: impl Iterator<Item = impl ToString>) -> String {
    let items = items.map(|it| it.to_string()).collect::<Vec<_>>();
    if items.is_empty() { "nothing".to_owned() } else { items.join(", ") }
}

impl AllowedFormat {
    /// Says what a file counts as; `None` for a companion that cannot be weights.
    fn of(found: Format, is_main: bool) -> Option<Self> {
        match found {
            Format::Safetensors => Some(Self::Safetensors),
            Format::Gguf => Some(Self::Gguf),
            Format::Onnx => Some(Self::Onnx),
            Format::Pickle | Format::PytorchZip => Some(Self::Pytorch),
            Format::Zip | Format::Json | Format::Text | Format::Empty | Format::Unknown => {
                is_main.then_some(Self::Unknown)
            }
        }
    }
}

impl TryFrom<String> for AllowedLicense {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed = Licensee::parse(&text);
        parsed
            .map(Self)
            .map_err(|_| format!("\"{text}\" is no SPDX licence id; look it up at spdx.org/licenses"))
    }
}

impl TryFrom<String> for AllowedOrigin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong =
            || format!("\"{text}\" is no origin: give scheme and host, such as https://huggingface.co");
        let url = Url::parse(&text).map_err(|_| wrong())?;
        let bare = matches!(url.scheme(), "http" | "https") && url.path() == "/" && url.query().is_none();
        if bare && url.username().is_empty() { Ok(Self(url.origin())) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests;
