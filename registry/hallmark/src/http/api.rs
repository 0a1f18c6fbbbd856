//! `/openapi.json`: the contract of this API, made from its handlers.

use anyhow::Context as _;
use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderValue, StatusCode},
    response::{IntoResponse as _, Response},
};
use base::Sha256;
use utoipa::{
    OpenApi as _, PartialSchema as _,
    openapi::{
        Components, ContentBuilder, OpenApi, RefOr, Required, ResponseBuilder,
        path::{Operation, PathItem},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    App, Problem, acts, artifact, fresh, health, index, input::Held, ledger, lineage, metrics, models, watch,
};

/// What any request can be answered with, whatever it asks for.
const ALWAYS: [(StatusCode, &str); 7] = [
    (StatusCode::BAD_REQUEST, "The request cannot be understood"),
    (StatusCode::UNAUTHORIZED, "A token is needed"),
    (StatusCode::URI_TOO_LONG, "The address is too long"),
    (StatusCode::TOO_MANY_REQUESTS, "This client asks too often"),
    (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "The head is too large"),
    (StatusCode::INTERNAL_SERVER_ERROR, "The daemon could not answer; its log says why"),
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "Not now: too much at once, nothing in force yet, or the daemon is stopping",
    ),
];

/// What a request with a body can be answered with besides.
const WITH_BODY: [(StatusCode, &str); 4] = [
    (StatusCode::FORBIDDEN, "For operators only"),
    (StatusCode::REQUEST_TIMEOUT, "The body came too slowly"),
    (StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"),
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is not JSON"),
];

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "hallmark", description = "A model registry: what it lists, what is deployed on this host, and the proven bytes."),
    tags(
        (name = "models", description = "The catalog, and how its models stand on this host"),
        (name = "index", description = "The document that lists the models"),
        (name = "bytes", description = "The proven bytes, by model or by digest"),
        (name = "operator", description = "Acting on the host: over the Unix socket in the state folder, or with the operator's token"),
        (name = "ledger", description = "Signed events: where models come from, what became of them, and proofs of it"),
        (name = "lineage", description = "What models rest on: cards over the log, the gate, and what lies below something"),
        (name = "health", description = "Whether the daemon is well"),
    ),
    components(schemas(Problem)),
)]
struct Frame;

/// A document that is ready to be sent.
pub(super) struct Document {
    body: Bytes,
    etag: HeaderValue,
}

impl Document {
    pub(super) fn new() -> anyhow::Result<Self> {
        let body = Bytes::from(text()?);
        let etag = fresh::etag(&Sha256::of(&body));
        Ok(Self { body, etag })
    }
}

/// Returns all documented routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    let parts = [
        models::routes(),
        index::routes(),
        watch::routes(),
        artifact::routes(),
        acts::routes(),
        health::routes(),
        metrics::routes(),
        ledger::routes(),
        lineage::routes(),
    ];
    let whole = OpenApiRouter::with_openapi(Frame::openapi()).routes(routes!(document));
    parts.into_iter().fold(whole, OpenApiRouter::merge)
}

/// Writes the contract.
pub(crate) fn text() -> anyhow::Result<String> {
    let mut document = routes().into_openapi();
    complete(&mut document);
    Ok(document.to_pretty_json().context("write the contract as JSON")? + "\n")
}

/// Returns this contract.
#[utoipa::path(
    get, path = "/openapi.json", tag = "health",
    responses(
        (status = OK, description = "The contract", body = Object, content_type = "application/json"),
        (status = NOT_MODIFIED, description = "The contract has the tag that `If-None-Match` names"),
    ),
)]
async fn document(State(app): State<App>, held: Held) -> Response {
    match app.document() {
        Ok(Document { body, etag }) => fresh::json(&held, body, etag),
        Err(error) => Problem::internal(error).into_response(),
    }
}

/// Adds what every operation has in common.
fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_with(Components::new);
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The token in [http] operator_token_file; over the Unix socket none is needed"))
        .build();
    components.add_security_scheme("operator", SecurityScheme::Http(bearer));
    components.schemas.entry("Problem".to_owned()).or_insert_with(Problem::schema);
    for item in document.paths.paths.values_mut() {
        let PathItem { get, head, post, .. } = item;
        for operation in [get.as_mut(), head.as_mut()].into_iter().flatten() {
            add(operation, &ALWAYS);
        }
        if let Some(operation) = post {
            // No body is the same as an empty object.
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                body.required = Some(Required::False);
            }
            add(operation, &ALWAYS);
            add(operation, &WITH_BODY);
        }
    }
}

fn add(operation: &mut Operation, answers: &[(StatusCode, &str)]) {
    for (code, description) in answers {
        let problem = utoipa::openapi::Ref::from_schema_name("Problem");
        let content = ContentBuilder::new().schema(Some(RefOr::Ref(problem))).build();
        let response =
            ResponseBuilder::new().description(*description).content(super::problem::KIND, content).build();
        operation.responses.responses.entry(code.as_str().to_owned()).or_insert(response.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_says_what_goes_wrong_as_a_problem() {
        let document: serde_json::Value = serde_json::from_str(&text().unwrap()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        assert!(paths.contains_key("/v1/models/{id}"), "{paths:#?}");
        for (path, item) in paths {
            for (method, operation) in item.as_object().unwrap() {
                for (code, response) in operation["responses"].as_object().unwrap() {
                    if code.starts_with(['4', '5']) && path != "/readyz" {
                        let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                        assert_eq!(schema, "#/components/schemas/Problem", "{method} {path} {code}");
                    }
                }
            }
        }
    }
}
