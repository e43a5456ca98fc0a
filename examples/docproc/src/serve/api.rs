//! The HTTP interface, below `/v1`.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use axum::extract::{FromRequest, Multipart, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use buttress_core::{Ctx, ErrorClass, Outcome, Rejection, RejectionReason};
use buttress_docpipeline::Document;
use buttress_service::{Caller, Error, Problem, Security};
use buttress_validate::SafeFileName;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};

use super::queue::Queue;
use super::records::{Accepted, Counts, DocumentSummary, Hit, Near, Status};
use super::store::Store;
use super::upload::{self, Bounds, Upload, UploadError};
use crate::config::StoreConfig;

/// The most documents in one list.
const LONGEST_LIST: u32 = 500;

/// Near duplicates below this have little in common.
const LEAST_SIMILARITY: f64 = 0.5;

/// What every handler works on.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) config: Arc<StoreConfig>,
    /// Digest of the pipeline's configuration.
    pub(crate) digest: Arc<str>,
    /// What a document may not be more than.
    pub(crate) bounds: Bounds,
    pub(crate) ctx: Ctx,
}

type Answer<T> = Result<T, Problem>;

const READ: &str = "document:read";
const WRITE: &str = "document:write";
const DELETE: &str = "document:delete";

/// The routes below `/v1`, all of which answer soon.
pub(crate) fn routes(api: Api, security: &Security) -> Result<Router, Error> {
    let read = Router::new()
        .route("/v1/documents", get(list))
        .route("/v1/documents/{id}", get(show))
        .route("/v1/documents/{id}/text", get(text))
        .route("/v1/documents/{id}/near", get(near))
        .route("/v1/search", get(search))
        .route_layer(security.require(READ)?);
    let write =
        Router::new().route("/v1/documents/{id}/retry", post(retry)).route_layer(security.require(WRITE)?);
    let delete =
        Router::new().route("/v1/documents/{id}", delete(remove)).route_layer(security.require(DELETE)?);
    Ok(security.authenticate(read.merge(write).merge(delete).with_state(api)))
}

/// The routes below `/v1` that take as long as the other side does: uploads and the stream of events.
pub(crate) fn long_routes(api: Api, security: &Security) -> Result<Router, Error> {
    let write =
        Router::new().route("/v1/documents", post(upload_documents)).route_layer(security.require(WRITE)?);
    let read = Router::new().route("/v1/events", get(events)).route_layer(security.require(READ)?);
    Ok(security.authenticate(write.merge(read).with_state(api)))
}

#[derive(Serialize)]
struct Uploaded {
    documents: Vec<UploadedDocument>,
    refused: Vec<RefusedUpload>,
}

#[derive(Serialize)]
struct UploadedDocument {
    #[serde(flatten)]
    document: DocumentSummary,
    /// Known by its content and configuration: the answer is the stored one.
    seen_before: bool,
}

#[derive(Serialize)]
struct RefusedUpload {
    name: String,
    problem: Problem,
}

/// A document as somebody hands it in.
struct Offer<'a> {
    caller: &'a Caller,
    name: SafeFileName,
    /// Its media type, as its sender says.
    mime: Option<String>,
}

#[derive(Deserialize)]
struct UploadQuery {
    /// The file name of a body that is one document.
    name: Option<String>,
}

/// Takes one document as the body, or many as the parts of a form.
async fn upload_documents(
    State(api): State<Api>,
    Query(query): Query<UploadQuery>,
    caller: Caller,
    request: Request,
) -> Answer<Response> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.map(str::to_owned);
    // The name that was sent is kept nowhere.
    let offer = |name: &str, mime| Offer { caller: &caller, name: SafeFileName::sanitize(name), mime };
    let mut uploaded = Uploaded { documents: Vec::new(), refused: Vec::new() };
    if content_type.as_ref().is_some_and(|kind| kind.starts_with("multipart/form-data")) {
        let mut form = Multipart::from_request(request, &()).await.map_err(|error| broken(&error))?;
        while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
            // A form may have other fields; only files are documents.
            let Some(name) = field.file_name() else { continue };
            let offer = offer(name, field.content_type().map(str::to_owned));
            let body = field.map_err(|error| UploadError::Broken { problem: error.body_text() });
            match api.take(&offer, body).await {
                Ok(document) => uploaded.documents.push(document),
                Err(problem) => {
                    uploaded.refused.push(RefusedUpload { name: offer.name.to_string(), problem });
                }
            }
        }
    } else {
        let offer = offer(query.name.as_deref().unwrap_or("document"), content_type);
        let body = request.into_body().into_data_stream();
        let body = body.map_err(|error| UploadError::Broken { problem: error.to_string() });
        uploaded.documents.push(api.take(&offer, body).await?);
    }
    match (uploaded.documents.is_empty(), uploaded.refused.pop()) {
        (true, None) => Err(Problem::new(ErrorClass::Invalid)
            .detail("the form has no file; send each document as a part with a file name")),
        // Nothing was taken: the answer is why.
        (true, Some(last)) if uploaded.refused.is_empty() => Err(last.problem),
        (_, last) => {
            uploaded.refused.extend(last);
            Ok((StatusCode::ACCEPTED, Json(uploaded)).into_response())
        }
    }
}

