//! What admins may ask: JSON over HTTPS.
//!
//! | | |
//! |---|---|
//! | `GET /v1/nodes`, `/v1/vms`, `/v1/designs` | lists, with names in place of ids |
//! | `GET /v1/operations?ended=` | open operations, the oldest first, then so many of those that have ended, the latest first |
//! | `GET /v1/designs/{tenant}/{name}` | a deployed design as it was drawn |
//! | `PUT /v1/operations/{id}` | asks for something under an id that the caller chooses: a repeated id gives the first answer |
//! | `GET`, `DELETE /v1/operations/{id}` | how far it is; calls it off |
//! | `GET /v1/view` | what placement decides from; `If-None-Match` saves it where nothing changed |
//! | `GET /v1/events?from=&limit=`, `/v1/events/stream?from=` | the history, and as it goes on |
//! | `POST /v1/tokens`, `GET /v1/peers`, `DELETE /v1/peers/{fingerprint}` | who may come in |
//! | `GET /metrics` | how the controller fares, for Prometheus |
//!
//! What cannot be is told as a [`Fault`]: 404 for what is not there, 409 where a command is refused, 422
//! for what is not understood.

use crate::door::Door;
use crate::metrics::{Counts, Metrics};
use crate::ruler::{Ending, Shown};
use crate::store::StoreError;
use axum::Router;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use control::backend::{Command, Refused};
use control::controller::Controller;
use control::ledger::KEPT_OPERATIONS;
use control::message::Input;
use control::shown::{EventShown, Fault, OperationShown};
use futures_util::stream::{self, Stream, StreamExt};
use link::identity::Fingerprint;
use link::membership::{Peer, Role};
use link::token::{Secret, Token};
use model::design::Design;
use model::id::OperationId;
use model::time::Span;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::watch;

/// The longest request: a design of some thousand components.
const MOST_BYTES: usize = 4 << 20;

/// Events told at once, at most.
const MOST_EVENTS: usize = 10_000;

/// How long a token is good for.
const TOKEN_LIVES: Span = Span(3_600_000);

/// What the routes work with.
#[derive(Clone)]
pub struct Api {
    /// The way to all else.
    pub door: Arc<Door>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Tells this process from a former one, whose views were numbered alike.
    pub start: u64,
}

/// All routes.
pub fn routes(api: Api) -> Router {
    Router::new()
        .route("/v1/nodes", get(nodes))
        .route("/v1/vms", get(vms))
        .route("/v1/designs", get(designs))
        .route("/v1/designs/{tenant}/{name}", get(design))
        .route("/v1/operations", get(operations))
        .route(
            "/v1/operations/{id}",
            put(submit).get(operation).delete(call_off),
        )
        .route("/v1/view", get(view))
        .route("/v1/events", get(events))
        .route("/v1/events/stream", get(follow))
        .route("/v1/tokens", post(admit))
        .route("/v1/peers", get(peers))
        .route("/v1/peers/{fingerprint}", delete(revoke))
        .route("/metrics", get(metrics))
        .fallback(nowhere)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(api)
}

/// For whoever is nobody here, and for agents: nothing but this.
pub fn forbidden() -> Router {
    let told = Told {
        status: StatusCode::FORBIDDEN,
        fault: Fault {
            error: "this program has not joined the grid as an admin".to_owned(),
            hint: Some(
                "join with the token that `gridwright-controller token admin NAME` prints"
                    .to_owned(),
            ),
            refused: None,
        },
    };
    Router::new().fallback(|| async { told })
}

/// A fault on its way to whoever asked.
#[derive(Clone, Debug)]
struct Told {
    status: StatusCode,
    fault: Fault,
}

impl Told {
    fn new(status: StatusCode, error: impl ToString) -> Self {
        Self {
            status,
            fault: Fault {
                error: error.to_string(),
                hint: None,
                refused: None,
            },
        }
    }

    fn absent(what: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }
}

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        (self.status, axum::Json(self.fault)).into_response()
    }
}

