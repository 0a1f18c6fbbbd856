//! The ledger's pages: events, proofs, subspaces, and what follows from them.
//!
//! - Kinds that the operator closed are seen by the operator alone here: over HTTP nobody proves to be a party.
//! - A page is bounded, and says how to go on.

mod asked;
mod events;
mod lists;
mod log;
mod proposals;
mod provenance;
mod publish;
mod reader;
mod relays;
mod sessions;
mod spaces;

use axum::{http::StatusCode, routing::get};
use ledger::{Kind, Stored, kinds::warnings};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::reader::Reader;
use super::{App, Problem};

#[derive(OpenApi)]
#[openapi(paths(log::tile))]
struct Documented;

/// Returns the ledger's pages with their descriptions.
pub(super) fn routes() -> OpenApiRouter<App> {
    // A path of several parts is one parameter in the document, which has no word for the rest of a path.
    OpenApiRouter::with_openapi(Documented::openapi())
        .route("/tile/{*path}", get(log::tile))
        .routes(routes!(events::list, publish::publish))
        .routes(routes!(events::show))
        .routes(routes!(events::prove))
        .routes(routes!(provenance::show))
        .routes(routes!(spaces::list))
        .routes(routes!(spaces::show))
        .routes(routes!(spaces::chain))
        .routes(routes!(proposals::list))
        .routes(routes!(lists::projects))
        .routes(routes!(lists::datasets))
        .routes(routes!(lists::finetunes))
        .routes(routes!(sessions::show))
        .routes(routes!(relays::list))
        .routes(routes!(log::show))
        .routes(routes!(log::consistency))
        .routes(routes!(log::checkpoint))
}

/// The answer of a host that keeps no log.
pub(super) fn switched_off() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-ledger", "No ledger")
        .detail("this host keeps no log of signed events")
        .remedy("set [ledger] enabled = true and restart the daemon")
}

/// Where the log put an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = EventPlace)]
struct Place {
    /// Place in the whole log, from 0 on.
    seq: u64,
    /// The kind, and how many events of it the subspace has with this one: `30405:17`.
    clock: String,
    /// How many events of any kind the subspace has with this one.
    tick: u64,
    /// One more than the deepest of its parents that the log had; 0 without any.
    depth: u64,
    /// When it came, by this daemon's clock, in seconds.
    received: u64,
}

/// An event and its place.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventItem)]
struct Item {
    /// The event, as its author signed it.
    #[schema(value_type = Object)]
    event: Box<RawValue>,
    position: Place,
    /// How it was signed.
    #[schema(value_type = String)]
    scheme: ledger::Scheme,
    /// What is odd about it, and no reason to refuse it.
    warnings: Vec<String>,
}

impl Place {
    fn of(kind: Kind, at: &ledger::Position) -> Self {
        Self {
            seq: at.seq,
            clock: format!("{kind}:{}", at.n),
            tick: at.tick,
            depth: at.depth,
            received: at.received.0,
        }
    }
}

impl Item {
    fn of(stored: &Stored) -> Result<Self, ledger::StoreError> {
        let accepted = stored.event()?;
        let event = RawValue::from_string(stored.json.clone()).map_err(|error| {
            let (row, what) = (stored.at.seq.to_string(), error.to_string());
            ledger::StoreError::Row { table: "event", row, what }
        })?;
        Ok(Self {
            event,
            position: Place::of(stored.kind, &stored.at),
            scheme: accepted.event.scheme(),
            warnings: warnings(&accepted.event),
        })
    }
}

/// The answer where the log has no such event, or none that whoever asks may see.
fn no_such_event(id: ledger::EventId) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-such-event", "No such event")
        .detail(format!("the log has no event {id} that you may see"))
        .remedy("look at /v1/events for what there is")
}
