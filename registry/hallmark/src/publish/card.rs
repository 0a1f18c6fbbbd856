//! The model card: what the Hub shows about a model, and the front matter by which it is found there.
//!
//! A card that somebody wrote stays as it is; only the front matter's keys that the entry speaks of are brought in line.

mod front;

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::{Map, Value};

use self::front::Front;
use super::text;

/// Where the Hub's own datasets are.
const DATASETS: &str = "https://huggingface.co/datasets/";

/// The licences that the Hub knows by name; they are SPDX identifiers in lower case.
const LICENSES: &[&str] = &[
    "apache-2.0",
    "mit",
    "afl-3.0",
    "artistic-2.0",
    "bsl-1.0",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsd-3-clause-clear",
    "cc0-1.0",
    "cc-by-2.0",
    "cc-by-2.5",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cc-by-nc-2.0",
    "cc-by-nc-3.0",
    "cc-by-nc-4.0",
    "cc-by-nd-4.0",
    "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0",
    "cdla-sharing-1.0",
    "cdla-permissive-1.0",
    "cdla-permissive-2.0",
    "wtfpl",
    "ecl-2.0",
    "epl-1.0",
    "epl-2.0",
    "etalab-2.0",
    "eupl-1.1",
    "eupl-1.2",
    "agpl-3.0",
    "gpl-2.0",
    "gpl-3.0",
    "lgpl-2.1",
    "lgpl-3.0",
    "isc",
    "lppl-1.3c",
    "ms-pl",
    "mpl-2.0",
    "odbl",
    "osl-3.0",
    "postgresql",
    "ofl-1.1",
    "ncsa",
    "unlicense",
    "zlib",
];

/// Returns a card for an entry: a new one, or the one that is there with its front matter brought in line.
pub(super) fn merged(there: Option<&str>, entry: &Map<String, Value>) -> anyhow::Result<String> {
    let mut front = Front::of(there.unwrap_or_default()).context("read the model card's front matter")?;
    let (license, name) = license(text(entry, "license"));
    if front.text("license").is_none_or(|it| it != license) {
        front.set_text("license", &license);
    }
    if let Some(name) = name {
        front.set_text("license_name", &name);
    }
    let tags = entry.get("semanticTags").and_then(Value::as_array).into_iter().flatten();
    front.add("tags", tags.filter_map(Value::as_str));
    let dataset = entry.get("dataset").and_then(Value::as_object);
    let on_hub = dataset.filter(|it| text(it, "url").starts_with(DATASETS));
    front.add("datasets", on_hub.map(|it| text(it, "id")).into_iter());
    let body = if there.is_none() { body(entry) } else { String::new() };
    Ok(front.write() + &body)
}

/// Returns the Hub's word for a licence, and its own name where the Hub has no word for it.
fn license(expression: &str) -> (String, Option<String>) {
    let lower = expression.to_ascii_lowercase();
    let plain = lower.strip_suffix("-only").or_else(|| lower.strip_suffix("-or-later")).unwrap_or(&lower);
    if LICENSES.contains(&plain) {
        return (plain.to_owned(), None);
    }
    let name = lower.strip_prefix("licenseref-").unwrap_or(&lower);
    ("other".to_owned(), Some(name.split_whitespace().collect::<Vec<_>>().join("-")))
}