impl From<Ending> for Told {
    fn from(ending: Ending) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, ending)
    }
}

impl From<StoreError> for Told {
    fn from(error: StoreError) -> Self {
        tracing::error!("{error}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error)
    }
}

impl From<Refused> for Told {
    fn from(refused: Refused) -> Self {
        Self {
            status: StatusCode::CONFLICT,
            fault: Fault {
                error: refused.to_string(),
                hint: Some(refused.hint().to_owned()),
                refused: Some(refused),
            },
        }
    }
}

macro_rules! rejections {
    ($($name:ident),*) => {$(
        impl From<$name> for Told {
            fn from(rejection: $name) -> Self {
                let status = match rejection.status() {
                    StatusCode::BAD_REQUEST => StatusCode::UNPROCESSABLE_ENTITY,
                    status => status,
                };
                Self::new(status, rejection.body_text())
            }
        }
    )*};
}
rejections!(JsonRejection, PathRejection, QueryRejection);

/// A body of JSON; what is wrong with it is told as JSON too.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Told))]
struct Json<T>(T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A piece of the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Told))]
struct Path<T>(T);

/// What is behind the question mark.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Told))]
struct Query<T>(T);

type Answer<T> = Result<Json<T>, Told>;

async fn list<T: Send + 'static>(
    api: &Api,
    look: impl FnOnce(&Controller) -> Vec<T> + Send + 'static,
) -> Answer<Vec<T>> {
    Ok(Json(api.door.ruler.look(look).await?))
}

async fn nodes(State(api): State<Api>) -> Answer<Vec<control::shown::NodeShown>> {
    list(&api, |controller| controller.nodes_shown().collect()).await
}

async fn vms(State(api): State<Api>) -> Answer<Vec<control::shown::VmShown>> {
    list(&api, |controller| controller.vms_shown().collect()).await
}

async fn designs(State(api): State<Api>) -> Answer<Vec<control::shown::DesignShown>> {
    list(&api, |controller| controller.designs_shown().collect()).await
}

/// Which operations.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default = "all_kept")]
    ended: usize,
}

const fn all_kept() -> usize {
    KEPT_OPERATIONS
}

async fn operations(
    State(api): State<Api>,
    Query(asked): Query<Asked>,
) -> Answer<Vec<OperationShown>> {
    list(&api, move |controller| {
        controller.operations_shown(asked.ended)
    })
    .await
}

async fn design(
    State(api): State<Api>,
    Path((tenant, name)): Path<(String, String)>,
) -> Answer<Design> {
    let told = format!("{tenant} has no design {name:?} deployed");
    let look = move |controller: &Controller| {
        let found = controller.ledger().deployment(&tenant, &name);
        found.map(|(_, deployment)| deployment.design.clone())
    };
    let found = api.door.ruler.look(look).await?;
    found.map(Json).ok_or_else(|| Told::absent(told))
}

async fn shown(api: &Api, id: OperationId) -> Result<OperationShown, Told> {
    let look = move |controller: &Controller| controller.operation_shown(id);
    let found = api.door.ruler.look(look).await?;
    found.ok_or_else(|| Told::absent(format!("there is no {id}, or it is long over")))
}

async fn submit(
    State(api): State<Api>,
    Path(id): Path<u64>,
    Json(command): Json<Command>,
) -> Result<(StatusCode, Json<OperationShown>), Told> {
    let id = OperationId(id);
    api.door.settled().await;
    api.door.ruler.submit(id, command).await??;
    Ok((StatusCode::ACCEPTED, Json(shown(&api, id).await?)))
}

async fn operation(State(api): State<Api>, Path(id): Path<u64>) -> Answer<OperationShown> {
    Ok(Json(shown(&api, OperationId(id)).await?))
}

async fn call_off(State(api): State<Api>, Path(id): Path<u64>) -> Answer<OperationShown> {
    let operation = OperationId(id);
    shown(&api, operation).await?;
    api.door.ruler.tell(Input::CalledOff { operation });
    Ok(Json(shown(&api, operation).await?))
}

