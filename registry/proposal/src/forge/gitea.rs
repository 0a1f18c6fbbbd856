//! Forgejo and Gitea.

use serde::Deserialize;

use super::{
    Forge, Method, Note, Page, Question, Request, State, Text, Unreadable, branch_path, link, pulls::Pulls,
    read,
};

/// How many pull requests come at once: no server gives more than 50.
const PAGE: usize = 50;

pub(crate) struct Gitea {
    web: String,
    pulls: Pulls,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    html_url: String,
    state: String,
    #[serde(default)]
    merged: bool,
    title: String,
    #[serde(default)]
    body: String,
    head: End,
    base: End,
}

#[derive(Deserialize)]
struct End {
    #[serde(rename = "ref")]
    branch: String,
    repo_id: i64,
}

impl From<Pull> for Request {
    fn from(it: Pull) -> Self {
        let state = match (it.merged, it.state.as_str()) {
            (true, _) => State::Merged,
            (false, "open") => State::Open,
            (false, _) => State::Closed,
        };
        let text = Text { title: it.title, body: it.body };
        Self { number: it.number, link: link(&it.html_url), state, text }
    }
}

impl Gitea {
    pub(crate) fn new(web: String, api: String, path: String) -> Self {
        Self { web, pulls: Pulls { api, path, accept: "application/json" } }
    }
}

impl Forge for Gitea {
    fn find(&self, _: &str, page: u32) -> Question {
        // There is no way to ask for a branch.
        self.pulls.ask(Method::Get, &format!("pulls?state=all&page={page}&limit={PAGE}"), None)
    }

    fn found(&self, branch: &str, body: &[u8]) -> Result<Page, Unreadable> {
        let pulls = read::<Vec<Pull>>(body)?;
        // A server may give fewer at once than it was asked for.
        let has_more = !pulls.is_empty();
        let ours =
            pulls.into_iter().filter(|it| it.head.branch == branch && it.head.repo_id == it.base.repo_id);
        let mut requests = ours.map(Request::from).collect::<Vec<_>>();
        requests.sort_by_key(|it| std::cmp::Reverse(it.number));
        Ok(Page { requests, has_more })
    }

    fn open(&self, branch: &str, base: &str, text: &Text) -> Question {
        self.pulls.open(branch, base, text)
    }

    fn update(&self, number: u64, text: &Text) -> Question {
        self.pulls.update(number, text)
    }

    fn request(&self, body: &[u8]) -> Result<Request, Unreadable> {
        read::<Pull>(body).map(Request::from)
    }

    fn notes(&self, number: u64, page: u32) -> Option<Question> {
        // All of them come at once.
        (page == 1).then(|| self.pulls.ask(Method::Get, &format!("issues/{number}/comments"), None))
    }

    fn note(&self, number: u64, text: &str) -> Question {
        self.pulls.note(number, text)
    }

    fn renote(&self, _: u64, note: u64, text: &str) -> Question {
        self.pulls.renote(note, text)
    }

    fn noted(&self, body: &[u8]) -> Result<Vec<Note>, Unreadable> {
        read(body)
    }

    fn credentials(&self, token: &str) -> (&'static str, String) {
        ("authorization", format!("token {token}"))
    }

    fn compare_link(&self, base: &str, branch: &str) -> String {
        format!("{}/{}/compare/{}...{}", self.web, self.pulls.path, branch_path(base), branch_path(branch))
    }
}
