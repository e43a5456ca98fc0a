//! A server that speaks HTTP: a handle for APIs with small answers.
//!
//! ```no_run
//! use buttress_connect::http::{Http, Request};
//! use buttress_connect::ConnectionConfig;
//! use buttress_core::Ctx;
//!
//! # async fn fetch() -> Result<(), buttress_connect::Error> {
//! let issuer = Http::open("issuer", "https://login.example", &ConnectionConfig::default(), &Ctx::default())?;
//! let answer = issuer.send(Request::get("/.well-known/jwks.json")).await?;
//! if answer.status != 200 {
//!     return Err(issuer.refused(&answer));
//! }
//! println!("{} bytes", answer.body.len());
//! # Ok(())
//! # }
//! ```
//!
//! No redirect is followed: whoever answers must be the one who was asked, since requests carry credentials. No proxy of the
//! environment is used. An answer larger than [`Http::LIMIT`], or than [`Http::limited`] says, is refused before it is read.

use std::io::Read;
use std::sync::Arc;

use buttress_core::{ByteSize, Ctx, ErrorClass, Probe, SharedClock, Vitality, timeout};
use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, Url};

use crate::error::Told;
use crate::{BoxError, ConnectionConfig, Error, tls};

/// A server at a base address. Cheap to clone; connections are kept and made anew as needed.
#[derive(Clone)]
pub struct Http {
    client: Client,
    name: &'static str,
    base: Arc<Url>,
    /// The base without credentials.
    place: Arc<str>,
    probe: Arc<str>,
    limit: u64,
    timeout: std::time::Duration,
    clock: SharedClock,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Http({} at {})", self.name, self.place)
    }
}

/// What is asked of a server. The values of headers are never shown.
#[derive(Clone)]
pub struct Request {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Bytes>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Request({} {})", self.method, self.path)
    }
}

impl Request {
    /// `GET` of a path below the base, which begins with a slash and may have a query; encoded as it is to be sent.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// `POST`.
    #[must_use]
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    /// `PUT`.
    #[must_use]
    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    /// `DELETE`.
    #[must_use]
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: Vec::new(), body: None }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sends this JSON.
    #[must_use]
    pub fn json(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }
}

/// What a server answered, whatever its status says. The content is not shown by `Debug`.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, whole.
    pub body: Bytes,
    headers: HeaderMap,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

impl Answer {
    /// A header's value, if it is there and is ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What the status means to who asked; `None` for a success.
    #[must_use]
    pub fn class(&self) -> Option<ErrorClass> {
        Some(match self.status {
            200..=299 => return None,
            401 => ErrorClass::Unauthenticated,
            403 => ErrorClass::Forbidden,
            404 | 410 => ErrorClass::NotFound,
            408 | 504 => ErrorClass::Timeout,
            409 | 412 => ErrorClass::Conflict,
            413 => ErrorClass::TooLarge,
            429 => ErrorClass::Throttled,
            405 | 415 | 501 => ErrorClass::Unsupported,
            500.. => ErrorClass::Unavailable,
            _ => ErrorClass::Invalid,
        })
    }
}

impl Http {
    /// The largest answer that is read, unless said otherwise.
    pub const LIMIT: ByteSize = ByteSize::mib(1);

    /// A handle on the server at `base`, `https://host[:port][/path]`; nothing is sent yet. `name` is what errors and the probe
    /// call it.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] when `base` is no address of that form; [`Error::File`] for a `ca_file` that cannot be used.
    pub fn open(name: &'static str, base: &str, config: &ConnectionConfig, ctx: &Ctx) -> Result<Self, Error> {
        let base = parsed(base)?;
        tls::use_ring();
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .user_agent(concat!("buttress/", env!("CARGO_PKG_VERSION")))
            .tls_certs_merge(certificates(config)?)
            .build()
            .map_err(|error| failed(name, shown(&base), ErrorClass::Internal, &error))?;
        Ok(Self {
            client,
            name,
            place: shown(&base).into(),
            probe: "/".into(),
            base: Arc::new(base),
            limit: Self::LIMIT.bytes(),
            timeout: config.timeout,
            clock: ctx.clock.clone(),
        })
    }

    /// Reads answers of up to this size.
    #[must_use]
    pub fn limited(mut self, limit: ByteSize) -> Self {
        self.limit = limit.bytes();
        self
    }

    /// Asks for this path when it is probed, `/` otherwise. Any answer below 500 passes.
    #[must_use]
    pub fn probed_at(mut self, path: &str) -> Self {
        self.probe = path.into();
        self
    }

    /// Where it is, without credentials.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Sends a request and reads the answer, both within the connection's `timeout`. Nothing is sent twice.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] when there is no answer, or it is too large. A status is no error: see [`Answer::class`].
    pub async fn send(&self, request: Request) -> Result<Answer, Error> {
        let answer = timeout(&*self.clock, self.timeout, self.exchange(request)).await;
        answer.unwrap_or_else(|elapsed| Err(self.failed(ErrorClass::Timeout, elapsed.to_string())))
    }

