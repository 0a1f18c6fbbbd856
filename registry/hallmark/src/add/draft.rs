//! From what was given to an entry, and the list of what is still missing.

use std::io;

use anyhow::Context as _;
use catalog::{
    Bump, Contract,
    schema::{Field, Guide},
    work_tree,
};
use semver::Version;
use serde_json::{Map, Value};
use vault::inspect::{Flaw, Format, Inspected};

pub(super) use super::sheet::Used;
use super::{
    ask::ask,
    bytes::{Measured, measure},
    companions,
    facts::Facts,
    logs,
    sheet::{Sheet, plain},
    stub::placeholder,
};

/// What belongs to the bytes or to the run that made them, and is not carried over to other bytes.
const OF_THE_BYTES: [&str; 9] = [
    "/artifact",
    "/dataset/commit",
    "/training/commit",
    "/training/treeClean",
    "/training/duration",
    "/provenance/runId",
    "/provenance/timestamp",
    "/provenance/metrics",
    "/provenance/reproducibility",
];

/// An entry as far as it could be made, and how.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// The entry.
    pub(crate) entry: Map<String, Value>,
    /// The one that it revises.
    pub(crate) previous: Option<Map<String, Value>>,
    /// Where its fields came from.
    pub(crate) used: Vec<Used>,
    /// What it has to have and has not.
    pub(crate) missing: Vec<Field>,
    /// Why it cannot be written even if nothing is missing.
    pub(crate) objections: Vec<String>,
    /// What a reader should know besides.
    pub(crate) remarks: Vec<String>,
}

impl Draft {
    /// Says whether nothing is missing and nothing stands against it.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.objections.is_empty()
    }
}

/// Makes an entry for an index out of the facts. Reads files; writes nothing.
pub(crate) fn draft(facts: &Facts, index: &[u8], contract: &Contract) -> anyhow::Result<Draft> {
    let guide = contract.guide();
    let previous = catalog::edit::find(index, facts.id.as_str())?;
    let main = measure(&facts.file)?;
    let mut draft = Draft {
        entry: Map::new(),
        previous: None,
        used: Vec::new(),
        missing: Vec::new(),
        objections: objections(facts, &main.inspected),
        remarks: Vec::new(),
    };
    let mut sheet = Sheet::default();
    let changed = carry_over(previous.as_ref(), &main, &mut sheet);
    from_id(facts, &guide, &mut sheet);
    from_file(facts, &main, &mut sheet)?;
    from_companions(facts, previous.as_ref(), &mut sheet)?;
    from_repository(facts, &mut sheet)?;
    logs::read(&facts.log, &mut sheet)?;
    from_flags(facts, &guide, &mut sheet)?;
    raise_version(facts, previous.as_ref(), changed, &mut sheet, &mut draft.objections);
    draft.missing = complete(facts, &guide, &mut sheet)?;
    let Sheet { entry, used, remarks } = sheet;
    draft.remarks.extend(remarks);
    Ok(Draft { entry, previous, used, ..draft })
}

/// Lists what a file is refused for: an entry would promise what no client can load.
fn objections(facts: &Facts, inspected: &Inspected) -> Vec<String> {
    let refused = inspected.flaws.iter().filter(|it| !matches!(it, Flaw::CanRunCode { .. }));
    refused.map(|flaw| format!("{} is not what it should be: {flaw}", facts.file.display())).collect()
}

/// Takes what the entry says already. Says whether its bytes are others now.
fn carry_over(previous: Option<&Map<String, Value>>, main: &Measured, sheet: &mut Sheet) -> bool {
    let Some(previous) = previous else { return false };
    sheet.entry.clone_from(previous);
    let digest = sheet.get("/artifact/sha256").and_then(Value::as_str);
    if digest == Some(main.digest.to_string().as_str()) {
        return false;
    }
    let dropped = OF_THE_BYTES.into_iter().filter(|it| sheet.remove(it)).map(plain).collect::<Vec<_>>();
    sheet.remark(format!(
        "the bytes are new, so what belonged to the old ones was dropped: {}",
        dropped.join(", ")
    ));
    true
}

