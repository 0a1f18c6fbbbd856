//! From an entry of the catalog to files that the vault can fetch, and to the places where they will be seen.

use std::{collections::BTreeMap, sync::Arc};

use base::{CommitId, ModelId, Sha256};
use catalog::{Index, Listed, NotFound};
use url::Url;
use vault::{
    HubEndpoint, Source, Want,
    inspect::Format,
    view::{EntryPath, RepoName},
};

use crate::{
    config::{Config, Wanted},
    policy::{Descent, Facts, PolicyConfig},
};

/// A model that this host wants, or why it cannot have it.
pub(crate) enum Choice<'i> {
    /// It can be fetched.
    Model(&'i Arc<Listed>),
    /// It holds placeholders.
    Stub(ModelId),
    /// The index has no such entry.
    Missing(NotFound),
    /// It is listed under an energy centre that it is not filed under.
    Misfiled { id: ModelId, listed: String, filed: Option<String> },
}

/// Where files may come from on this host.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    endpoint: HubEndpoint,
    /// What is asked before the network at large: this machine's seeds, then other hallmarks.
    near: Vec<Source>,
    policy: PolicyConfig,
}

impl Places {
    /// Reads them off a config that was checked.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Self> {
        let endpoint = config.settings().map_err(anyhow::Error::msg)?.endpoint;
        let seeds = config.vault.seeds.iter().cloned().map(Source::Seeds);
        let mirrors = config.mirrors().map_err(anyhow::Error::msg)?;
        Ok(Self { endpoint, near: seeds.chain(mirrors).collect(), policy: config.policy.clone() })
    }
}

/// All files of a model.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) listed: Arc<Listed>,
    pub(crate) id: ModelId,
    pub(crate) version: String,
    /// The digest of the main file, which stands first among the files.
    pub(crate) digest: Sha256,
    pub(crate) files: Vec<FileOrder>,
}

/// One file of a model.
#[derive(Debug)]
pub(crate) struct FileOrder {
    pub(crate) path: EntryPath,
    pub(crate) want: Want,
    /// Every place that may have it; those that the policy allows are the want's.
    pub(crate) sources: Vec<Source>,
    /// Where clients of the hub look for it, if it comes from one.
    pub(crate) on_hub: Option<OnHub>,
}

/// A file's place in a repository of the hub.
#[derive(Clone, Debug)]
pub(crate) struct OnHub {
    pub(crate) repo: RepoName,
    pub(crate) path: EntryPath,
    pub(crate) commit: Option<CommitId>,
    pub(crate) branch: Option<EntryPath>,
}

/// Why an entry cannot be ordered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OrderError {
    /// A path that no file of a model may have. The index's rules refuse it too.
    #[error("the path of {name} cannot be used")]
    Path { name: String, source: vault::view::PathError },
    /// A URL that is none. The index's rules refuse it too.
    #[error("the download URL of {name} cannot be used")]
    Url { name: String, source: url::ParseError },
    /// Nowhere to fetch from.
    #[error(
        "{name} has no source: give its entry a downloadUrl, or set [vault] mirrors or seeds where its digest is known"
    )]
    NoSource { name: String },
}

/// Says which models are wanted: those that were named, else those of the config.
pub(crate) fn choose<'i>(config: &Config, index: &'i Index, named: &[String], all: bool) -> Vec<Choice<'i>> {
    let listed = |it: &'i Arc<Listed>| {
        if it.is_stub { Choice::Stub(it.entry.id.clone()) } else { Choice::Model(it) }
    };
    let by_name = |id: &String| index.find(id).map_or_else(Choice::Missing, listed);
    if all || (named.is_empty() && config.deploy.models == Wanted::All) {
        return index.entries().map(listed).collect();
    }
    if !named.is_empty() {
        return distinct(named).into_iter().map(by_name).collect();
    }
    let Wanted::These(ids) = &config.deploy.models else { return Vec::new() };
    let filed =
        config.deploy.by_chakra.iter().flat_map(|(chakra, ids)| ids.iter().map(move |id| (id, chakra)));
    let mut choices = distinct(ids).into_iter().map(by_name).collect::<Vec<_>>();
    for (id, chakra) in filed.filter(|(id, _)| !ids.contains(id)) {
        let choice = by_name(id);
        choices.push(match choice {
            Choice::Model(it) if it.entry.chakra().as_deref() != Some(chakra) => {
                Choice::Misfiled { id: it.entry.id.clone(), listed: chakra.clone(), filed: it.entry.chakra() }
            }
            other => other,
        });
    }
    choices
}

/// Says that an id is listed under an energy centre that it is not filed under.
pub(crate) fn misfiled_text(listed: &str, filed: Option<&str>) -> String {
    let filed = filed.unwrap_or("nothing");
    format!("[deploy] by_chakra lists it under {listed}, but it is filed under {filed}: correct one")
}

/// Says that an id is not in the index, and which one may have been meant.
pub(crate) fn missing_text(missing: &NotFound) -> String {
    match &missing.nearest {
        Some(nearest) => format!("{missing}; did you mean '{nearest}'?"),
        None => format!("{missing}; correct the id, or add its entry"),
    }
}

