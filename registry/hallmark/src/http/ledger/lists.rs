//! Projects, datasets and experiments, as their events say.

use axum::{Json, extract::RawQuery};
use ledger::{
    Accepted, Filter, Kind, StoreError, Stored,
    kinds::{Dataset, Finetune, Project, Task},
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    super::Problem,
    Place, Reader,
    asked::{Asked, Found, NoPage, Pages},
};

/// How many tasks are listed with a project.
const TASKS_MAX: u64 = 200;

/// A page of one kind of event, the newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SayingPage)]
pub(super) struct Page {
    items: Vec<Said>,
    /// The `cursor` of the next page, if there is one.
    next: Option<String>,
}

/// What one event says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Saying)]
pub(super) struct Said {
    /// The event.
    id: String,
    author: String,
    created_at: u64,
    sid: Option<String>,
    position: Place,
    /// What its tags say.
    #[schema(value_type = Object)]
    says: Value,
    /// What follows from the rest of it, or from events that belong to it.
    #[schema(value_type = Object)]
    more: Value,
    /// The whole event.
    url: String,
}

impl Said {
    pub(super) fn of(stored: &Stored, accepted: &Accepted, says: Value, more: Value) -> Self {
        Self {
            id: stored.id.to_string(),
            author: accepted.event.author().to_string(),
            created_at: stored.created_at.0,
            sid: accepted.event.sid().map(ToString::to_string),
            position: Place::of(stored.kind, &stored.at),
            says,
            more,
            url: format!("/v1/events/{}", stored.id),
        }
    }
}

/// Projects and their tasks.
#[utoipa::path(
    get, path = "/v1/projects", tag = "ledger",
    params(("project_id" = Option<String>, Query, description = "Of this name."), Pages),
    responses((status = 200, description = "a page", body = Page), NoPage),
)]
pub(super) async fn projects(reader: Reader, RawQuery(query): RawQuery) -> Result<Json<Page>, Problem> {
    page(reader, query.as_deref(), Kind::PROJECT, "project_id", project).await
}

/// Datasets.
#[utoipa::path(
    get, path = "/v1/datasets", tag = "ledger",
    params(("dataset_id" = Option<String>, Query, description = "Of this name."), Pages),
    responses((status = 200, description = "a page", body = Page), NoPage),
)]
pub(super) async fn datasets(reader: Reader, RawQuery(query): RawQuery) -> Result<Json<Page>, Problem> {
    page(reader, query.as_deref(), Kind::DATASET, "dataset_id", |_, accepted| {
        let tags = accepted.event.tags();
        let content = Dataset::content(accepted.event.content()).unwrap_or_default();
        let more = json!({
            "dataset_id": tags.first("dataset_id"),
            "samples": content.dataset.len(),
            "generate": content.generate,
        });
        Ok((json!(Dataset::read(tags)), more))
    })
    .await
}

/// Fine-tuning experiments.
#[utoipa::path(
    get, path = "/v1/finetunes", tag = "ledger",
    params(("dataset_id" = Option<String>, Query, description = "On this dataset."), Pages),
    responses((status = 200, description = "a page", body = Page), NoPage),
)]
pub(super) async fn finetunes(reader: Reader, RawQuery(query): RawQuery) -> Result<Json<Page>, Problem> {
    page(reader, query.as_deref(), Kind::FINETUNE, "dataset_id", |_, accepted| {
        let tags = accepted.event.tags();
        let more = json!({ "model_id": tags.first("model_id"), "run_id": tags.first("run_id") });
        Ok((json!(Finetune::read(tags)), more))
    })
    .await
}

/// What an event says, and what else there is to say about it.
type Sayings = (Value, Value);

async fn page(
    reader: Reader,
    query: Option<&str>,
    kind: Kind,
    name: &'static str,
    say: fn(&Reader, &Accepted) -> Result<Sayings, StoreError>,
) -> Result<Json<Page>, Problem> {
    let asked = Asked::parse(query, &["sid", "author", name])?.kind(kind);
    let write = move |reader: &Reader, found: Found| {
        let mut items = Vec::new();
        for stored in &found.events {
            let accepted = stored.event()?;
            let (says, more) = say(reader, &accepted)?;
            items.push(Said::of(stored, &accepted, says, more));
        }
        Ok(Page { items, next: found.next })
    };
    asked.page(reader, write).await
}

fn project(reader: &Reader, accepted: &Accepted) -> Result<Sayings, StoreError> {
    let view = Project::read(accepted.event.tags());
    let mut tasks = Vec::new();
    if let (Some(id), Some(sid)) = (&view.project_id, accepted.event.sid())
        && reader.sees(Kind::TASK)
    {
        let filter = Filter::default().kind(Kind::TASK).tag("project_id", id).tag("sid", sid.as_str());
        for stored in reader.find(filter.limit(TASKS_MAX))? {
            let task = stored.event()?;
            let says = json!(Task::read(task.event.tags()));
            tasks.push(json!({ "event": stored.id, "author": task.event.author().as_str(), "says": says }));
        }
    }
    Ok((json!(view), json!({ "tasks": tasks })))
}
