//! GitHub and GitHub Enterprise: REST, version 2022-11-28.

use serde::Deserialize;

use super::{
    Forge, Method, Note, Page, Question, Request, State, Text, Unreadable, branch_path, escape, link,
    pulls::Pulls, read,
};

/// How many pull requests come at once.
const PAGE: usize = 30;

pub(crate) struct GitHub {
    web: String,
    pulls: Pulls,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    html_url: String,
    state: String,
    merged_at: Option<String>,
    title: String,
    body: Option<String>,
    head: Head,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "ref")]
    branch: String,
    /// Gone with a fork.
    repo: Option<Repo>,
}

#[derive(Deserialize)]
struct Repo {
    full_name: String,
}

impl From<Pull> for Request {
    fn from(it: Pull) -> Self {
        let state = match (it.merged_at, it.state.as_str()) {
            (Some(_), _) => State::Merged,
            (None, "open") => State::Open,
            (None, _) => State::Closed,
        };
        let text = Text { title: it.title, body: it.body.unwrap_or_default() };
        Self { number: it.number, link: link(&it.html_url), state, text }
    }
}

impl GitHub {
    pub(crate) fn new(web: String, api: String, path: String) -> Self {
        Self { web, pulls: Pulls { api, path, accept: "application/vnd.github+json" } }
    }
}

impl Forge for GitHub {
    fn find(&self, branch: &str, page: u32) -> Question {
        let owner = self.pulls.path.split('/').next().unwrap_or_default();
        let head = escape(&format!("{owner}:{branch}"));
        let rest =
            format!("pulls?state=all&head={head}&sort=created&direction=desc&per_page={PAGE}&page={page}");
        self.pulls.ask(Method::Get, &rest, None)
    }

    fn found(&self, branch: &str, body: &[u8]) -> Result<Page, Unreadable> {
        let pulls = read::<Vec<Pull>>(body)?;
        let has_more = pulls.len() >= PAGE;
        // The owner may have a fork under another name.
        let own = |it: &Head| {
            it.repo.as_ref().is_some_and(|it| it.full_name.eq_ignore_ascii_case(&self.pulls.path))
        };
        let ours = pulls.into_iter().filter(|it| it.head.branch == branch && own(&it.head));
        Ok(Page { requests: ours.map(Request::from).collect(), has_more })
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
        Some(self.pulls.ask(Method::Get, &format!("issues/{number}/comments?per_page=100&page={page}"), None))
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
        ("authorization", format!("Bearer {token}"))
    }

    fn compare_link(&self, base: &str, branch: &str) -> String {
        format!(
            "{}/{}/compare/{}...{}?expand=1",
            self.web,
            self.pulls.path,
            branch_path(base),
            branch_path(branch)
        )
    }
}
