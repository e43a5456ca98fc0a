//! The HTTP interface, below `/v1`. `openapi.json` describes it.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use buttress_core::{ByteSize, ErrorClass, Key};
use buttress_service::{Error as ServiceError, Problem, Security};
use buttress_validate::PlainText;
use buttress_validate::json::{JsonLimits, from_json};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::runner::Runner;
use super::state;
use super::tenancy::{Asker, Tenancy};
use crate::flow::{Compiled, Flow, FlowErrors};
use crate::jobs::{Filter, Job, JobId, NewJob, State as JobState, Summary};
use crate::language::{Request, Translation, Translator};

/// The largest request body: a workflow, its inputs and what JSON adds.
const BODY: usize = 2 << 20;
/// How deep it may be: workflows stand in one another, and inputs are anything.
const DEPTH: usize = 64;

/// What every handler works on.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) runner: Runner,
    pub(crate) translator: Translator,
    pub(crate) tenancy: Tenancy,
    /// What the model is called, if there is one.
    pub(crate) model: String,
}

type Answer<T> = Result<T, Problem>;

/// The routes below `/v1` that answer soon.
pub(crate) fn routes(api: Api, security: &Security) -> Result<Router, ServiceError> {
    let read = Router::new()
        .route("/v1/jobs", get(list))
        .route("/v1/jobs/{id}", get(show))
        .route("/v1/jobs/{id}/artifacts/{name}", get(artifact))
        .route("/v1/flows/check", post(check))
        .route("/v1/pool", get(pool))
        .route_layer(security.require("job:read")?);
    let write = Router::new()
        .route("/v1/jobs", post(submit))
        .route("/v1/jobs/{id}/cancel", post(cancel))
        .route_layer(security.require("job:write")?);
    let routes = read.merge(write).layer(DefaultBodyLimit::max(BODY)).with_state(api);
    Ok(security.authenticate(routes))
}

/// The routes below `/v1` that take as long as the other side does: events, and a model that thinks.
pub(crate) fn long_routes(api: Api, security: &Security) -> Result<Router, ServiceError> {
    let command = Router::new()
        .route("/v1/commands", post(command))
        .layer(DefaultBodyLimit::max(BODY))
        .route_layer(security.require("job:write")?);
    let events = Router::new()
        .route("/v1/events", get(super::events::events))
        .route_layer(security.require("job:read")?);
    Ok(security.authenticate(command.merge(events).with_state(api)))
}

/// A workflow, as an object or as its text.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyFlow {
    Text(String),
    Object(Map<String, Value>),
}

