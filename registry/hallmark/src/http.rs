//! The daemon's HTTP: routes, and what holds for all of them.
//!
//! - A handler parses, asks the [`World`], and answers; it waits for no job and holds no lock.
//! - Every error is a problem document with a remedy, on the hub's routes that protocol's own headers.
//! - Every connection, head, body, wait and queue has a bound.

mod acts;
mod api;
mod artifact;
mod bytes;
mod connection;
mod cors;
mod fresh;
mod guard;
mod health;
mod hub;
mod index;
mod input;
mod ledger;
mod lineage;
mod metrics;
mod models;
mod problem;
mod relay;
mod sight;
mod uses;
mod watch;

use std::{
    any::Any,
    sync::{Arc, LazyLock},
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::HeaderValue,
    middleware,
    response::{IntoResponse as _, Response},
};
use tokio::{runtime::Handle, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower_http::{catch_panic::CatchPanicLayer, cors::CorsLayer};
use vault::Shelf;

use self::{api::Document, guard::Guard, relay::Hall, uses::Uses};
pub(crate) use self::{
    api::text as contract, bytes::Face, health::GraphStanding, lineage::CardView, problem::Problem,
};
use crate::{
    config::HttpConfig, engine::EngineHandle, ledger::Ledger, metrics::Metrics, serve::Doors, world::World,
};

/// What every handler has at hand.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

struct Inner {
    engine: EngineHandle,
    shelf: Shelf,
    ledger: Option<Ledger>,
    /// Where the relay's clients listen, if there is a log.
    hall: Option<Arc<Hall>>,
    settings: HttpConfig,
    guard: Guard,
    uses: Uses,
    metrics: Arc<Metrics>,
    watchers: Arc<Semaphore>,
    /// Written when somebody asks for it: most hosts are never asked.
    document: LazyLock<anyhow::Result<Document>>,
    cors: Option<CorsLayer>,
    stop: CancellationToken,
}

impl App {
    pub(crate) fn new(
        engine: EngineHandle,
        shelf: Shelf,
        ledger: Option<Ledger>,
        settings: HttpConfig,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let guard = Guard::new(&settings)?;
        let watchers = Arc::new(Semaphore::new(settings.watchers_max));
        let cors = cors::layer(&settings.cors_origins)?;
        let hall = ledger.as_ref().map(|it| Arc::new(Hall::open(it, &Handle::current())));
        let inner = Inner {
            engine,
            shelf,
            ledger,
            hall,
            settings,
            guard,
            metrics,
            watchers,
            document: LazyLock::new(Document::new),
            cors,
            stop,
            uses: Uses::default(),
        };
        Ok(Self(Arc::new(inner)))
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

    fn hall(&self) -> Result<&Arc<Hall>, Problem> {
        self.0.hall.as_ref().ok_or_else(ledger::switched_off)
    }

    pub(crate) fn settings(&self) -> &HttpConfig {
        &self.0.settings
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
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

    fn watchers(&self) -> &Arc<Semaphore> {
        &self.0.watchers
    }

    fn document(&self) -> Result<&Document, &anyhow::Error> {
        self.0.document.as_ref()
    }

    fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }
}

/// Puts all routes together.
fn router(app: &App) -> Router {
    let (documented, _) = api::routes().split_for_parts();
    let router = documented
        .merge(hub::routes())
        .merge(relay::routes())
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(app.settings().body_bytes_max))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(app.clone(), guard::check))
        .with_state(app.clone());
    match &app.0.cors {
        // What a browser asks beforehand carries no token, so it is answered before the guard.
        Some(cors) => router.layer(cors.clone()),
        None => router,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Problem::internal(&anyhow::anyhow!("a handler panicked, report this: {text}")).into_response()
}

/// Serves all doors until the stop, then lets what runs end.
pub(crate) async fn serve(doors: Doors, app: App, stop: CancellationToken) {
    let router = router(&app);
    connection::serve(doors, router, &app, stop).await;
}
