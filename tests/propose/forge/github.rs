//! GitHub, in the words of its own examples.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    super::described::{asked, filled},
    Asked, Inner, Pull,
};

/// Reads what is asked for.
pub(super) fn read(method: &str, path: &str, body: &Value) -> Option<Asked> {
    let rest = path.strip_prefix("/repos/org/models/")?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let parts = rest.split('/').collect::<Vec<_>>();
    match (method, parts.as_slice()) {
        ("GET", ["pulls"]) => Some(Asked::List),
        ("POST", ["pulls"]) => Some(Asked::Open {
            branch: text("head")?,
            base: text("base")?,
            title: text("title")?,
            body: text("body").unwrap_or_default(),
        }),
        ("PATCH", ["pulls", number]) => {
            Some(Asked::Change { number: number.parse().ok()?, title: text("title"), body: text("body") })
        }
        ("GET", ["issues", number, "comments"]) => Some(Asked::Notes { number: number.parse().ok()? }),
        ("POST", ["issues", number, "comments"]) => {
            Some(Asked::Note { number: number.parse().ok()?, text: text("body")? })
        }
        ("PATCH", ["issues", "comments", id]) => {
            Some(Asked::Renote { id: id.parse().ok()?, text: text("body")? })
        }
        _ => None,
    }
}

/// Lists the pull requests that a query asks for, newest first.
pub(super) fn list(inner: &Inner, pulls: &[Pull], query: &[(String, String)]) -> Value {
    let head = asked(query, "head").map(|it| it.strip_prefix("org:").unwrap_or("another owner's"));
    let state = asked(query, "state").unwrap_or("open");
    let fits = |it: &&Pull| {
        head.is_none_or(|head| head == it.branch) && (state == "all" || (state == "open") == it.is_open)
    };
    if asked(query, "page").is_some_and(|it| it != "1") {
        return json!([]);
    }
    let example = inner.described.example("GET", "/repos/o/r/pulls", 200).expect("an example");
    pulls.iter().rev().filter(fits).map(|it| fill(inner, example[0].clone(), it)).collect()
}

/// Shows one pull request.
pub(super) fn show(inner: &Inner, pull: &Pull, method: &str) -> Value {
    let (path, code) = if method == "POST" { ("/repos/o/r/pulls", 201) } else { ("/repos/o/r/pulls/1", 200) };
    fill(inner, inner.described.example(method, path, code).expect("an example"), pull)
}

pub(super) fn show_note(inner: &Inner, id: u64, text: &str) -> Value {
    let example = inner.described.example("POST", "/repos/o/r/issues/1/comments", 201).expect("an example");
    filled(example, BTreeMap::from([("/id", json!(id)), ("/body", json!(text))]))
}

fn fill(inner: &Inner, example: Value, pull: &Pull) -> Value {
    let merged = if pull.is_merged { json!("2026-11-08T12:00:00Z") } else { Value::Null };
    let values = BTreeMap::from([
        ("/number", json!(pull.number)),
        ("/html_url", json!(format!("{}/org/models/pull/{}", inner.url, pull.number))),
        ("/state", json!(if pull.is_open { "open" } else { "closed" })),
        ("/merged_at", merged),
        // Here the example lacks what the description asks for.
        ("/requested_teams", json!([])),
        ("/title", json!(pull.title)),
        ("/body", json!(pull.body)),
        ("/head/ref", json!(pull.branch)),
        ("/head/label", json!(format!("org:{}", pull.branch))),
        ("/head/repo/full_name", json!("org/models")),
        ("/base/ref", json!(pull.base)),
        ("/base/repo/full_name", json!("org/models")),
    ]);
    filled(example, values)
}