fn distinct(ids: &[String]) -> Vec<&String> {
    let mut seen = std::collections::BTreeSet::new();
    ids.iter().filter(|id| seen.insert(*id)).collect()
}

impl Order {
    /// Lists the files of an entry with every place that may have them: what is near first.
    pub(crate) fn of(listed: &Arc<Listed>, places: &Places) -> Result<Self, OrderError> {
        let entry = &listed.entry;
        let artifact = &entry.artifact;
        let main = artifact.download_url.as_ref().map(catalog::entry::Uri::as_str);
        let mut files =
            vec![(artifact.filename.as_str(), artifact.sha256, artifact.size_bytes, main.map(str::to_owned))];
        for file in &artifact.files {
            let own = file.download_url.as_ref().map(|it| it.as_str().to_owned());
            let beside = || beside(main?, artifact.filename.as_str(), file.path.as_str());
            files.push((file.path.as_str(), file.sha256, file.size_bytes, own.or_else(beside)));
        }
        let order = files.into_iter().map(|(path, digest, size, url)| {
            let name = format!("{}/{path}", entry.id);
            let parsed = EntryPath::parse(path);
            let path = parsed.map_err(|source| OrderError::Path { name: name.clone(), source })?;
            let mut sources = places.near.clone();
            let mut on_hub = None;
            if let Some(url) = url {
                let url =
                    Url::parse(&url).map_err(|source| OrderError::Url { name: name.clone(), source })?;
                let source = places.endpoint.source(&url, artifact.revision);
                on_hub = place_on_hub(&source, &url);
                sources.push(source);
            }
            if sources.is_empty() {
                return Err(OrderError::NoSource { name });
            }
            let allowed = sources.iter().filter(|it| places.policy.allows(it)).cloned().collect();
            let want = Want { digest, size_bytes: size.get(), name, sources: allowed };
            Ok(FileOrder { path, want, sources, on_hub })
        });
        let files = order.collect::<Result<Vec<_>, _>>()?;
        let (id, version, digest) = (entry.id.clone(), entry.version.to_string(), artifact.sha256);
        Ok(Self { listed: Arc::clone(listed), id, version, digest, files })
    }

    /// Returns what the policy weighs; what each file is inside, once that is known.
    pub(crate) fn facts<'f>(&'f self, formats: Option<&'f BTreeMap<String, Format>>) -> Facts<'f> {
        let sources = self.files.iter().map(|it| (it.want.name.as_str(), &it.sources[..])).collect();
        let (entry, descent) = (&self.listed.entry, Descent::NotYet);
        Facts { entry, size_bytes: self.size_bytes(), sources, formats, descent }
    }

    /// Returns what all files take together.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.files.iter().map(|it| it.want.size_bytes).fold(0, u64::saturating_add)
    }
}

/// Returns the URL of a companion that names none: beside the main file.
fn beside(main: &str, filename: &str, companion: &str) -> Option<String> {
    let mut url = Url::parse(main).ok()?;
    let up = filename.split('/').count();
    let mut segments = url.path_segments()?.map(str::to_owned).collect::<Vec<_>>();
    segments.truncate(segments.len().checked_sub(up)?);
    url.set_query(None);
    let mut path = url.path_segments_mut().ok()?;
    path.clear();
    for segment in segments {
        // These come from the URL and are encoded already.
        path.push(&percent_encoding::percent_decode_str(&segment).decode_utf8().ok()?);
    }
    path.extend(companion.split('/'));
    drop(path);
    Some(url.into())
}

fn place_on_hub(source: &Source, written: &Url) -> Option<OnHub> {
    let Source::Hub(file) = source else { return None };
    let decode =
        |text: &str| Some(percent_encoding::percent_decode_str(text).decode_utf8().ok()?.into_owned());
    let commit = CommitId::parse(file.revision()).ok();
    let branch = written.path().split("/resolve/").nth(1)?.split('/').next()?.to_owned();
    let branch = decode(&branch).filter(|it| CommitId::parse(it).is_err());
    Some(OnHub {
        repo: RepoName::parse(&decode(file.repository())?).ok()?,
        path: EntryPath::parse(&decode(file.path())?).ok()?,
        commit,
        branch: branch.and_then(|it| EntryPath::parse(&it).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_companion_without_a_url_stands_beside_the_main_file() {
        let check = |main: &str, filename: &str, companion: &str, expected: &str| {
            assert_eq!(beside(main, filename, companion).as_deref(), Some(expected));
        };
        let base = "https://huggingface.co/o/r/resolve/main";
        check(&format!("{base}/m.bin"), "m.bin", "config.json", &format!("{base}/config.json"));
        check(&format!("{base}/onnx/m.bin"), "onnx/m.bin", "a/b c.json", &format!("{base}/a/b%20c.json"));
        check(&format!("{base}/a%20b/m.bin?x=1"), "m.bin", "c", &format!("{base}/a%20b/c"));
    }
}
