//! As whom the server is asked: a token that is had, renewed, and had anew.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use buttress_connect::http::{Answer, Http, Request};
use buttress_core::{ErrorClass, SharedClock};
use serde::Deserialize;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::config::{OpenBaoConfig, OpenBaoLogin};
use super::{KIND, failed};
use crate::Error;
use crate::store::blocking;

/// The longest token or secret id that is read from a file.
const MAX_CREDENTIAL: u64 = 16 << 10;

/// For so long a token is not had anew because it is refused.
const FRESH: Duration = Duration::from_secs(5);

/// Asks the server, with a token.
pub(super) struct Session {
    pub(super) http: Http,
    login: OpenBaoLogin,
    namespace: Option<String>,
    clock: SharedClock,
    held: Mutex<Held>,
}

struct Held {
    /// Empty where there is none.
    token: Zeroizing<String>,
    /// When it is to be renewed. `None`: it lives for ever, or nobody may renew it.
    renew_at: Option<Instant>,
    /// Whether the server has said that it knows the token.
    known: bool,
    /// When it was had.
    since: Instant,
    /// The file that it is from, as it was then.
    file: Option<Stamp>,
}

type Stamp = (Option<SystemTime>, u64);

/// What the server says of a token.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Terms {
    client_token: Zeroizing<String>,
    /// In seconds, after a login or a renewal.
    lease_duration: u64,
    /// In seconds, after a look.
    ttl: u64,
    renewable: bool,
}

impl Session {
    pub(super) fn new(http: Http, config: &OpenBaoConfig, clock: SharedClock) -> Self {
        let (login, namespace) = (config.login.clone(), config.namespace.clone());
        let none = Held {
            token: Zeroizing::default(),
            renew_at: None,
            known: false,
            since: clock.now(),
            file: None,
        };
        Self { http, login, namespace, clock, held: Mutex::new(none) }
    }

    /// Sends a request. One that is not let in is sent once more with a new token, if there is one: it was not carried out.
    pub(super) async fn ask(&self, doing: &str, request: Request) -> Result<Answer, Error> {
        let (token, known) = self.token(doing).await?;
        let answer = self.send(doing, &token, request.clone()).await?;
        if answer.status != 403 {
            return Ok(answer);
        }
        self.forget(&token).await;
        let (fresh, _) = self.token(doing).await?;
        if *fresh != *token {
            return self.send(doing, &fresh, request).await;
        }
        if known {
            return Ok(answer);
        }
        let told = "the server knows no such token, or has revoked it";
        Err(failed(doing, self.http.failed(ErrorClass::Unauthenticated, told)))
    }

    async fn send(&self, doing: &str, token: &str, request: Request) -> Result<Answer, Error> {
        let mut request = request.header("x-vault-request", "true");
        if !token.is_empty() {
            request = request.header("x-vault-token", token);
        }
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        self.http.send(request).await.map_err(|error| failed(doing, error))
    }

    /// Lets go of a token that was refused, unless it is new: then it is the policy that refuses, and each login costs the server.
    async fn forget(&self, token: &str) {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        if *held.token == *token && now.saturating_duration_since(held.since) >= FRESH {
            held.token = Zeroizing::default();
        }
    }

    /// A token, and whether the server has said that it knows it. One caller gets or renews it, and the others wait for that.
    async fn token(&self, doing: &str) -> Result<(Zeroizing<String>, bool), Error> {
        let mut held = self.held.lock().await;
        let replaced = match &self.login {
            OpenBaoLogin::Token { file } => held.file != Some(stamp(file).await?),
            OpenBaoLogin::AppRole { .. } | OpenBaoLogin::Kubernetes { .. } => false,
        };
        let is_due = held.renew_at.is_some_and(|at| at <= self.clock.now());
        // A token from a file is used as long as the server takes it: there is no way to another.
        if replaced
            || held.token.is_empty()
            || (is_due && !self.renewed(doing, &mut held).await && held.file.is_none())
        {
            *held = self.anew(doing).await?;
        }
        Ok((held.token.clone(), held.known))
    }

