//! One card in a file: check, lint, explain.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use ::lineage::{Flaw, Item};
use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use crate::{Outcome, out};

/// A file that is larger than this holds no card, no model and no UPDATE.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(super) struct Check {
    /// The card
    item: PathBuf,
    /// For programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Lint {
    /// The draft
    item: PathBuf,
    /// Write straight quotes into the file
    #[arg(long)]
    fix: bool,
}

/// The answer of `check` as programs get it.
#[derive(Serialize)]
struct Verdict {
    valid: bool,
    item_hash: Option<String>,
    flaws: Vec<Flaw>,
    notes: Vec<String>,
}

pub(super) fn check(arguments: &Check) -> anyhow::Result<Outcome> {
    let name = arguments.item.display();
    let verdict = match Item::admit(&read(&arguments.item)?) {
        Ok(item) => {
            Verdict { valid: true, item_hash: Some(item.hash_text()), flaws: Vec::new(), notes: item.notes() }
        }
        Err(flaws) => Verdict { valid: false, item_hash: None, flaws, notes: Vec::new() },
    };
    if arguments.json {
        let text = serde_json::to_string_pretty(&verdict).context("write the verdict as JSON")?;
        out::print(&(text + "\n"))?;
    } else {
        let flaws = verdict.flaws.iter().map(|it| format!("{name}: {}\n", indented(it)));
        let notes = verdict.notes.iter().map(|it| format!("{name}: note: {it}\n"));
        let valid = verdict.item_hash.iter().map(|it| format!("{name}: valid: item_hash {it}\n"));
        out::print(&flaws.chain(notes).chain(valid).collect::<String>())?;
    }
    Ok(if verdict.valid { Outcome::Holds } else { Outcome::DoesNotHold })
}

pub(super) fn lint(arguments: &Lint) -> anyhow::Result<Outcome> {
    let name = arguments.item.display();
    let draft = read(&arguments.item)?;
    let Some(mended) = ::lineage::lint::fix(&draft) else {
        // What is wrong besides quotes is what a check says.
        let flaws = Item::read(&draft).err().unwrap_or_default();
        return refuse(&arguments.item, &flaws).map(|()| Outcome::DoesNotHold);
    };
    if mended == draft {
        out::print(&format!("{name}: nothing to mend\n"))?;
        return Ok(Outcome::Holds);
    }
    if !arguments.fix {
        out::print(&format!("{name}: its quotes are typographic; `hallmark lineage lint --fix` mends it\n"))?;
        return Ok(Outcome::DoesNotHold);
    }
    replace(&arguments.item, &mended).with_context(|| format!("write {name}"))?;
    out::print(&format!("{name}: mended\n"))?;
    Ok(Outcome::Holds)
}

/// Puts the text in the place of a file, whole or not at all.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(fs::metadata(path)?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

pub(super) fn explain(path: &Path) -> anyhow::Result<Outcome> {
    match Item::read(&read(path)?) {
        Ok(item) => out::print(&::lineage::explain(&item)).map(|()| Outcome::Holds),
        Err(flaws) => {
            refuse(path, &flaws)?;
            Ok(Outcome::DoesNotHold)
        }
    }
}

/// Says what is wrong with a file.
pub(super) fn refuse(path: &Path, flaws: &[Flaw]) -> anyhow::Result<()> {
    let lines: Vec<String> =
        flaws.iter().map(|it| format!("{}: {}\n", path.display(), indented(it))).collect();
    out::print(&lines.concat())
}

/// A flaw whose text has a caret takes several lines.
fn indented(flaw: &Flaw) -> String {
    flaw.to_string().replace('\n', "\n    ")
}

/// Reads a small text file.
pub(super) fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let file = fs::File::open(path).with_context(|| format!("open {}", path.display()))?;
    let length = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    let length = length.with_context(|| format!("read {}", path.display()))?;
    anyhow::ensure!(length as u64 <= FILE_BYTES_MAX, "{} is larger than a mebibyte", path.display());
    Ok(text)
}