fn from_id(facts: &Facts, guide: &Guide<'_>, sheet: &mut Sheet) {
    sheet.set("--id", "/id", facts.id.as_str());
    let of_the_schema =
        |name: &str| guide.field("/chakra").is_some_and(|field| field.choices.iter().any(|it| it == name));
    if let Some(chakra) = facts.id.chakra().filter(|it| of_the_schema(it)) {
        sheet.fill("--id", "/chakra", chakra);
    }
    if let Some(major) = facts.id.major() {
        sheet.fill("--id", "/version", Version::new(major, 0, 0).to_string());
    }
}

fn from_file(facts: &Facts, main: &Measured, sheet: &mut Sheet) -> anyhow::Result<()> {
    let source = facts.file.display().to_string();
    let name = facts.file.file_name().and_then(|it| it.to_str());
    let name = name.with_context(|| format!("{source} has no name in UTF-8"))?;
    sheet.set(&source, "/artifact/filename", name);
    sheet.set(&source, "/artifact/sha256", main.digest.to_string());
    sheet.set(&source, "/artifact/sizeBytes", main.size_bytes);
    let Inspected { format, architecture, parameters, dtypes, flaws, .. } = &main.inspected;
    if let Some(format) = format_name(*format) {
        sheet.set(&source, "/artifact/format", format);
    }
    if let Some(architecture) = architecture {
        sheet.set(&source, "/artifact/architecture", architecture.as_str());
    }
    if *parameters > 0 {
        sheet.set(&source, "/artifact/parameters", *parameters);
        let types = dtypes.keys().map(|it| Value::from(it.as_str())).collect::<Vec<_>>();
        sheet.set(&source, "/artifact/dtypes", types);
    }
    for flaw in flaws.iter().filter(|it| matches!(it, Flaw::CanRunCode { .. })) {
        sheet.remark(format!("{source}: {flaw}"));
    }
    statements(&main.inspected, &source, sheet);
    Ok(())
}

/// Takes what the file states about itself, where the entry says nothing yet: people know better.
fn statements(inspected: &Inspected, source: &str, sheet: &mut Sheet) {
    let stated = |name: &str| inspected.stated.get(name).map(|it| it.trim());
    if let Some(license) = stated("license") {
        let known = spdx::identifiers::LICENSES.iter().find(|it| it.name.eq_ignore_ascii_case(license));
        match (known, sheet.get("/license").and_then(Value::as_str).map(str::to_owned)) {
            (Some(known), None) => sheet.set(source, "/license", known.name),
            (Some(known), Some(said)) if said == known.name => {}
            (_, said) => {
                let said = said.map_or_else(
                    || "it is no SPDX identifier".to_owned(),
                    |it| format!("the entry says {it:?}"),
                );
                sheet.remark(format!("{source} states the licence {license:?}, but {said}"));
            }
        }
    }
    for (name, pointer) in [("author", "/provenance/creator"), ("description", "/description")] {
        if let Some(text) = stated(name).filter(|it| !it.contains(char::is_control)) {
            sheet.fill(source, pointer, text);
        }
    }
}

/// Returns the name that a format has in an entry.
fn format_name(format: Format) -> Option<&'static str> {
    match format {
        Format::Safetensors => Some("safetensors"),
        Format::Gguf => Some("gguf"),
        Format::Onnx => Some("onnx"),
        Format::PytorchZip => Some("pytorch"),
        Format::Pickle => Some("pickle"),
        Format::Zip | Format::Json | Format::Text | Format::Empty | Format::Unknown => None,
    }
}

fn from_companions(
    facts: &Facts,
    previous: Option<&Map<String, Value>>,
    sheet: &mut Sheet,
) -> anyhow::Result<()> {
    if facts.with.is_empty() {
        return Ok(());
    }
    let old = previous.and_then(|it| it.get("artifact")?.get("files")?.as_array());
    let mut files = Vec::new();
    for companion in companions::find(&facts.with, &facts.file)? {
        let mut file = companions::listed(&companion)?;
        // The same bytes in the same place are still fetched from where they were.
        let same = |it: &&Value| it["path"] == file["path"] && it["sha256"] == file["sha256"];
        if let Some(url) = old.into_iter().flatten().find(same).and_then(|it| it.get("downloadUrl")) {
            file["downloadUrl"] = url.clone();
        }
        files.push(file);
    }
    sheet.set("--with", "/artifact/files", files);
    Ok(())
}

