//! GitLab: merge requests of a project.

use serde::Deserialize;
use serde_json::json;

use super::{
    Forge, Method, Note, Page, Question, Request, State, Text, Unreadable, branch_path, escape, link, read,
};

/// How many merge requests come at once.
const PAGE: usize = 20;

pub(crate) struct GitLab {
    pub(crate) web: String,
    pub(crate) api: String,
    pub(crate) path: String,
}

#[derive(Deserialize)]
struct Merge {
    iid: u64,
    web_url: String,
    state: String,
    title: String,
    description: Option<String>,
    source_branch: String,
    /// Gone with a fork.
    source_project_id: Option<u64>,
    target_project_id: u64,
}

impl From<Merge> for Request {
    fn from(it: Merge) -> Self {
        let state = match it.state.as_str() {
            "merged" => State::Merged,
            "closed" => State::Closed,
            // `opened`, and `locked` while it is being merged.
            _ => State::Open,
        };
        let text = Text { title: it.title, body: it.description.unwrap_or_default() };
        Self { number: it.iid, link: link(&it.web_url), state, text }
    }
}

impl GitLab {
    fn ask(&self, method: Method, rest: &str, body: Option<serde_json::Value>) -> Question {
        let project = escape(&self.path);
        Question::new(method, format!("{}/projects/{project}/merge_requests{rest}", self.api), body)
    }
}

impl Forge for GitLab {
    fn find(&self, branch: &str, page: u32) -> Question {
        let branch = escape(branch);
        let order = format!("state=all&order_by=created_at&sort=desc&per_page={PAGE}&page={page}");
        self.ask(Method::Get, &format!("?source_branch={branch}&{order}"), None)
    }

    fn found(&self, branch: &str, body: &[u8]) -> Result<Page, Unreadable> {
        let merges = read::<Vec<Merge>>(body)?;
        let has_more = merges.len() >= PAGE;
        let own =
            |it: &Merge| it.source_branch == branch && it.source_project_id == Some(it.target_project_id);
        Ok(Page { requests: merges.into_iter().filter(own).map(Request::from).collect(), has_more })
    }

    fn open(&self, branch: &str, base: &str, text: &Text) -> Question {
        let body = json!({
            "source_branch": branch, "target_branch": base, "title": text.title, "description": text.body,
            "remove_source_branch": true
        });
        self.ask(Method::Post, "", Some(body))
    }

    fn update(&self, number: u64, text: &Text) -> Question {
        let body = json!({ "title": text.title, "description": text.body });
        self.ask(Method::Put, &format!("/{number}"), Some(body))
    }

    fn request(&self, body: &[u8]) -> Result<Request, Unreadable> {
        read::<Merge>(body).map(Request::from)
    }

    fn notes(&self, number: u64, page: u32) -> Option<Question> {
        Some(self.ask(Method::Get, &format!("/{number}/notes?per_page=100&page={page}"), None))
    }

    fn note(&self, number: u64, text: &str) -> Question {
        self.ask(Method::Post, &format!("/{number}/notes"), Some(json!({ "body": text })))
    }

    fn renote(&self, number: u64, note: u64, text: &str) -> Question {
        self.ask(Method::Put, &format!("/{number}/notes/{note}"), Some(json!({ "body": text })))
    }

    fn noted(&self, body: &[u8]) -> Result<Vec<Note>, Unreadable> {
        read(body)
    }

    fn credentials(&self, token: &str) -> (&'static str, String) {
        ("private-token", token.to_owned())
    }

    fn compare_link(&self, base: &str, branch: &str) -> String {
        format!("{}/{}/-/compare/{}...{}", self.web, self.path, branch_path(base), branch_path(branch))
    }
}
