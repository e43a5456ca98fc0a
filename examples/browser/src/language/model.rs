//! One question to an OpenAI-compatible service: `POST {url}/chat/completions`.

use std::time::Duration;

use buttress_core::{Classify, ErrorClass, SharedClock, timeout};
use buttress_secrets::Secrets;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Client, Response, StatusCode, redirect};
use rustls::crypto::{CryptoProvider, ring};
use serde::Serialize;

use super::answer::Answer;
use super::config::LanguageConfig;
use super::error::{Error, ModelError, Result};
use super::key::{ApiKey, KeySource};
use super::optimise::Message;
use super::scan::plain;

/// The largest answer.
const MOST_BODY: usize = 1 << 20;
/// What is read of an answer that is an error.
const MOST_ERROR: usize = 16 << 10;
/// What is shown of it, in characters.
const MOST_SAID: usize = 300;

/// The service. Redirects are not followed and the environment's proxies are not used: the key goes to `url` alone.
#[derive(Debug)]
pub(crate) struct Model {
    client: Client,
    address: String,
    pub(crate) name: String,
    key: KeySource,
    clock: SharedClock,
    timeout: Duration,
    max_answer_tokens: u64,
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: &'a [Message],
    temperature: u8,
    max_tokens: u64,
    response_format: Format,
}

#[derive(Serialize)]
struct Format {
    r#type: &'static str,
}

/// Why one try failed, and whether the service may charge for it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: ModelError,
    /// The request may have been worked on, and its answer was lost.
    pub(crate) may_cost: bool,
    /// What the service says of when to try again.
    pub(crate) retry_after: Option<Duration>,
    /// Whether another try may succeed.
    pub(crate) is_passing: bool,
}

impl Classify for Failure {
    /// What it says of the service.
    fn class(&self) -> ErrorClass {
        match self.error {
            // It is there, and does not want this, or not now.
            _ if !self.is_passing => ErrorClass::Invalid,
            ModelError::Throttled { .. } => ErrorClass::Throttled,
            ModelError::TimedOut(_) => ErrorClass::Timeout,
            _ => ErrorClass::Unavailable,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl Model {
    /// The model of the configuration, if it names one.
    pub(crate) async fn open(
        config: &LanguageConfig,
        secrets: Option<&Secrets>,
        clock: SharedClock,
    ) -> Result<Option<Self>> {
        let Some(url) = &config.url else { return Ok(None) };
        let key = KeySource::open(config, secrets).await?;
        if CryptoProvider::get_default().is_none() {
            // Somebody was quicker: then that is the default.
            let _ = ring::default_provider().install_default();
        }
        let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().build();
        let client = client.map_err(|error| Error::Model(unavailable(&error)))?;
        Ok(Some(Self {
            client,
            address: format!("{}/chat/completions", url.trim_end_matches('/')),
            name: config.model.clone(),
            key,
            clock,
            timeout: config.calls.timeout,
            max_answer_tokens: config.max_answer_tokens,
        }))
    }

    /// Asks once.
    pub(crate) async fn ask(&self, messages: &[Message]) -> Result<Answer, Failure> {
        let asked = timeout(&*self.clock, self.timeout, self.ask_unlimited(messages));
        let late = |_| lost(ModelError::TimedOut(self.timeout));
        asked.await.map_err(late)?
    }

    async fn ask_unlimited(&self, messages: &[Message]) -> Result<Answer, Failure> {
        let key = self.key.now().await.map_err(passing)?;
        let refused = match self.ask_with(key.as_ref(), messages).await {
            Err(failure) if matches!(failure.error, ModelError::Unauthenticated { .. }) => failure,
            outcome => return outcome,
        };
        // It may have been rotated since it was looked at.
        let newer = match &key {
            Some(key) => self.key.instead_of(key).await,
            None => None,
        };
        match newer {
            Some(newer) => self.ask_with(Some(&newer), messages).await,
            None => Err(refused),
        }
    }

    async fn ask_with(&self, key: Option<&ApiKey>, messages: &[Message]) -> Result<Answer, Failure> {
        let body = Body {
            model: &self.name,
            messages,
            temperature: 0,
            max_tokens: self.max_answer_tokens,
            response_format: Format { r#type: "json_object" },
        };
        let mut request = self.client.post(&self.address).json(&body);
        if let Some(key) = key {
            request = request.header(AUTHORIZATION, key.header());
        }
        let mut response = request.send().await.map_err(|error| Failure {
            // Without a connection nobody has seen the request.
            may_cost: !(error.is_connect() || error.is_builder()),
            ..passing(unavailable(&error))
        })?;
        if !response.status().is_success() {
            return Err(refusal(key, response).await);
        }
        let body = read(&mut response, MOST_BODY).await?;
        let body = body.ok_or(Failure { is_passing: false, ..lost(ModelError::TooLarge) })?;
        Answer::read(&body).map_err(|error| Failure { is_passing: false, ..lost(error) })
    }
}

async fn refusal(key: Option<&ApiKey>, mut response: Response) -> Failure {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    // What it says is only for people; that it cannot be read changes nothing.
    let said = read(&mut response, MOST_ERROR).await.ok().flatten().unwrap_or_default();
    let said = what_is_said(key, &said);
    let error = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ModelError::Unauthenticated { status: status.as_u16(), said }
        }
        StatusCode::TOO_MANY_REQUESTS => ModelError::Throttled { retry_after, said },
        status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            let said = if said.is_empty() { said } else { format!(", and it says: {said}") };
            ModelError::Unavailable { problem: format!("it answered {}{said}", status.as_u16()) }
        }
        status => ModelError::Refused { status: status.as_u16(), said },
    };
    let is_passing = matches!(error, ModelError::Throttled { .. } | ModelError::Unavailable { .. });
    Failure { error, may_cost: false, retry_after, is_passing }
}

/// What an answer says, on one line, cut, without the key.
fn what_is_said(key: Option<&ApiKey>, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let json: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let message = json.as_ref().and_then(|json| {
        ["/error/message", "/error", "/message", "/detail"].iter().find_map(|at| json.pointer(at)?.as_str())
    });
    let said = message.unwrap_or(&text);
    // The key goes before the cut: half of it would not be found.
    let said = plain(said, MOST_ERROR);
    let said = key.map_or(said.clone(), |key| key.redact(&said));
    said.chars().take(MOST_SAID).collect()
}

/// The body, if it has at most `most` bytes.
async fn read(response: &mut Response, most: usize) -> Result<Option<Vec<u8>>, Failure> {
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Ok(None);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(unavailable(&error)))? {
        if body.len() + chunk.len() > most {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// How long the service asks us to wait, in seconds or milliseconds. A date is looked over: our own wait will do.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds =
        number("retry-after-ms").map(|millis| millis / 1_000.0).or_else(|| number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn passing(error: ModelError) -> Failure {
    Failure { error, may_cost: false, retry_after: None, is_passing: true }
}

/// The service may have done the work, and its answer did not come.
fn lost(error: ModelError) -> Failure {
    Failure { may_cost: true, ..passing(error) }
}

fn unavailable(error: &reqwest::Error) -> ModelError {
    // Its own text is only the outermost; the reason is inside.
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let problem = if error.is_connect() { "no connection" } else { "the connection was cut" };
    ModelError::Unavailable { problem: format!("{problem}: {inner}") }
}
