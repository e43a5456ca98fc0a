//! Which pages of other origins may call (CORS, the Fetch standard), as a pure decision.

use std::time::Duration;

use buttress_core::{Validate, Violations, units};
use serde::{Deserialize, Serialize};

use crate::origin::{Origin, OriginPattern};

/// Which pages of other origins may call.
///
/// | field | default | |
/// |---|---|---|
/// | `origins` | none | see [`OriginPattern`] |
/// | `any_origin` | false | all, without credentials: for what is public |
/// | `credentials` | false | whether cookies and `Authorization` of the browser come along; never with `any_origin` |
/// | `methods` | `GET`, `HEAD`, `POST` | by name, in upper case |
/// | `headers` | `content-type` | that requests may have besides those that are always allowed |
/// | `expose` | none | headers of answers that scripts may read |
/// | `max_age` | `"10m"` | for so long a browser remembers a preflight; browsers have bounds of their own, two hours at most |
///
/// The origin `null` (files, sandboxes) is never allowed, and neither are calls from the internet into a private network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CorsConfig {
    /// Whose pages.
    pub origins: Vec<OriginPattern>,
    /// All, without credentials.
    pub any_origin: bool,
    /// Whether cookies come along.
    pub credentials: bool,
    /// Which methods.
    pub methods: Vec<String>,
    /// Which headers of requests.
    pub headers: Vec<String>,
    /// Which headers of answers scripts may read.
    pub expose: Vec<String>,
    /// For so long a browser remembers a preflight.
    #[serde(with = "units::duration")]
    pub max_age: Duration,
}

impl Default for CorsConfig {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            any_origin: false,
            credentials: false,
            methods: ["GET", "HEAD", "POST"].map(str::to_owned).into(),
            headers: vec!["content-type".to_owned()],
            expose: Vec::new(),
            max_age: Duration::from_mins(10),
        }
    }
}

/// Letters, digits and `-`: fewer than a token of HTTP has, and no `*`.
fn is_token(text: &str, letter: fn(&u8) -> bool) -> bool {
    let sign = |byte: u8| letter(&byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&text.len()) && text.bytes().all(sign)
}

impl Validate for CorsConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let open = !(self.any_origin && self.credentials);
        wrong.require(
            open,
            "credentials",
            self.credentials,
            "must be false with `any_origin`; name the origins",
        );
        let one = !self.any_origin || self.origins.is_empty();
        wrong.require(one, "any_origin", self.any_origin, "must be false where `origins` are named");
        wrong.require(self.origins.len() <= 256, "origins", self.origins.len(), "must be at most 256");
        let lists = [("methods", &self.methods), ("headers", &self.headers), ("expose", &self.expose)];
        for (field, names) in lists {
            wrong.require(names.len() <= 64, field, names.len(), "must be at most 64");
            let upper = field == "methods";
            let letter = if upper { u8::is_ascii_uppercase } else { u8::is_ascii_lowercase };
            for name in names {
                let remedy = if upper {
                    "must be a method like \"PUT\""
                } else {
                    "must be a header like \"x-request-id\"; `*` is none"
                };
                wrong.require(is_token(name, letter), field, format!("{name:?}"), remedy);
            }
        }
        let day = self.max_age <= Duration::from_hours(24);
        wrong.require(
            day,
            "max_age",
            units::format_duration(self.max_age),
            "must be at most 24h; 10m is usual",
        );
        wrong.into_result()
    }
}

/// What a request says that CORS is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Call<'a> {
    /// Its method.
    pub method: &'a str,
    /// The header `Origin`.
    pub origin: Option<&'a str>,
    /// The header `Access-Control-Request-Method`, which only a preflight has.
    pub asks_method: Option<&'a str>,
    /// The header `Access-Control-Request-Headers`.
    pub asks_headers: Option<&'a str>,
    /// Whether there is a header `Access-Control-Request-Private-Network`, whatever it says.
    pub asks_private_network: bool,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict<'a> {
    /// It is not of another origin, as far as it says.
    Plain,
    /// The page may read the answer. What `Access-Control-Allow-Origin` says: the origin, or `*`.
    Allowed(&'a str),
    /// The page may not read the answer. The request goes on: who it is of is not CORS's affair.
    NotAllowed,
    /// The browser asks first, and may. What `Access-Control-Allow-Origin` says.
    Preflight(&'a str),
    /// The browser asks first, and may not.
    Refused(Refusal),
}

/// Why a preflight is refused. A closed set: it is a label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The origin is not one of those that may.
    Origin,
    /// The method is not.
    Method,
    /// One of the headers is not, or there are too many.
    Headers,
    /// It is from the internet into a private network.
    PrivateNetwork,
}

impl Refusal {
    /// As a label: `"private_network"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Origin => "origin",
            Self::Method => "method",
            Self::Headers => "headers",
            Self::PrivateNetwork => "private_network",
        }
    }
}

/// The longest list of headers that is looked at.
const LONGEST_LIST: usize = 4096;

impl CorsConfig {
    /// What becomes of a request.
    ///
    /// ```
    /// use buttress_access::headers::cors::{Call, CorsConfig, Verdict};
    ///
    /// let mut cors = CorsConfig::default();
    /// cors.origins = vec!["https://app.example.org".parse()?];
    /// let call = Call { method: "GET", origin: Some("https://app.example.org"), ..Call::default() };
    /// assert_eq!(cors.judge(&call), Verdict::Allowed("https://app.example.org"));
    /// let call = Call { origin: Some("null"), ..call };
    /// assert_eq!(cors.judge(&call), Verdict::NotAllowed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn judge<'a>(&self, call: &Call<'a>) -> Verdict<'a> {
        let Some(origin) = call.origin else { return Verdict::Plain };
        let allowed = self.allowed(origin);
        let Some(method) = call.asks_method.filter(|_| call.method == "OPTIONS") else {
            return allowed.map_or(Verdict::NotAllowed, Verdict::Allowed);
        };
        let Some(allowed) = allowed else { return Verdict::Refused(Refusal::Origin) };
        if call.asks_private_network {
            return Verdict::Refused(Refusal::PrivateNetwork);
        }
        if !self.methods.iter().any(|known| known == method) {
            return Verdict::Refused(Refusal::Method);
        }
        if !self.may_have(call.asks_headers.unwrap_or_default()) {
            return Verdict::Refused(Refusal::Headers);
        }
        Verdict::Preflight(allowed)
    }

    fn allowed<'a>(&self, origin: &'a str) -> Option<&'a str> {
        // `null` is none, and so is what is not well formed.
        let parsed: Origin = origin.parse().ok()?;
        if self.any_origin {
            return Some("*");
        }
        self.origins.iter().any(|known| known.matches(&parsed)).then_some(origin)
    }

    fn may_have(&self, headers: &str) -> bool {
        let known = |name: &str| self.headers.iter().any(|known| known.eq_ignore_ascii_case(name));
        let mut names =
            headers.split(',').map(|name| name.trim_matches([' ', '\t'])).filter(|name| !name.is_empty());
        headers.len() <= LONGEST_LIST && names.all(known)
    }
}
