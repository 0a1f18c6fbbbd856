//! What can be checked about an entry: schema and rules, and the bytes behind its URLs.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use anyhow::Context as _;
use base::{ModelId, SystemClock};
use catalog::{Listed, Report, Severity};
use indicatif::HumanBytes;
use proposal::review::{Check, Verdict};
use serde_json::{Value, json};
use vault::{DiskRoom, Downloader, Progress, Promise, Shelf, Want};

use crate::{
    config::Config,
    delivery::fetch::{self, Fetched},
    order::{Order, Places},
    out::counted,
    sync::watchers::{Style, Watchers},
};

/// How much of a reason is kept for a table.
const WHY_CHARS_MAX: usize = 500;

/// Says whether an entry holds, and what there is to say about that. Warnings about it refuse it, unless they may be;
/// warnings about other entries are no reason to refuse this one.
pub(crate) fn schema_and_rules(report: &Report, id: &ModelId, may_warn: bool) -> (Check, bool) {
    let name = "schema and rules";
    let own = report.flaws.iter().filter(|it| it.model.as_deref() == Some(id.as_str()));
    let own = own.map(|it| it.message.as_str()).collect::<Vec<_>>();
    let errors = report.flaws.iter().filter(|it| it.severity == Severity::Error).count();
    let (verdict, detail) = match own.as_slice() {
        _ if errors > 0 => (Verdict::Failed, format!("{} in the index", counted(errors as u64, "error"))),
        [] => (Verdict::Passed, "no error and no warning about this entry".to_owned()),
        said => {
            let verdict = if may_warn { Verdict::Skipped } else { Verdict::Failed };
            (verdict, cut(&format!("{}: {}", counted(said.len() as u64, "warning"), said.join("; "))))
        }
    };
    (Check::new(name, verdict, detail), verdict != Verdict::Failed)
}

/// Fetches every file of an entry from where the entry says, and compares it with what the entry promises. What is on
/// this machine already, or on a mirror, proves nothing here and is not looked at.
pub(crate) fn checksums(config: &Config, listed: &Arc<Listed>, state: &Path) -> anyhow::Result<Vec<Check>> {
    let name = "checksum";
    let mut away = config.clone();
    away.vault.seeds.clear();
    away.vault.mirrors.clear();
    if listed.is_stub {
        return Ok(vec![Check::new(
            name,
            Verdict::Skipped,
            "the entry holds placeholders: there is nothing to fetch",
        )]);
    }
    let order = match Order::of(listed, &Places::of(&away)?) {
        Ok(order) => order,
        Err(error) => {
            let why = cut(&format!("{:#}", anyhow::Error::from(error)));
            return Ok(vec![Check::new(name, Verdict::Failed, why)]);
        }
    };
    // The policy says what this host may run, not where others may keep their models.
    let wants = order.files.iter().map(|it| Want { sources: it.sources.clone(), ..it.want.clone() });
    let wants = wants.map(|it| (it.digest, it)).collect::<BTreeMap<_, _>>();
    let (count, bytes) = (wants.len() as u64, wants.values().map(|it| it.size_bytes).sum::<u64>());
    let whys = fetch_all(&away, &wants.into_values().collect::<Vec<_>>(), state)?;
    Ok(vec![if whys.is_empty() {
        let detail = format!(
            "{} ({}) fetched from where the entry says, with the sha256 and the size that it says",
            counted(count, "file"),
            HumanBytes(bytes)
        );
        Check::new(name, Verdict::Passed, detail)
    } else {
        Check::new(name, Verdict::Failed, cut(&whys.join("; ")))
    }])
}

/// Fetches files into a folder that goes away again, and returns why some are not what was promised.
fn fetch_all(config: &Config, wants: &[Want], state: &Path) -> anyhow::Result<Vec<String>> {
    std::fs::create_dir_all(state).with_context(|| format!("make the folder {}", state.display()))?;
    let folder = tempfile::Builder::new().prefix("compare-").tempdir_in(state);
    let folder = folder.context("make a folder for what is fetched")?;
    let shelf = Shelf::open(folder.path()).context("make a folder for what is fetched")?;
    let settings = config.settings().map_err(anyhow::Error::msg)?;
    let downloader = Downloader::new(settings, Arc::new(SystemClock), Arc::new(DiskRoom));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let watchers = Watchers::new(Style::of_terminal(), wants.len());
    let whys = runtime.context("start the runtime")?.block_on(async {
        let mut whys = Vec::new();
        for want in wants {
            let watcher = watchers.file(want);
            let progress: Arc<dyn Progress> = watcher.clone();
            let fetched = fetch::one(&downloader, &shelf, want, Promise::Kept, &progress).await;
            watcher.ended(&fetched);
            if let Fetched::Failed { why, .. } | Fetched::Wrong { why } = fetched {
                // What follows speaks of the folder that goes away.
                whys.extend(why.lines().next().map(str::to_owned));
            }
        }
        whys
    });
    Ok(whys)
}

pub(crate) fn cut(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown = line.chars().take(WHY_CHARS_MAX).collect::<String>();
    if shown.len() < line.len() {
        shown.push('…');
    }
    shown
}

/// Lists checks for programs.
pub(crate) fn listed(checks: &[Check]) -> Vec<Value> {
    let word = |it: Verdict| match it {
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
        Verdict::Skipped => "skipped",
    };
    let line = |it: &Check| json!({ "check": it.name, "outcome": word(it.verdict), "detail": it.detail });
    checks.iter().map(line).collect()
}
