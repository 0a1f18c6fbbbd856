//! What the logs of a training run say, put into the entry.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use training::{Run, Usual};

use super::sheet::Sheet;

const METRICS: &str = "/provenance/metrics";

/// The metrics that an entry has fields of its own for.
const USUAL: [(Usual, &str); 3] =
    [(Usual::Loss, "loss"), (Usual::Accuracy, "accuracy"), (Usual::Perplexity, "perplexity")];

/// Reads the logs, each over the one before it.
pub(super) fn read(logs: &[PathBuf], sheet: &mut Sheet) -> anyhow::Result<()> {
    let mut measured = Vec::new();
    for path in logs {
        let shown = path.display();
        let log = File::open(path).with_context(|| format!("open {shown}"))?;
        let mut run = training::read(log).with_context(|| format!("read the log {shown}"))?;
        run.run_id = run.run_id.or_else(|| named(path));
        let source = format!("{shown} ({})", run.format);
        take(&run, &source, sheet);
        measured.push((source, run));
    }
    // Of several logs the last one that has such a metric says it.
    for (usual, field) in USUAL {
        let found = measured.iter().rev().find_map(|(source, run)| Some((source, run.usual(usual)?)));
        let Some((source, (name, value))) = found else { continue };
        if usual == Usual::Accuracy && !(0.0..=1.0).contains(&value) {
            sheet.remark(format!(
                "{source}: {name} is {value}, no share from 0 to 1, so it is not taken for the accuracy"
            ));
        } else if name != field {
            sheet.set(&format!("{source}, {name}"), &metric(field), value);
        }
    }
    Ok(())
}

fn take(run: &Run, source: &str, sheet: &mut Sheet) {
    for (name, value) in &run.metrics {
        // A field of its own has a form of its own; what does not fit is said where the usual metrics are.
        if name != "accuracy" || (0.0..=1.0).contains(value) {
            sheet.set(source, &metric(name), *value);
        }
    }
    if !run.metrics.is_empty() || !run.left_out.is_empty() {
        // A run in which nothing came out as a number has metrics all the same: none.
        sheet.fill(source, METRICS, Value::Object(serde_json::Map::new()));
    }
    for left_out in &run.left_out {
        sheet.drop_field(&metric(&left_out.name));
        sheet.remark(format!("{source}: {} ended as {}, so it was kept out", left_out.name, left_out.value));
    }
    let mut set = |pointer: &str, value: Option<Value>| {
        if let Some(value) = value {
            sheet.set(source, pointer, value);
        }
    };
    let text = |it: &Option<String>| it.clone().map(Value::from);
    set("/provenance/runId", text(&run.run_id));
    set("/provenance/timestamp", run.written_at.and_then(|it| date(it.0)).map(Value::from));
    set("/provenance/reproducibility/seed", run.seed.map(Value::from));
    set("/provenance/reproducibility/environment", text(&run.environment));
    set("/training/duration", run.duration_seconds.filter(|it| *it >= 0.001).map(duration).map(Value::from));
    set("/training/hardware", text(&run.hardware));
    set("/training/command", text(&run.command));
    code(run, source, sheet);
    for remark in &run.remarks {
        sheet.remark(format!("{source}: {remark}"));
    }
}

/// Takes the commit that the run itself noted, which is what ran, whatever is checked out now.
fn code(run: &Run, source: &str, sheet: &mut Sheet) {
    let Some(commit) = run.commit.as_deref().filter(|it| is_commit(it)) else { return };
    match sheet.get("/training/commit").and_then(Value::as_str) {
        Some(now) if now == commit => return,
        Some(now) => {
            let remark = format!(
                "{source}: the run was of commit {commit}; {now}, which is checked out now, is not taken"
            );
            sheet.remark(remark);
            sheet.drop_field("/training/treeClean");
        }
        None => {}
    }
    sheet.set(source, "/training/commit", commit);
    if let Some(url) = run.repository.as_deref().and_then(catalog::work_tree::public) {
        sheet.set(source, "/training/repo", url);
    }
}

fn is_commit(text: &str) -> bool {
    (7..=40).contains(&text.len()) && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

/// Finds the id in the name of a folder as Weights & Biases names it: `offline-run-20240131_120000-abc123`.
fn named(path: &Path) -> Option<String> {
    path.ancestors().filter_map(|it| it.file_name()?.to_str()).find_map(|name| {
        let name = name.strip_prefix("offline-").unwrap_or(name).strip_prefix("run-")?;
        let (moment, id) = name.split_once('-')?;
        let digits = |it: &str, count: usize| it.len() == count && it.bytes().all(|it| it.is_ascii_digit());
        let (day, second) = moment.split_once('_')?;
        let plain = id.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'));
        (digits(day, 8) && digits(second, 6) && plain && !id.is_empty()).then(|| id.to_owned())
    })
}

fn metric(name: &str) -> String {
    format!("{METRICS}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn date(seconds: u64) -> Option<String> {
    OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?.format(&Rfc3339).ok()
}

/// Writes a time as the schema's example does: `4h30m`, and seconds where it is short.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "no run takes so long")]
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, _) if seconds < 10.0 => format!("{}s", (seconds * 1000.0).round() / 1000.0),
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_weights_and_biases_is_named_by_its_folder() {
        let check =
            |path: &str, id: Option<&str>| assert_eq!(named(Path::new(path)).as_deref(), id, "{path}");
        check("wandb/offline-run-20261121_095745-cz86teex/files/config.yaml", Some("cz86teex"));
        check("wandb/run-20261121_095745-my_run-2/files/wandb-summary.json", Some("my_run-2"));
        check("wandb/latest-run/files/config.yaml", None);
        check("run-2024/metrics.csv", None);
    }

    #[test]
    fn a_duration_is_written_as_people_say_it() {
        let check = |seconds: f64, text: &str| assert_eq!(duration(seconds), text);
        check(16_200.4, "4h30m");
        check(65.0, "1m05s");
        check(12.4, "12s");
        check(1.2345, "1.235s");
    }
}