fn broken(error: &impl std::fmt::Display) -> Problem {
    UploadError::Broken { problem: error.to_string() }.into()
}

impl Api {
    /// Takes one document, or not, and emits which.
    async fn take(
        &self,
        offer: &Offer<'_>,
        body: impl Stream<Item = Result<bytes::Bytes, UploadError>>,
    ) -> Answer<UploadedDocument> {
        let mut belied = None;
        let taken = self.accept(offer, &mut belied, body).await;
        // Names of documents may tell of people, and what is logged stays: it says ids alone.
        let (target, outcome) = match &taken {
            Ok(taken) => (taken.document.id.as_str(), Outcome::Success),
            Err(problem) if problem.status_code().is_client_error() => ("document", Outcome::Denied),
            Err(_) => ("document", Outcome::Failure),
        };
        let mut event = offer.caller.event(&self.ctx, "document.upload", outcome).target(target);
        event.detail = taken.as_ref().err().map(|problem| problem.class().to_string()).or(belied);
        self.ctx.events.emit(event);
        taken
    }

    /// Receives one document and brings it to the disk; then it is accepted.
    async fn accept(
        &self,
        offer: &Offer<'_>,
        belied: &mut Option<String>,
        body: impl Stream<Item = Result<bytes::Bytes, UploadError>>,
    ) -> Answer<UploadedDocument> {
        self.has_room().await?;
        let folder = self.store.incoming();
        let upload = upload::receive(pin!(body), &offer.name, &folder, &self.bounds).await?;
        *belied = upload.kind.and_then(|kind| upload::belied(kind, &offer.name, offer.mime.as_deref()));
        if let Some(belied) = belied {
            tracing::info!(target: "docproc", content = %upload.content, "an upload's content is of another kind: {belied}");
        }
        let (digest, now, name) = (Arc::clone(&self.digest), self.ctx.clock.wall(), offer.name.to_string());
        let accepted = self.store.run(move |store| {
            let Upload { path, content, bytes, .. } = &upload;
            store.accept(path, &name, content, &digest, *bytes, now)
        });
        let Accepted { document, seen_before } = accepted.await?;
        if !seen_before {
            self.queue.notify(&document);
        }
        Ok(UploadedDocument { document: self.queue.now(document), seen_before })
    }

