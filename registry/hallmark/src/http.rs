//! The daemon's HTTP: routes, and what holds for all of them.
//!
//! - A handler parses, asks the [`World`](crate::world::World), and answers; it waits for no job and holds no lock.
//! - Every error is a problem document with a remedy, on the hub's routes that protocol's own headers.
//! - Every connection, head, body, wait and queue has a bound.

mod artifact;
mod bytes;
mod connection;
mod guard;
mod health;
mod hub;
mod ledger;
mod problem;
mod relay;
mod uses;

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, http::HeaderValue, middleware, routing::get};
use tokio_util::sync::CancellationToken;
use vault::Shelf;

pub(crate) use self::{bytes::Face, problem::Problem};
use self::{guard::Guard, uses::Uses};
use crate::{config::HttpConfig, engine::EngineHandle, ledger::Ledger, serve::Doors, world::World};

/// What every handler has at hand.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

struct Inner {
    engine: EngineHandle,
    shelf: Shelf,
    ledger: Option<Ledger>,
    settings: HttpConfig,
    guard: Guard,
    uses: Uses,
}

impl App {
    pub(crate) fn new(
        engine: EngineHandle,
        shelf: Shelf,
        ledger: Option<Ledger>,
        settings: HttpConfig,
    ) -> anyhow::Result<Self> {
        let guard = Guard::new(&settings)?;
        Ok(Self(Arc::new(Inner { engine, shelf, ledger, settings, guard, uses: Uses::default() })))
    }

    /// Returns what is known now.
    pub(crate) fn world(&self) -> Arc<World> {
        self.0.engine.world()
    }

    pub(crate) fn engine(&self) -> &EngineHandle {
        &self.0.engine
    }

    pub(crate) fn shelf(&self) -> &Shelf {
        &self.0.shelf
    }

    /// Returns the log of signed events, if this host keeps one.
    fn ledger(&self) -> Result<&Ledger, Problem> {
        self.0.ledger.as_ref().ok_or_else(ledger::switched_off)
    }

    pub(crate) fn settings(&self) -> &HttpConfig {
        &self.0.settings
    }

    fn guard(&self) -> &Guard {
        &self.0.guard
    }

    fn uses(&self) -> &Uses {
        &self.0.uses
    }

    /// Returns what caches are told about an address that gives the same bytes for ever.
    fn forever(&self) -> HeaderValue {
        HeaderValue::from_static(if self.settings().read_token_file.is_some() {
            "private, max-age=31536000, immutable"
        } else {
            "public, max-age=31536000, immutable"
        })
    }
}

/// Puts all routes together.
fn router(app: &App) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .merge(Router::from(artifact::routes()))
        .merge(hub::routes())
        .merge(Router::from(ledger::routes()))
        .merge(relay::routes())
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(app.settings().body_bytes_max))
        .layer(middleware::from_fn_with_state(app.clone(), guard::check))
        .with_state(app.clone())
}

/// Serves all doors until the stop, then lets what runs end.
pub(crate) async fn serve(doors: Doors, app: App, stop: CancellationToken) {
    let router = router(&app);
    connection::serve(doors, router, app.settings(), stop).await;
}
