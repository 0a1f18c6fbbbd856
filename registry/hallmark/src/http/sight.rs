//! Whoever asks about the log, and what of it they may see.

use axum::{extract::FromRequestParts, http::request::Parts};
use ledger::Kind;

use super::{
    App, Problem,
    guard::{self, Peer},
};
use crate::ledger::Ledger;

/// Whoever asks: the log, and whether it is the operator.
#[derive(Clone)]
pub(super) struct Sight {
    ledger: Ledger,
    is_operator: bool,
}

impl FromRequestParts<App> for Sight {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>().copied();
        let is_operator = guard::operator(app, peer, &parts.headers).is_ok();
        Ok(Self { ledger: app.ledger()?.clone(), is_operator })
    }
}

impl Sight {
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) fn is_operator(&self) -> bool {
        self.is_operator
    }

    /// Says whether they may see events of a kind.
    pub(super) fn sees(&self, kind: Kind) -> bool {
        self.is_operator || !self.ledger.is_private(kind)
    }

    /// Says the same of a kind as lineage writes it. What is no kind is closed.
    pub(super) fn sees_number(&self, kind: u32) -> bool {
        u16::try_from(kind).map_or(self.is_operator, |it| self.sees(Kind(it)))
    }
}
