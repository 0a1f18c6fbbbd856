//! Sessions: created, updated, closed. The lifecycle refuses nothing and reports what is out of order.

use super::view::view;
use crate::event::Kind;

view! {
    /// A session of conversations starts, changes or ends (30411).
    Session = Kind::SESSION;
    /// The session.
    session_id: text,
    /// What happens: create, update, close. Others are kept and mean nothing here.
    action: text,
    /// The user.
    user_id: text,
    /// When it began, as text.
    start_time: text,
    /// When it ended, as text.
    end_time: text,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Nobody created it yet.
    #[default]
    Unknown,
    /// It goes on.
    Open,
    /// It is over.
    Closed,
}

/// The course of one session so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    stage: Stage,
}

/// What is out of order. The event stands all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disorder {
    /// It was created already.
    #[error("created again")]
    CreatedAgain,
    /// Nobody created it.
    #[error("`{0}` before it was created")]
    BeforeCreation(String),
    /// It is over.
    #[error("`{0}` after it was closed")]
    AfterClosing(String),
    /// Neither of the three words.
    #[error("`{0}` is not create, update or close")]
    UnknownAction(String),
}

impl Lifecycle {
    /// Returns where the session stands.
    pub fn stage(self) -> Stage {
        self.stage
    }

    /// Takes the next session event, in the log's order, and says what is out of order about it.
    pub fn step(&mut self, action: Option<&str>) -> Option<Disorder> {
        let action = action.unwrap_or_default();
        let (stage, disorder) = match (action, self.stage) {
            ("create", Stage::Unknown) | ("update", Stage::Open) => (Stage::Open, None),
            ("create", stage @ Stage::Open) => (stage, Some(Disorder::CreatedAgain)),
            // A name that is used anew is a new session.
            ("create", Stage::Closed) => (Stage::Open, Some(Disorder::AfterClosing(action.to_owned()))),
            ("close", Stage::Open) => (Stage::Closed, None),
            ("update" | "close", Stage::Closed) => {
                (Stage::Closed, Some(Disorder::AfterClosing(action.to_owned())))
            }
            ("update", Stage::Unknown) => (Stage::Open, Some(Disorder::BeforeCreation(action.to_owned()))),
            ("close", Stage::Unknown) => (Stage::Closed, Some(Disorder::BeforeCreation(action.to_owned()))),
            (_, stage) => (stage, Some(Disorder::UnknownAction(action.to_owned()))),
        };
        self.stage = stage;
        disorder
    }

    /// Says whether a conversation fits in now: only an open session has any.
    pub fn conversation(self) -> Option<Disorder> {
        let what = || "conversation".to_owned();
        match self.stage {
            Stage::Open => None,
            Stage::Unknown => Some(Disorder::BeforeCreation(what())),
            Stage::Closed => Some(Disorder::AfterClosing(what())),
        }
    }
}
