//! Says what was published.

use anyhow::Context as _;
use catalog::edit::Change;
use serde_json::json;
use vault::upload::Committed;

use super::{Arguments, files::Listed};
use crate::out::counted;

pub(super) fn missing(listed: &[Listed], wrong: &[String]) -> String {
    let lines = wrong.iter().map(|it| format!("  {it}\n")).collect::<Vec<_>>().concat();
    let files = counted(listed.len() as u64, "file");
    format!(
        "The entry lists {files}, and what is here does not match:\n{lines}\
         Nothing was published. `hallmark add` revises an entry.\n"
    )
}

pub(super) fn done(
    arguments: &Arguments,
    listed: &[Listed],
    committed: &Committed,
    change: &Change,
) -> anyhow::Result<String> {
    let Committed { commit, changed } = committed;
    if arguments.json {
        let page = json!({ "repository": arguments.repo, "branch": arguments.branch, "commit": commit,
            "changed": changed, "verified": listed.iter().map(|it| &it.path).collect::<Vec<_>>(),
            "index": arguments.index, "index_changed": *change != Change::Nothing });
        return Ok(serde_json::to_string_pretty(&page).context("write the result as JSON")? + "\n");
    }
    let mut page = if changed.is_empty() {
        format!("{} has all of this already, at {commit}: no commit.\n", arguments.repo)
    } else {
        let files = changed.iter().map(|it| format!("  {it}\n")).collect::<Vec<_>>().concat();
        format!("{} has a new commit {commit}:\n{files}", arguments.repo)
    };
    let verified = counted(listed.len() as u64, "file");
    let now = if *change == Change::Nothing { "already" } else { "now" };
    page.extend([
        format!("Fetched back and verified: {verified}.\n"),
        format!("{} names this place {now}.\n", arguments.index.display()),
    ]);
    Ok(page)
}