fn from_repository(facts: &Facts, sheet: &mut Sheet) -> anyhow::Result<()> {
    let Some(folder) = &facts.training_repo else { return Ok(()) };
    let tree = work_tree::look(folder)?;
    let source = folder.display().to_string();
    match &tree.url {
        Some(url) => sheet.set(&source, "/training/repo", url.as_str()),
        None => sheet.remark(format!("{source} has no remote, so training.repo is not known from it")),
    }
    sheet.set(&source, "/training/commit", tree.commit.to_string());
    sheet.set(&source, "/training/treeClean", tree.clean);
    if !tree.clean {
        sheet.remark(format!(
            "{source} has changes that are not committed: the commit is not all that was run"
        ));
    }
    if tree.url.is_some() && !tree.published {
        sheet.remark(format!("no branch of a remote is known to have commit {}: push it", tree.commit));
    }
    Ok(())
}

fn from_flags(facts: &Facts, guide: &Guide<'_>, sheet: &mut Sheet) -> anyhow::Result<()> {
    if let Some(dataset) = &facts.dataset {
        sheet.set("--dataset", "/dataset/id", dataset.id.as_str());
        sheet.set("--dataset", "/dataset/commit", dataset.commit.as_str());
        sheet.set("--dataset", "/dataset/url", dataset.url());
    }
    if let Some(url) = &facts.url {
        sheet.set("--url", "/artifact/downloadUrl", url.as_str());
    }
    for given in &facts.set {
        sheet.set("--set", &given.pointer, given.value(guide)?);
    }
    Ok(())
}

/// Raises the version where that was asked for and there is something new.
fn raise_version(
    facts: &Facts,
    previous: Option<&Map<String, Value>>,
    changed: bool,
    sheet: &mut Sheet,
    objections: &mut Vec<String>,
) {
    let version = |it: &Map<String, Value>| it.get("version").and_then(Value::as_str).map(str::to_owned);
    let Some(previous) = previous else {
        if facts.bump.is_some() {
            objections
                .push(format!("--bump: {} is not in the index yet, so it has no version to raise", facts.id));
        }
        return;
    };
    let old = version(previous);
    if let Some(part) = facts.bump {
        let parsed = old.as_deref().map(Version::parse);
        match parsed {
            _ if sheet.entry == *previous => sheet.remark("nothing is new, so the version stays"),
            Some(Ok(old)) => sheet.set("--bump", "/version", Bump::from(part).after(&old).to_string()),
            _ => objections
                .push("--bump: the entry's version is no semantic version; give --set version=…".into()),
        }
    } else if changed && version(&sheet.entry) == old {
        let old = old.unwrap_or_default();
        objections.push(format!(
            "the bytes are not those of version {old}: say which version they are, by --bump major, minor or patch, or \
             --set version=…"
        ));
    }
}

/// Asks for what is missing, or puts placeholders there, where that is wanted. Returns what is missing after that.
fn complete(facts: &Facts, guide: &Guide<'_>, sheet: &mut Sheet) -> anyhow::Result<Vec<Field>> {
    let mut missing = guide.missing(&sheet.entry);
    if facts.interactive {
        let (mut from, mut to) = (io::stdin().lock(), io::stderr().lock());
        for field in &missing {
            if let Some(value) = ask(field, &mut from, &mut to)? {
                sheet.set("--interactive", &field.pointer, value);
            }
        }
        missing = guide.missing(&sheet.entry);
    }
    if facts.allow_stub {
        for field in &missing {
            if let Some(value) = placeholder(field) {
                sheet.set("--allow-stub", &field.pointer, value);
            }
        }
        missing = guide.missing(&sheet.entry);
    }
    Ok(missing)
}
