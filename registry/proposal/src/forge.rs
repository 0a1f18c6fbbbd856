//! What forges are asked, and what their answers mean.

pub(crate) mod gitea;
pub(crate) mod github;
pub(crate) mod gitlab;
mod pulls;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// How much of a link is kept.
const LINK_CHARS_MAX: usize = 1_000;

/// A forge's language for one repository. Pure: asking is for [`crate::Client`].
pub trait Forge: Send + Sync {
    /// Asks for pull requests from a branch, newest first, page by page from 1.
    fn find(&self, branch: &str, page: u32) -> Question;
    /// Reads a page of pull requests, and keeps those from this branch of this very repository.
    fn found(&self, branch: &str, body: &[u8]) -> Result<Page, Unreadable>;
    /// Asks for a new pull request.
    fn open(&self, branch: &str, base: &str, text: &Text) -> Question;
    /// Asks for another title and description.
    fn update(&self, number: u64, text: &Text) -> Question;
    /// Reads the pull request that was opened or updated.
    fn request(&self, body: &[u8]) -> Result<Request, Unreadable>;
    /// Asks for the remarks under a pull request, page by page from 1; `None` beyond the last page there can be.
    fn notes(&self, number: u64, page: u32) -> Option<Question>;
    /// Asks for a new remark under a pull request.
    fn note(&self, number: u64, text: &str) -> Question;
    /// Asks for another text of a remark.
    fn renote(&self, number: u64, note: u64, text: &str) -> Question;
    /// Reads a page of remarks.
    fn noted(&self, body: &[u8]) -> Result<Vec<Note>, Unreadable>;
    /// Returns the header that a token goes into.
    fn credentials(&self, token: &str) -> (&'static str, String);
    /// Returns where people see what a branch would change.
    fn compare_link(&self, base: &str, branch: &str) -> String;
}

/// One HTTP request.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub url: String,
    /// The body, as JSON.
    pub body: Option<Value>,
    /// What a forge wants to be told of its own versions.
    pub accept: &'static str,
}

/// The methods that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the whole meaning")]
pub enum Method {
    Get,
    Post,
    Patch,
    Put,
}

impl Method {
    /// Says whether it does no harm to ask the same a second time.
    pub fn is_repeatable(self) -> bool {
        self != Self::Post
    }

    /// Returns its name in HTTP.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Put => "PUT",
        }
    }
}

/// What a pull request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The title.
    pub title: String,
    /// The description, as Markdown.
    pub body: String,
}

/// A pull request as a forge keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number.
    pub number: u64,
    /// Where people see it.
    pub link: String,
    /// What became of it.
    pub state: State,
    /// What it says.
    pub text: Text,
}

/// What became of a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits.
    Open,
    /// It was taken.
    Merged,
    /// It was turned down, or given up.
    Closed,
}

/// Some of the pull requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Those from the branch, newest first.
    pub requests: Vec<Request>,
    /// Whether there may be more on the next page.
    pub has_more: bool,
}

/// A remark under a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Note {
    /// Its number.
    pub id: u64,
    /// What it says.
    #[serde(default)]
    pub body: String,
}

/// An answer that is not what the forge's description promises.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not what this forge answers")]
pub struct Unreadable(#[from] serde_json::Error);

impl Text {
    /// Says whether a forge shows the same: line ends and white space at the ends do not count.
    pub fn is_same(&self, other: &Self) -> bool {
        let plain = |it: &str| it.replace("\r\n", "\n").trim().to_owned();
        self.title.trim() == other.title.trim() && plain(&self.body) == plain(&other.body)
    }
}

impl Question {
    fn new(method: Method, url: String, body: Option<Value>) -> Self {
        Self { method, url, body, accept: "application/json" }
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unreadable> {
    Ok(serde_json::from_slice(body)?)
}

/// Takes a link as a forge gave it: one line that steers no terminal.
fn link(text: &str) -> String {
    text.chars().filter(|it| !it.is_control() && !it.is_whitespace()).take(LINK_CHARS_MAX).collect()
}

/// Writes a text as one part of a path, or one value of a query.
fn escape(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Writes a branch into a link for people, who read slashes better than their escapes.
fn branch_path(branch: &str) -> String {
    branch
        .split('/')
        .map(|it| escape(it).replace("%2D", "-").replace("%2E", "."))
        .collect::<Vec<_>>()
        .join("/")
}
