//! Forgejo and GitLab, as far as hallmark reads them.

use serde_json::{Value, json};

use super::{super::described::asked, Asked, Inner, Pull};

/// How many pull requests Forgejo gives at once, whatever it is asked for.
const PAGE: usize = 2;

pub(super) fn list_forgejo(inner: &Inner, pulls: &[Pull], query: &[(String, String)]) -> Value {
    let page = asked(query, "page").map_or(1, |it| it.parse::<usize>().unwrap());
    let newest = pulls.iter().rev().skip((page - 1) * PAGE).take(PAGE);
    newest.map(|it| show_forgejo(inner, it)).collect()
}

pub(super) fn show_forgejo(inner: &Inner, pull: &Pull) -> Value {
    let end = |branch: &str| json!({ "label": branch, "ref": branch, "sha": "1".repeat(40), "repo_id": 7 });
    json!({
        "id": 100 + pull.number, "number": pull.number, "title": pull.title, "body": pull.body,
        "state": if pull.is_open { "open" } else { "closed" }, "merged": pull.is_merged,
        "html_url": format!("{}/org/models/pulls/{}", inner.url, pull.number),
        "head": end(&pull.branch), "base": end(&pull.base)
    })
}

pub(super) fn list_gitlab(inner: &Inner, pulls: &[Pull], query: &[(String, String)]) -> Value {
    let branch = asked(query, "source_branch");
    if asked(query, "page").is_some_and(|it| it != "1") {
        return json!([]);
    }
    let fits = |it: &&Pull| branch.is_none_or(|branch| branch == it.branch);
    pulls.iter().rev().filter(fits).map(|it| show_gitlab(inner, it)).collect()
}

pub(super) fn show_gitlab(inner: &Inner, pull: &Pull) -> Value {
    let state = match (pull.is_merged, pull.is_open) {
        (true, _) => "merged",
        (_, true) => "opened",
        _ => "closed",
    };
    json!({
        "id": 100 + pull.number, "iid": pull.number, "project_id": 7, "title": pull.title,
        "description": pull.body, "state": state, "source_branch": pull.branch, "target_branch": pull.base,
        "source_project_id": 7, "target_project_id": 7,
        "web_url": format!("{}/org/models/-/merge_requests/{}", inner.url, pull.number)
    })
}

pub(super) fn read_gitlab(method: &str, path: &str, body: &Value) -> Option<Asked> {
    let rest = path.strip_prefix("/projects/org%2Fmodels/merge_requests")?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let parts = rest.trim_matches('/').split('/').collect::<Vec<_>>();
    match (method, parts.as_slice()) {
        ("GET", [""]) => Some(Asked::List),
        ("POST", [""]) => Some(Asked::Open {
            branch: text("source_branch")?,
            base: text("target_branch")?,
            title: text("title")?,
            body: text("description").unwrap_or_default(),
        }),
        ("PUT", [number]) => Some(Asked::Change {
            number: number.parse().ok()?,
            title: text("title"),
            body: text("description"),
        }),
        ("GET", [number, "notes"]) => Some(Asked::Notes { number: number.parse().ok()? }),
        ("POST", [number, "notes"]) => {
            Some(Asked::Note { number: number.parse().ok()?, text: text("body")? })
        }
        ("PUT", [_, "notes", id]) => Some(Asked::Renote { id: id.parse().ok()?, text: text("body")? }),
        _ => None,
    }
}