async fn view(State(api): State<Api>, headers: HeaderMap) -> Response {
    let Shown { number, view, .. } = api.door.ruler.shown().borrow().clone();
    let tag = format!("\"{:x}-{number}\"", api.start);
    let known = headers.get(IF_NONE_MATCH).map(|known| known.as_bytes());
    if known == Some(tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response();
    }
    ([(ETAG, tag)], axum::Json(&*view)).into_response()
}

/// Which part of the history.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    #[serde(default)]
    from: u64,
    #[serde(default = "some")]
    limit: usize,
}

const fn some() -> usize {
    1_000
}

async fn events(State(api): State<Api>, Query(part): Query<Part>) -> Answer<Vec<EventShown>> {
    Ok(Json(history(&api, part.from, part.limit)?))
}

fn history(api: &Api, from: u64, limit: usize) -> Result<Vec<EventShown>, Told> {
    Ok(api.door.store().events(from, limit.min(MOST_EVENTS))?)
}

async fn follow(
    State(api): State<Api>,
    Query(part): Query<Part>,
) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    let seen = api.door.ruler.shown();
    let batches = stream::unfold((api, seen, part.from), |(api, mut seen, from)| async move {
        let batch = next_batch(&api, &mut seen, from).await?;
        let next = from + batch.len() as u64;
        Some((stream::iter(batch), (api, seen, next)))
    });
    let events = batches.flatten().map(|event| {
        let told = sse::Event::default().id(event.number.to_string());
        Ok(told.json_data(&event).unwrap_or_default())
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// Waits for events from this number on; `None`: there will be none.
async fn next_batch(
    api: &Api,
    seen: &mut watch::Receiver<Shown>,
    from: u64,
) -> Option<Vec<EventShown>> {
    seen.wait_for(|shown| shown.events > from).await.ok()?;
    history(api, from, some())
        .ok()
        .filter(|batch| !batch.is_empty())
}

/// A token on its way to whoever asked for it.
#[derive(Debug, Serialize)]
struct Granted {
    token: String,
}

async fn admit(State(api): State<Api>, Json(role): Json<Role>) -> Result<Response, Told> {
    if let Role::Node(name) = &role
        && api
            .door
            .ruler
            .shown()
            .borrow()
            .view
            .grid
            .node_named(name)
            .is_none()
    {
        return Err(Told::absent(format!("the grid has no node {name:?}")));
    }
    let secret = Secret::new();
    let secret = secret.map_err(|error| Told::new(StatusCode::INTERNAL_SERVER_ERROR, error))?;
    let until = api.door.clock.now() + TOKEN_LIVES;
    api.door.store().admit(&secret.digest(), &role, until)?;
    let controller = api.door.fingerprint;
    let token = Token { controller, secret }.to_string();
    Ok((StatusCode::CREATED, axum::Json(Granted { token })).into_response())
}

async fn peers(State(api): State<Api>) -> Answer<Vec<Peer>> {
    Ok(Json(api.door.store().peers()?))
}

async fn revoke(
    State(api): State<Api>,
    Path(fingerprint): Path<Fingerprint>,
) -> Result<StatusCode, Told> {
    match api.door.revoke(fingerprint)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Told::absent(format!("{fingerprint} is nobody here"))),
    }
}

async fn metrics(State(api): State<Api>) -> Result<Response, Told> {
    let counts = api.door.ruler.look(Counts::of).await?;
    let text = api.metrics.written(&counts, &api.door.agents);
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

async fn nowhere(request: Request) -> Told {
    Told::absent(format!("there is nothing at {}", request.uri().path()))
}

async fn no_method(request: Request) -> Told {
    let (method, path) = (request.method(), request.uri().path());
    let told = format!("{path} is not for {method}");
    Told::new(StatusCode::METHOD_NOT_ALLOWED, told)
}