/// Writes what a reader wants to know first, out of the entry alone.
fn body(entry: &Map<String, Value>) -> String {
    let mut page = format!("\n# {}\n", text(entry, "id"));
    let description = text(entry, "description");
    if !description.is_empty() {
        let _ = write!(page, "\n{description}\n");
    }
    let part = |name: &str| entry.get(name).and_then(Value::as_object);
    let of = |name: &str, field: &str| part(name).map(|it| text(it, field).to_owned()).unwrap_or_default();
    let size =
        part("artifact").and_then(|it| it.get("sizeBytes")).map(ToString::to_string).unwrap_or_default();
    let at = |name: &str, commit: String| {
        if commit.is_empty() { name.to_owned() } else { format!("{name} at {commit}") }
    };
    let rows = [
        ("Version", text(entry, "version").to_owned()),
        ("File", of("artifact", "filename")),
        ("SHA-256", of("artifact", "sha256")),
        ("Bytes", size),
        ("Licence", text(entry, "license").to_owned()),
        ("Dataset", at(&of("dataset", "id"), of("dataset", "commit"))),
        ("Training code", at(&of("training", "repo"), of("training", "commit"))),
        ("Command", of("training", "command")),
        ("Run", of("provenance", "runId")),
    ];
    page += "\n| | |\n| --- | --- |\n";
    for (name, value) in rows.iter().filter(|it| !it.1.is_empty()) {
        let _ = writeln!(page, "| {name} | {} |", cell(value));
    }
    let metrics = part("provenance").and_then(|it| it.get("metrics")?.as_object());
    if let Some(metrics) = metrics.filter(|it| !it.is_empty()) {
        page += "\n| Metric | Value |\n| --- | --- |\n";
        for (name, value) in metrics {
            let _ = writeln!(page, "| {} | {} |", cell(name), cell(&value.to_string()));
        }
    }
    page + "\n`metadata.json` is the model's entry in its registry's index.\n"
}

fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry() -> Map<String, Value> {
        let entry = json!({"id": "ajna-x-v1", "version": "1.0.0", "license": "Apache-2.0", "semanticTags": ["speech", "432hz"],
            "dataset": {"id": "org/data", "url": "https://huggingface.co/datasets/org/data/tree/0123abc"},
            "provenance": {"runId": "r|1", "metrics": {"loss": 0.5}}});
        entry.as_object().unwrap().clone()
    }

    #[test]
    fn a_new_card_says_what_the_entry_says() {
        let card = merged(None, &entry()).unwrap();
        assert!(card.starts_with("---\nlicense: apache-2.0\ntags:\n- speech\n- \"432hz\"\ndatasets:\n- org/data\n---\n\n# ajna-x-v1\n"), "{card}");
        assert!(card.contains("| Run | r\\|1 |") && card.contains("| loss | 0.5 |"), "{card}");
        assert_eq!(merged(Some(&card), &entry()).unwrap(), card);
    }

    #[test]
    fn a_card_that_is_there_keeps_its_words_and_its_order() {
        let there = "---\n# ours\nlanguage: en\ntags: [voice, speech]\nlicense: mit # old\nwidget:\n- text: hi\n---\r\n# Words\n---\n";
        let card = merged(Some(there), &entry()).unwrap();
        assert_eq!(
            card,
            "---\n# ours\nlanguage: en\ntags:\n- voice\n- speech\n- \"432hz\"\nlicense: apache-2.0\nwidget:\n- text: hi\ndatasets:\n- org/data\n---\r\n# Words\n---\n"
        );
        assert_eq!(merged(Some(&card), &entry()).unwrap(), card);
        let plain = merged(Some("# Words\n"), &entry()).unwrap();
        assert!(plain.ends_with("- org/data\n---\n# Words\n"), "{plain}");
        assert_eq!(merged(Some(&plain), &entry()).unwrap(), plain);
        for broken in ["---\nlicense: mit\n", "---\na: [\n---\n", "---\n- a\n---\n"] {
            assert!(merged(Some(broken), &entry()).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_licence_has_the_hubs_word_or_its_own_name() {
        let check = |expression: &str, word: &str, name: Option<&str>| {
            assert_eq!(license(expression), (word.to_owned(), name.map(str::to_owned)), "{expression}");
        };
        check("MIT", "mit", None);
        check("GPL-3.0-or-later", "gpl-3.0", None);
        check("LicenseRef-llama3", "other", Some("llama3"));
        check("MIT OR Apache-2.0", "other", Some("mit-or-apache-2.0"));
    }
}
