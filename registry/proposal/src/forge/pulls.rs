//! Pull requests as GitHub words them, which Forgejo and Gitea word the same.

use serde_json::{Value, json};

use super::{Method, Question, Text};

/// The pull requests of one repository.
pub(super) struct Pulls {
    pub(super) api: String,
    /// The owner and the name of the repository.
    pub(super) path: String,
    /// What the forge wants to be told of its own versions.
    pub(super) accept: &'static str,
}

impl Pulls {
    pub(super) fn ask(&self, method: Method, rest: &str, body: Option<Value>) -> Question {
        Question {
            method,
            url: format!("{}/repos/{}/{rest}", self.api, self.path),
            body,
            accept: self.accept,
        }
    }

    pub(super) fn open(&self, branch: &str, base: &str, text: &Text) -> Question {
        let body = json!({ "title": text.title, "head": branch, "base": base, "body": text.body });
        self.ask(Method::Post, "pulls", Some(body))
    }

    pub(super) fn update(&self, number: u64, text: &Text) -> Question {
        let body = json!({ "title": text.title, "body": text.body });
        self.ask(Method::Patch, &format!("pulls/{number}"), Some(body))
    }

    pub(super) fn note(&self, number: u64, text: &str) -> Question {
        self.ask(Method::Post, &format!("issues/{number}/comments"), Some(json!({ "body": text })))
    }

    pub(super) fn renote(&self, note: u64, text: &str) -> Question {
        self.ask(Method::Patch, &format!("issues/comments/{note}"), Some(json!({ "body": text })))
    }
}
