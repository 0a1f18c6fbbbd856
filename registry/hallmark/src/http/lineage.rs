//! What models rest on, over HTTP: the gate, evaluations, what lies below something, and exports for other tools.
//!
//! - Nothing here runs on the threads that serve: a few at once look at the graph, the others wait for a seat, within the
//!   time that any answer may take.
//! - After a start, until the log has been read, whoever asks is told how far that is.
//! - A card costs at most what a daemon allows, whatever it asks for; one that asks for more is told so.
//! - Cards may look into contents. What visits a kind that the operator closed is for the operator alone.

mod card;
mod evaluate;
mod export;
mod gate;
mod impact;

use axum::http::StatusCode;
use base::ModelId;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use self::card::CardView;
use super::{App, Problem};
use crate::{
    ancestry::{NotWhole, Trouble},
    host::with_causes,
    ledger::Ledger,
};

/// Returns the pages about what models rest on, with their descriptions.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(gate::show))
        .routes(routes!(evaluate::evaluate))
        .routes(routes!(evaluate::crawl))
        .routes(routes!(evaluate::verify))
        .routes(routes!(card::show))
        .routes(routes!(impact::show))
        .routes(routes!(export::openlineage))
        .routes(routes!(export::vsa))
}

/// Runs a look at the graph where it holds up nobody.
async fn look<T: Send + 'static>(
    ledger: &Ledger,
    look: impl FnOnce(&Ledger) -> Result<T, Trouble> + Send + 'static,
) -> Result<T, Problem> {
    check_read(ledger)?;
    let looked = ledger.look(look).await.map_err(|error| Problem::internal(&error))?;
    looked.map_err(problem)
}

/// Turns away who asks before the log has been read.
fn check_read(ledger: &Ledger) -> Result<(), Problem> {
    ledger.ancestry().check_read().map_err(|error| problem(error.into()))
}

fn problem(trouble: Trouble) -> Problem {
    let text = with_causes(&trouble);
    match trouble {
        Trouble::Flaw(_) => Problem::new(
            StatusCode::BAD_REQUEST,
            "lineage-flaw",
            "There is no answer to this",
        )
        .detail(text)
        .remedy(
            "mend what the code and the place name; `hallmark lineage check` and `explain` help with cards",
        ),
        Trouble::Closed(_) => Problem::new(StatusCode::FORBIDDEN, "operator-only", "For operators only")
            .detail(text)
            .remedy("filter that kind out in ctl.f, or ask as the operator"),
        Trouble::NotWhole(NotWhole::BeingRead(_)) => Problem::graph_being_read(text),
        Trouble::NotWhole(_) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "graph-not-whole", "The graph is not whole")
                .detail(text)
                .remedy("tell the operator")
        }
        Trouble::Store(_) | Trouble::Stopping => Problem::internal(&trouble.into()),
    }
}

/// Returns the entry of a model that the index lists.
fn entry(app: &App, id: &str) -> Result<std::sync::Arc<catalog::Listed>, Problem> {
    let world = app.world();
    let index = world.index().ok_or_else(Problem::no_index)?;
    let listed = ModelId::parse(id).ok().and_then(|id| index.entry(&id).cloned());
    listed.ok_or_else(|| Problem::no_such_model(format!("the index has no model {id}")))
}