    /// The refusal in `answer` as an error. What the body says is left out: servers repeat there what they were sent.
    #[must_use]
    pub fn refused(&self, answer: &Answer) -> Error {
        let class = answer.class().unwrap_or(ErrorClass::Internal);
        self.failed(class, format!("it answered with status {}", answer.status))
    }

    /// An error of this server.
    #[must_use]
    pub fn failed(&self, class: ErrorClass, told: impl Into<String>) -> Error {
        let source: BoxError = Told(told.into()).into();
        Error::Failed { backend: self.name, place: self.place.to_string(), class, source }
    }

    async fn exchange(&self, request: Request) -> Result<Answer, Error> {
        let url = self.url(&request.path)?;
        let mut sent = self.client.request(request.method, url).headers(self.headers(&request.headers)?);
        if let Some(body) = request.body {
            sent = sent.header(CONTENT_TYPE, "application/json").body(body);
        }
        let failed = |error| self.client_failed(&error);
        let mut answer = sent.send().await.map_err(failed)?;
        let too_large =
            || self.failed(ErrorClass::TooLarge, format!("its answer is over {}", ByteSize::b(self.limit)));
        if answer.content_length().is_some_and(|length| length > self.limit) {
            return Err(too_large());
        }
        let (status, headers) = (answer.status().as_u16(), std::mem::take(answer.headers_mut()));
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if u64::try_from(body.len() + chunk.len()).unwrap_or(u64::MAX) > self.limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body: body.freeze(), headers })
    }

    /// The base with `path` behind it. The server stays the one that was configured, whatever the path is.
    fn url(&self, path: &str) -> Result<Url, Error> {
        let whole = format!("{}{path}", self.base.as_str().trim_end_matches('/'));
        let same = |url: &Url| path.starts_with('/') && url.origin() == self.base.origin();
        let url = Url::parse(&whole).ok().filter(same);
        url.ok_or_else(|| self.failed(ErrorClass::Invalid, "a path must begin with a slash"))
    }

    fn headers(&self, headers: &[(&'static str, String)]) -> Result<HeaderMap, Error> {
        let pairs = headers.iter().map(|(name, value)| {
            let mut value = HeaderValue::from_str(value).map_err(|_| {
                self.failed(ErrorClass::Invalid, format!("the value of `{name}` cannot be sent"))
            })?;
            value.set_sensitive(true);
            let name = HeaderName::try_from(*name)
                .map_err(|_| self.failed(ErrorClass::Invalid, format!("`{name}` cannot name a header")))?;
            Ok((name, value))
        });
        pairs.collect()
    }

    fn client_failed(&self, error: &reqwest::Error) -> Error {
        let class = if error.is_timeout() { ErrorClass::Timeout } else { ErrorClass::Unavailable };
        failed(self.name, self.place.to_string(), class, error)
    }
}

impl Probe for Http {
    fn name(&self) -> &str {
        self.name
    }

    async fn check(&self) -> Vitality {
        match self.send(Request::get(&*self.probe)).await {
            Ok(answer) if answer.status < 500 => Vitality::Pass,
            Ok(answer) => Vitality::Fail(format!("it answers with status {}", answer.status)),
            // Without the address, which the outside may see here.
            Err(Error::Failed { class, .. }) => Vitality::Fail(format!("no answer: {class}")),
            Err(_) => Vitality::Fail("no answer".to_owned()),
        }
    }
}

fn parsed(base: &str) -> Result<Url, Error> {
    let wrong = |address: String, problem: &str| Error::Address { address, problem: problem.to_owned() };
    // A text that does not parse may hold a password anywhere.
    let url = Url::parse(base).map_err(|_| {
        wrong("***".to_owned(), "write it like \"https://host:8200\", or with a path behind it")
    })?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong(shown(&url), "it must begin with `https://` or `http://` and name a host"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(
            shown(&url),
            "leave out what begins with `?` or `#`: paths are put behind the address",
        ));
    }
    Ok(url)
}

/// The address without user, password, query and fragment.
fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    let masked = shown.password().is_some() && shown.set_password(Some("***")).is_ok();
    if !masked && (shown.password().is_some() || !shown.username().is_empty()) {
        let _ = shown.set_username("***");
    }
    shown.set_query(None);
    shown.set_fragment(None);
    shown.as_str().trim_end_matches('/').to_owned()
}

fn certificates(config: &ConnectionConfig) -> Result<Vec<Certificate>, Error> {
    let Some(path) = &config.ca_file else { return Ok(Vec::new()) };
    let unusable = |problem: String| Error::File { path: path.display().to_string(), problem };
    let mut pem = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(1 << 20).read_to_end(&mut pem))
        .map_err(|error| unusable(error.to_string()))?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?;
    if certificates.is_empty() {
        return Err(unusable("it holds no certificate in PEM".to_owned()));
    }
    Ok(certificates)
}

/// An error of the client without the address in it, which may hold what is not to be shown.
fn failed(name: &'static str, place: String, class: ErrorClass, error: &reqwest::Error) -> Error {
    let mut told = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        told = error.to_string();
        cause = error.source();
    }
    if told.is_empty() {
        "the exchange failed".clone_into(&mut told);
    }
    Error::Failed { backend: name, place, class, source: Told(told).into() }
}
