//! API keys over HTTP, for those who may manage them.

use std::time::{Duration, SystemTime};

use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use buttress_access::keys::{ApiKeys, IssuedKey, KeyId, KeyRecord, NewKey};
use buttress_access::{Names, TenantId};
use buttress_core::{Ctx, ErrorClass, Key, Outcome, units};
use serde::{Deserialize, Serialize};

use super::Caller;
use crate::problem::Problem;

/// The most keys in one list.
const LONGEST_LIST: usize = 500;

type Answer<T> = Result<T, Problem>;

/// What handlers work on.
#[derive(Clone)]
struct Managed {
    keys: ApiKeys,
    ctx: Ctx,
}

impl Managed {
    /// Says by whom: the keys themselves tell only what became of them.
    fn did<T>(&self, caller: &Caller, action: &'static str, id: &str, done: &Result<T, impl Sized>) {
        let outcome = if done.is_ok() { Outcome::Success } else { Outcome::Failure };
        caller.did(&self.ctx, action, id, outcome);
    }
}

pub(super) fn routes(keys: ApiKeys, ctx: Ctx) -> Router {
    Router::new()
        .route("/v1/keys", get(list).post(issue))
        .route("/v1/keys/{id}", delete(revoke))
        .route("/v1/keys/{id}/rotate", post(rotate))
        .layer(from_fn(of_no_tenant))
        .with_state(Managed { keys, ctx })
}

/// Whoever may issue keys may issue those of any tenant, and of none: that is not for one of them.
async fn of_no_tenant(caller: Caller, request: Request, next: Next) -> Answer<Response> {
    if caller.principal.is_some_and(|principal| principal.tenant.is_some()) {
        let detail = "API keys are managed with a key that belongs to no tenant";
        return Err(Problem::new(ErrorClass::Forbidden).detail(detail));
    }
    Ok(next.run(request).await)
}

/// What may be known of a key.
#[derive(Serialize)]
struct Shown {
    id: String,
    owner: String,
    tenant: Option<TenantId>,
    roles: Names,
    label: String,
    created: u64,
    expires: Option<u64>,
    revoked: Option<u64>,
    last_used: Option<u64>,
    successor: Option<String>,
    /// The key itself: only where it was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Shown {
    fn of(record: &KeyRecord) -> Self {
        Self {
            id: record.id.to_string(),
            owner: record.owner.to_string(),
            tenant: record.tenant.clone(),
            roles: record.roles.clone(),
            label: record.label.clone(),
            created: seconds(record.created),
            expires: record.expires.map(seconds),
            revoked: record.revoked.map(seconds),
            last_used: record.last_used.map(seconds),
            successor: record.successor.map(|id| id.to_string()),
            key: None,
        }
    }
}

/// The only answer with a key in it; nobody on the way should keep it.
fn made(issued: &IssuedKey) -> Response {
    let shown = Shown { key: Some(issued.expose().to_owned()), ..Shown::of(issued.record()) };
    (StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(shown)).into_response()
}

fn no_such_key() -> Problem {
    Problem::new(ErrorClass::NotFound).detail("there is no such key")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    tenant: Option<TenantId>,
    after: Option<String>,
}

async fn list(State(managed): State<Managed>, Query(query): Query<ListQuery>) -> Answer<Json<Vec<Shown>>> {
    let after = match query.after {
        Some(id) => Some(KeyId::parse(&id).ok_or_else(no_such_key)?),
        None => None,
    };
    let found = managed.keys.list(query.tenant.as_ref(), after, LONGEST_LIST).await?;
    Ok(Json(found.iter().map(Shown::of).collect()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    owner: String,
    tenant: Option<TenantId>,
    #[serde(default)]
    roles: Names,
    #[serde(default)]
    label: String,
    /// For how long it is good.
    #[serde(default, with = "units::optional_duration")]
    lifetime: Option<Duration>,
}

async fn issue(
    State(managed): State<Managed>,
    caller: Caller,
    Json(wanted): Json<Wanted>,
) -> Answer<Response> {
    let mut key = NewKey::of(Key::new(wanted.owner)?).roles(wanted.roles).label(wanted.label);
    (key.tenant, key.lifetime) = (wanted.tenant, wanted.lifetime);
    let issued = managed.keys.issue(key).await;
    let id = issued.as_ref().map_or_else(|_| "none".to_owned(), |issued| issued.record().id.to_string());
    managed.did(&caller, "key.issue", &id, &issued);
    Ok(made(&issued?))
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Rotation {
    /// For how long the key before stays good.
    #[serde(with = "units::optional_duration")]
    overlap: Option<Duration>,
}

async fn rotate(
    State(managed): State<Managed>,
    caller: Caller,
    Path(id): Path<String>,
    Query(rotation): Query<Rotation>,
) -> Answer<Response> {
    const OVERLAP: Duration = Duration::from_hours(24);
    let key = KeyId::parse(&id).ok_or_else(no_such_key)?;
    let rotated = managed.keys.rotate(key, rotation.overlap.unwrap_or(OVERLAP)).await;
    managed.did(&caller, "key.rotate", &id, &rotated);
    Ok(made(&rotated?))
}

async fn revoke(
    State(managed): State<Managed>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    let revoked = managed.keys.revoke(KeyId::parse(&id).ok_or_else(no_such_key)?).await;
    managed.did(&caller, "key.revoke", &id, &revoked);
    revoked?;
    Ok(StatusCode::NO_CONTENT)
}