    async fn has_room(&self) -> Answer<()> {
        let Counts { queued, queued_bytes, .. } = self.queue.counts().await?;
        if self.ctx.shutdown.is_draining() {
            return Err(Rejection::new(RejectionReason::ShuttingDown).into());
        }
        if queued >= self.config.queue_documents || queued_bytes >= self.config.queue_bytes.bytes() {
            let wait = std::time::Duration::from_secs(5);
            return Err(Rejection::new(RejectionReason::Full).after(wait).into());
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct ListQuery {
    limit: Option<u32>,
    before: Option<i64>,
}

#[derive(Serialize)]
struct List {
    documents: Vec<DocumentSummary>,
    /// Give this as `before` to see the older ones.
    next: Option<i64>,
}

async fn list(State(api): State<Api>, Query(query): Query<ListQuery>) -> Answer<Json<List>> {
    let limit = query.limit.unwrap_or(50).clamp(1, LONGEST_LIST);
    let documents = api.store.run(move |store| store.list(query.before, limit)).await?;
    let full = documents.len() == limit as usize;
    let next = documents.last().filter(|_| full).map(|last| last.seq);
    let documents = documents.into_iter().map(|document| api.queue.now(document)).collect();
    Ok(Json(List { documents, next }))
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    summary: DocumentSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Document>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    timings: Vec<(String, u64)>,
}

async fn show(State(api): State<Api>, Path(id): Path<String>) -> Answer<Json<Shown>> {
    let found = api.store.run(move |store| Ok(store.summary(&id)?.zip(Some(store.result(&id)?)))).await?;
    let (summary, result) = found.ok_or_else(no_such_document)?;
    let (document, timings) = result.map(|read| (read.document, read.timings)).unzip();
    Ok(Json(Shown { summary: api.queue.now(summary), document, timings: timings.unwrap_or_default() }))
}

async fn text(State(api): State<Api>, Path(id): Path<String>) -> Answer<Response> {
    let result = api.store.run(move |store| store.result(&id)).await?;
    let text = result.ok_or_else(no_such_document)?.document.text;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

#[derive(Serialize)]
struct NearList {
    near: Vec<Near>,
}

async fn near(State(api): State<Api>, Path(id): Path<String>) -> Answer<Json<NearList>> {
    let near = api.store.run(move |store| store.near(&id, LEAST_SIMILARITY, 20)).await?;
    Ok(Json(NearList { near: near.ok_or_else(no_such_document)? }))
}

/// Emits what became of the document of this id, as far as it is one.
fn did<T>(api: &Api, caller: &Caller, action: &'static str, id: &str, done: &Answer<T>) {
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let outcome = if done.is_ok() { Outcome::Success } else { Outcome::Failure };
    caller.did(&api.ctx, action, if is_id { id } else { "no id" }, outcome);
}

async fn retry(
    State(api): State<Api>,
    Path(id): Path<String>,
    caller: Caller,
) -> Answer<(StatusCode, Json<DocumentSummary>)> {
    let again = id.clone();
    let found = api.store.run(move |store| store.retry(&again)).await.map_err(Problem::from);
    let found = found.and_then(|found| found.ok_or_else(no_such_document));
    did(&api, &caller, "document.retry", &id, &found);
    let document = found?;
    if document.status == Status::Queued {
        api.queue.notify(&document);
    }
    Ok((StatusCode::ACCEPTED, Json(api.queue.now(document))))
}

async fn remove(State(api): State<Api>, Path(id): Path<String>, caller: Caller) -> Answer<StatusCode> {
    let gone = id.clone();
    let removed = api.store.run(move |store| store.remove(&gone)).await.map_err(Problem::from);
    let removed = removed.and_then(|removed| removed.then_some(()).ok_or_else(no_such_document));
    did(&api, &caller, "document.delete", &id, &removed);
    removed.map(|()| StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct SearchQuery {
    q: String,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Hits {
    hits: Vec<Hit>,
}

async fn search(State(api): State<Api>, Query(query): Query<SearchQuery>) -> Answer<Json<Hits>> {
    let limit = query.limit.unwrap_or(20).clamp(1, LONGEST_LIST);
    let hits = api.store.run(move |store| store.search(&query.q, limit)).await?;
    Ok(Json(Hits { hits }))
}

#[derive(Serialize)]
struct Totals {
    #[serde(flatten)]
    counts: Counts,
    running: usize,
}

/// Every document that goes a step further, and the totals after it; ends when the service drains.
async fn events(State(api): State<Api>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = api.queue.watch();
    let first = stream::once(totals(api.clone()));
    let rest = stream::unfold((api, changes), |(api, mut changes)| async move {
        let change = tokio::select! {
            // What has happened is told before the end.
            biased;
            change = changes.recv() => change,
            () = api.ctx.shutdown.drained() => return None,
        };
        let event = match change {
            Ok(document) => Event::default().event("document").json_data(&*document).ok(),
            // Too slow for the stream: the page looks afresh.
            Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {
                Some(Event::default().event("lagged").data(""))
            }
            Err(tokio::sync::broadcast::error::RecvError::Closed) => return None,
        };
        let totals = totals(api.clone()).await;
        Some((stream::iter(event.into_iter().chain(totals)), (api, changes)))
    });
    let events = first.flat_map(stream::iter).chain(rest.flatten()).map(Ok);
    Sse::new(events).keep_alive(KeepAlive::default())
}

async fn totals(api: Api) -> Option<Event> {
    let counts = api.queue.counts().await.ok()?;
    let running = api.queue.running();
    let queued = counts.queued.saturating_sub(running as u64);
    let totals = Totals { counts: Counts { queued, ..counts }, running };
    Event::default().event("stats").json_data(totals).ok()
}

fn no_such_document() -> Problem {
    Problem::new(ErrorClass::NotFound)
        .detail("there is no document of this id, or it is not done; GET /v1/documents lists those there are")
}