impl AnyFlow {
    /// The checked workflow, and the text that is kept of it.
    fn compile(self) -> Result<(Compiled, String), FlowErrors> {
        match self {
            Self::Text(text) => Ok((Compiled::parse(&text)?, text)),
            Self::Object(object) => {
                let text = Value::Object(object).to_string();
                Ok((Compiled::parse(&text)?, text))
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Submission {
    flow: Option<AnyFlow>,
    command: Option<PlainText>,
    #[serde(default)]
    inputs: Map<String, Value>,
    key: Option<String>,
}

async fn submit(State(api): State<Api>, asker: Asker, body: Bytes) -> Answer<Response> {
    let answer = api.accept(&asker, &body).await;
    let target = answer.as_ref().map_or_else(|_| "job".to_owned(), |(job, _)| format!("job/{}", job.id));
    asker.did(&api.runner.ctx, "job.submit", &target, &answer);
    let (job, new) = answer?;
    let status = if new { StatusCode::ACCEPTED } else { StatusCode::OK };
    let location = format!("/v1/jobs/{}", job.id);
    Ok((status, [(header::LOCATION, location)], Json(WholeJob::from(job))).into_response())
}

#[derive(Deserialize)]
struct ListQuery {
    state: Option<JobState>,
    before: Option<String>,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Jobs {
    jobs: Vec<Summary>,
}

async fn list(State(api): State<Api>, asker: Asker, Query(query): Query<ListQuery>) -> Answer<Json<Jobs>> {
    let filter = Filter {
        tenant: asker.seen().cloned(),
        state: query.state,
        before: query.before.as_deref().map(id).transpose()?,
        limit: Some(query.limit.unwrap_or(50)),
    };
    Ok(Json(Jobs { jobs: api.runner.store.list(filter).await? }))
}

/// A job, and what lists say of it.
#[derive(Serialize)]
struct WholeJob {
    #[serde(flatten)]
    job: Job,
    results: u32,
    artifacts: u32,
}

impl From<Job> for WholeJob {
    fn from(job: Job) -> Self {
        let Summary { results, artifacts, .. } = Summary::from(&job);
        Self { job, results, artifacts }
    }
}

async fn show(State(api): State<Api>, asker: Asker, Path(job): Path<String>) -> Answer<Json<WholeJob>> {
    let job = api.runner.store.get(id(&job)?, asker.seen()).await?;
    Ok(Json(job.into()))
}

async fn cancel(State(api): State<Api>, asker: Asker, Path(job): Path<String>) -> Answer<Json<WholeJob>> {
    let answer = async { Ok(api.runner.store.cancel(id(&job)?, asker.seen()).await?) }.await;
    asker.did(&api.runner.ctx, "job.cancel", &format!("job/{job}"), &answer);
    Ok(Json(answer?.into()))
}

async fn artifact(
    State(api): State<Api>,
    asker: Asker,
    headers: HeaderMap,
    Path((job, name)): Path<(String, String)>,
) -> Answer<Response> {
    let answer = api.artifact(&asker, &headers, &job, &name).await;
    asker.did(&api.runner.ctx, "artifact.read", &format!("job/{job}/{name}"), &answer);
    answer
}

impl Api {
    /// Takes a job, and tells whether it is new.
    async fn accept(&self, asker: &Asker, body: &[u8]) -> Answer<(Job, bool)> {
        let submission: Submission = read(body)?;
        let tenant = asker.own()?.clone();
        let Submission { flow, command, inputs, key } = submission;
        let (flow, text) = match (flow, command) {
            (Some(flow), None) => flow.compile().map_err(wrong_flow)?,
            (None, Some(command)) => {
                let translation = self.translate(command, &tenant).await?;
                (Compiled::new(&translation.flow).map_err(wrong_flow)?, text_of(&translation.flow)?)
            }
            _ => {
                let detail = "give either `flow`, a workflow, or `command`, a plain sentence";
                return Err(Problem::new(ErrorClass::Invalid).detail(detail));
            }
        };
        flow.bind(inputs.clone()).map_err(wrong_flow)?;
        let key = key.map(Key::new).transpose()?;
        let job = NewJob { tenant, flow: text, name: flow.name().to_owned(), inputs, key };
        Ok(self.runner.store.submit(job).await?)
    }

    async fn artifact(&self, asker: &Asker, headers: &HeaderMap, job: &str, name: &str) -> Answer<Response> {
        let job = self.runner.store.get(id(job)?, asker.seen()).await?;
        let named =
            job.report.iter().flat_map(|report| &report.artifacts).find(|artifact| artifact.name == name);
        let Some(artifact) = named else {
            return Err(Problem::new(ErrorClass::NotFound).detail(format!("the job has no artifact {name}")));
        };
        let tag = format!("\"{}\"", artifact.hash);
        if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
            return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
        }
        let Some(content) = self.runner.artifacts.get(&artifact.hash).await? else {
            let detail = "the artifact gave way to newer ones; `jobs.artifacts` keeps more";
            return Err(Problem::new(ErrorClass::NotFound).status(StatusCode::GONE).detail(detail));
        };
        // What a page gave may be anything: only what this service made itself is shown.
        let shown = matches!(artifact.media_type.as_str(), "image/png" | "application/pdf");
        let disposition = if shown { "inline" } else { "attachment" };
        let headers = [
            (header::CONTENT_TYPE, artifact.media_type.clone()),
            (header::ETAG, tag),
            (header::CACHE_CONTROL, "private, max-age=31536000, immutable".to_owned()),
            // Who has another key is not shown what was kept for this one.
            (header::VARY, "authorization, x-api-key, x-tenant".to_owned()),
            (header::CONTENT_DISPOSITION, format!("{disposition}; filename=\"{name}\"")),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'".to_owned()),
        ];
        Ok((headers, content).into_response())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Checking {
    flow: AnyFlow,
}

#[derive(Serialize)]
struct Checked {
    name: String,
    steps: usize,
    digest: String,
}

async fn check(body: Bytes) -> Answer<Json<Checked>> {
    let checking: Checking = read(&body)?;
    let (flow, _) = checking.flow.compile().map_err(wrong_flow)?;
    let (name, digest) = (flow.name().to_owned(), flow.digest().to_owned());
    Ok(Json(Checked { name, steps: flow.step_count(), digest }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    text: PlainText,
}

async fn command(State(api): State<Api>, asker: Asker, body: Bytes) -> Answer<Json<Translation>> {
    let answer = async {
        let Command { text } = read(&body)?;
        api.translate(text, asker.own()?).await
    };
    let answer = answer.await;
    asker.did(&api.runner.ctx, "command.translate", "command", &answer);
    Ok(Json(answer?))
}

async fn pool(State(api): State<Api>) -> Answer<Json<state::Pool>> {
    Ok(Json(api.state().await?))
}

impl Api {
    async fn translate(&self, text: PlainText, tenant: &Key) -> Answer<Translation> {
        let request = Request::new(text.as_str()).tenant(tenant.as_str());
        Ok(self.translator.translate(&request).await?)
    }

    /// How the service is.
    pub(crate) async fn state(&self) -> Answer<state::Pool> {
        let counts = self.runner.store.counts().await?;
        let budget = self.translator.budget().await?;
        Ok(state::Pool::of(&self.runner, &counts, budget.map(|budget| (self.model.clone(), budget))))
    }
}

/// The body of a request, which is JSON whatever its header says. What is wrong is told with its place.
fn read<T: DeserializeOwned>(body: &[u8]) -> Answer<T> {
    let mut limits = JsonLimits::default();
    (limits.bytes, limits.depth) = (ByteSize::b(BODY as u64), DEPTH);
    // A workflow may be one text.
    limits.string_bytes = limits.bytes;
    from_json(body, &limits).map_err(|problems| {
        let list = serde_json::to_value(&problems).unwrap_or_default();
        Problem::from(problems).with("problems", list)
    })
}

fn id(text: &str) -> Answer<JobId> {
    text.parse().map_err(|_| {
        Problem::new(ErrorClass::NotFound).detail(format!("{text} is no job's id; see GET /v1/jobs"))
    })
}

fn text_of(flow: &Flow) -> Answer<String> {
    serde_json::to_string(flow).map_err(|_| Problem::new(ErrorClass::Internal))
}

/// All that is wrong with a workflow, each with its place.
fn wrong_flow(errors: FlowErrors) -> Problem {
    let list = serde_json::to_value(&errors).unwrap_or_default();
    let list = match list {
        Value::Object(mut fields) => fields.remove("errors").unwrap_or_default(),
        list => list,
    };
    Problem::from(errors).with("errors", list)
}