    async fn of_file(&self, doing: &str, file: &Path) -> Result<Held, Error> {
        // Before it is read, so that a change meanwhile is seen the next time.
        let stamp = stamp(file).await?;
        let token = credential(file).await?;
        let answer = self.send(doing, &token, Request::get("/v1/auth/token/lookup-self")).await?;
        // A token that may not look at itself is used as it is.
        let terms = if answer.status == 200 { terms(&answer.body, "data") } else { None };
        let renew_at = terms.as_ref().and_then(|terms| self.renew_at(terms.ttl, terms.renewable));
        Ok(Held { token, renew_at, known: terms.is_some(), since: self.clock.now(), file: Some(stamp) })
    }

    async fn anew(&self, doing: &str) -> Result<Held, Error> {
        let (mount, body) = match &self.login {
            OpenBaoLogin::AppRole { role_id, secret_id_file, mount } => {
                let secret_id = credential(secret_id_file).await?;
                (mount, serde_json::json!({ "role_id": role_id, "secret_id": *secret_id }))
            }
            OpenBaoLogin::Kubernetes { role, jwt_file, mount } => {
                let jwt = credential(jwt_file).await?;
                (mount, serde_json::json!({ "role": role, "jwt": *jwt }))
            }
            OpenBaoLogin::Token { file } => return self.of_file(doing, file).await,
        };
        let request = Request::post(format!("/v1/auth/{mount}/login")).json(body.to_string());
        let answer = self.send(doing, "", request).await?;
        let terms = terms(&answer.body, "auth").filter(|terms| !terms.client_token.is_empty());
        let Some(terms) = terms else {
            // The server says 400 for credentials that are wrong.
            let refused = matches!(answer.status, 400 | 401 | 403);
            let class = if refused { ErrorClass::Unauthenticated } else { ErrorClass::Unavailable };
            let told = format!("the login at `{mount}` was answered with status {}", answer.status);
            return Err(failed(doing, self.http.failed(class, told)));
        };
        let renew_at = self.renew_at(terms.lease_duration, true);
        Ok(Held { token: terms.client_token, renew_at, known: true, since: self.clock.now(), file: None })
    }

    /// Renews a token. `false`: it could not be, and is to be had anew where that is possible.
    async fn renewed(&self, doing: &str, held: &mut Held) -> bool {
        let request = Request::post("/v1/auth/token/renew-self").json("{}");
        let answer = self.send(doing, &held.token, request).await;
        let terms =
            answer.ok().filter(|answer| answer.status == 200).and_then(|answer| terms(&answer.body, "auth"));
        if let Some(terms) = terms {
            held.renew_at = self.renew_at(terms.lease_duration, terms.renewable);
            return true;
        }
        tracing::warn!(store = KIND, "the token could not be renewed");
        held.renew_at = Some(self.clock.now() + Duration::from_secs(10));
        false
    }

    /// After two thirds of its life.
    fn renew_at(&self, seconds: u64, renewable: bool) -> Option<Instant> {
        if seconds == 0 || !renewable {
            return None;
        }
        self.clock.now().checked_add(Duration::from_secs(seconds) * 2 / 3)
    }
}

fn terms(body: &[u8], member: &str) -> Option<Terms> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        auth: Option<Terms>,
        #[serde(default)]
        data: Option<Terms>,
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    if member == "auth" { body.auth } else { body.data }
}

async fn stamp(file: &Path) -> Result<Stamp, Error> {
    let file = file.to_owned();
    blocking(KIND, move || {
        let about = std::fs::metadata(&file).map_err(|error| no_credential(&file, error))?;
        Ok((about.modified().ok(), about.len()))
    })
    .await
}

async fn credential(file: &Path) -> Result<Zeroizing<String>, Error> {
    let file = file.to_owned();
    blocking(KIND, move || {
        use std::io::Read;
        let mut text = Zeroizing::new(String::with_capacity(1024));
        std::fs::File::open(&file)
            .and_then(|open| open.take(MAX_CREDENTIAL).read_to_string(&mut text))
            .map_err(|error| no_credential(&file, error))?;
        Ok(Zeroizing::new(text.trim().to_owned()))
    })
    .await
}

fn no_credential(file: &Path, error: std::io::Error) -> Error {
    Error::file(KIND, format!("read its credential from {}", file.display()), error)
}
