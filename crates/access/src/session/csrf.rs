//! Requests that change something come from one's own pages, or are refused.
//!
//! Two checks, either of which would do in most cases:
//!
//! 1. Where the request comes from, as the browser says it: `Sec-Fetch-Site`, else `Origin` beside `Host`. No page can change these.
//! 2. A token that a page of one's own was given: an HMAC over the session. With a cookie value instead of a session it is the double
//!    submission that an API without sessions uses (OWASP's signed double submit cookie).
//!
//! Methods that only read (`GET`, `HEAD`, `OPTIONS`) are exempt, so they must change nothing.
//!
//! ```
//! use buttress_access::session::csrf::{Arrival, Csrf, CsrfConfig, CsrfKey, CsrfRefusal};
//!
//! let csrf = Csrf::new(&CsrfConfig::default(), CsrfKey::generate()?)?;
//! let session = b"the session's hash";
//! let token = csrf.token(session)?; // another each time, for forms and scripts
//!
//! let from_elsewhere = Arrival { fetch_site: Some("cross-site"), ..Arrival::new("POST") };
//! assert_eq!(csrf.check(&from_elsewhere, session, Some(&token)), Err(CsrfRefusal::OtherSite));
//! let own = Arrival { fetch_site: Some("same-origin"), ..Arrival::new("POST") };
//! assert_eq!(csrf.check(&own, session, None), Err(CsrfRefusal::NoToken));
//! assert_eq!(csrf.check(&own, session, Some(&token)), Ok(()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::sync::Arc;

use buttress_core::{Classify, ErrorClass, Validate, Violations};
use data_encoding::BASE64URL_NOPAD;
use ring::hmac;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::origin::{Origin, OriginPattern};
use crate::{Error, random};

const NONCE: usize = 16;
const MAC: usize = 32;
/// Characters of a token: base64url of nonce and MAC.
const CHARACTERS: usize = (NONCE + MAC) * 4 / 3;
/// What the MAC is for, so that no other use of the key makes a token.
const LABEL: &[u8] = b"buttress csrf 1\0";

/// What is asked of requests that change something.
///
/// | field | default | |
/// |---|---|---|
/// | `trusted_origins` | none | other origins than the service's own that may send them; see [`OriginPattern`] |
/// | `token` | `"header"` | `"handler"`: the handler checks it, which finds it in a form; `"off"`: no token, so only what says where it comes from is taken |
/// | `header` | `"x-csrf-token"` | where the token stands |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CsrfConfig {
    /// Other origins than the service's own.
    pub trusted_origins: Vec<OriginPattern>,
    /// Who looks at the token.
    pub token: TokenCheck,
    /// Where the token stands.
    pub header: String,
}

/// Who looks at the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenCheck {
    /// The layer does, in a header.
    Header,
    /// The handler does, by [`Csrf::check_token`]: for forms.
    Handler,
    /// Nobody.
    Off,
}

impl Default for CsrfConfig {
    fn default() -> Self {
        Self { trusted_origins: Vec::new(), token: TokenCheck::Header, header: "x-csrf-token".to_owned() }
    }
}

impl Validate for CsrfConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let few = self.trusted_origins.len() <= 256;
        wrong.require(few, "trusted_origins", self.trusted_origins.len(), "must be at most 256");
        let sign = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let good = (1..=64).contains(&self.header.len()) && self.header.bytes().all(sign);
        let quoted = format!("{:?}", self.header);
        wrong.require(good, "header", quoted, "must be 1 to 64 lower-case letters, digits and `-`");
        wrong.into_result()
    }
}

/// The key of the tokens: all processes of a service have the same.
#[derive(Clone)]
pub struct CsrfKey(hmac::Key);

impl CsrfKey {
    /// Of a secret of 32 bytes at least. `ring` does not erase its copy.
    pub fn new(secret: &[u8]) -> Result<Self, Error> {
        if secret.len() < MAC {
            let problem = "it must be 32 bytes at least";
            return Err(Error::Material { what: "the CSRF key".to_owned(), problem });
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// A new one: tokens do not outlive the process.
    pub fn generate() -> Result<Self, Error> {
        let mut secret = [0; MAC];
        random::fill(&mut secret)?;
        let key = Self::new(&secret);
        secret.zeroize();
        key
    }
}

impl fmt::Debug for CsrfKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsrfKey(..)")
    }
}

/// Why a request that changes something is refused. A closed set: it is a label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CsrfRefusal {
    /// The browser says that another site sent it.
    #[error("the request comes from another site")]
    OtherSite,
    /// Its origin is another, `null`, none that is well formed, or there are two.
    #[error("the request comes from another origin")]
    OtherOrigin,
    /// Nothing says where it comes from, and no token is asked for.
    #[error("nothing says where the request comes from")]
    NoOrigin,
    /// It has no token.
    #[error("the request has no token")]
    NoToken,
    /// Its token is of another session, of another key, or none.
    #[error("the token of the request is not of this session")]
    WrongToken,
}

impl CsrfRefusal {
    /// As a label and for callers: `"other_site"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OtherSite => "other_site",
            Self::OtherOrigin => "other_origin",
            Self::NoOrigin => "no_origin",
            Self::NoToken => "no_token",
            Self::WrongToken => "wrong_token",
        }
    }
}

impl Classify for CsrfRefusal {
    fn class(&self) -> ErrorClass {
        ErrorClass::Forbidden
    }
}

/// What a request says of where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// Its method.
    pub method: &'a str,
    /// The header `Sec-Fetch-Site`.
    pub fetch_site: Option<&'a str>,
    /// The header `Origin`.
    pub origin: Option<&'a str>,
    /// The header `Host`, or the authority of HTTP/2.
    pub host: Option<&'a str>,
}

impl<'a> Arrival<'a> {
    /// Says nothing yet.
    #[must_use]
    pub fn new(method: &'a str) -> Self {
        Self { method, fetch_site: None, origin: None, host: None }
    }

    /// Whether its method only reads (RFC 9110, 9.2.1; `TRACE` is not counted, since nobody needs it).
    #[must_use]
    pub fn is_safe(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "OPTIONS")
    }
}

/// The check. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Csrf {
    config: Arc<CsrfConfig>,
    key: CsrfKey,
}

impl Csrf {
    /// A check by this configuration.
    pub fn new(config: &CsrfConfig, key: CsrfKey) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        Ok(Self { config: Arc::new(config.clone()), key })
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &CsrfConfig {
        &self.config
    }

    /// A token for who holds `binding`: the hash of a session, or the random value of a cookie. Another each time, so that an answer
    /// that is compressed tells nothing of it; all of one binding are good as long as that is.
    pub fn token(&self, binding: &[u8]) -> Result<String, Error> {
        let mut token = [0; NONCE + MAC];
        let (nonce, mac) = token.split_at_mut(NONCE);
        random::fill(nonce)?;
        mac.copy_from_slice(hmac::sign(&self.key.0, &message(nonce, binding)).as_ref());
        Ok(BASE64URL_NOPAD.encode(&token))
    }

    /// Whether the token is one for who holds `binding`. In constant time but for its form.
    pub fn check_token(&self, binding: &[u8], token: &str) -> Result<(), CsrfRefusal> {
        let decoded =
            (token.len() == CHARACTERS).then(|| BASE64URL_NOPAD.decode(token.as_bytes()).ok()).flatten();
        let decoded = decoded.ok_or(CsrfRefusal::WrongToken)?;
        let (nonce, mac) = decoded.split_at_checked(NONCE).ok_or(CsrfRefusal::WrongToken)?;
        hmac::verify(&self.key.0, &message(nonce, binding), mac).map_err(|_| CsrfRefusal::WrongToken)
    }

    /// Whether a request may change something for who holds `binding`. `token` is what stands in the header; it is looked at only if
    /// the configuration says so.
    ///
    /// # Errors
    ///
    /// Why not. Where it comes from is judged first.
    pub fn check(
        &self,
        arrival: &Arrival<'_>,
        binding: &[u8],
        token: Option<&str>,
    ) -> Result<(), CsrfRefusal> {
        if arrival.is_safe() {
            return Ok(());
        }
        let known = self.check_origin(arrival)?;
        match (self.config.token, token) {
            (TokenCheck::Header, Some(token)) => self.check_token(binding, token),
            (TokenCheck::Header, None) => Err(CsrfRefusal::NoToken),
            (TokenCheck::Handler, _) => Ok(()),
            (TokenCheck::Off, _) => {
                if known {
                    Ok(())
                } else {
                    Err(CsrfRefusal::NoOrigin)
                }
            }
        }
    }

    /// Whether a request may be looked at of somebody without a session: a login, a form for all. Only where it comes from is judged, and
    /// who says nothing of that may.
    pub fn check_anonymous(&self, arrival: &Arrival<'_>) -> Result<(), CsrfRefusal> {
        if arrival.is_safe() { Ok(()) } else { self.check_origin(arrival).map(drop) }
    }

    /// Whether it is known where it comes from; no error where nothing is said of it.
    fn check_origin(&self, arrival: &Arrival<'_>) -> Result<bool, CsrfRefusal> {
        let origin =
            arrival.origin.map(|origin| origin.parse::<Origin>().map_err(|_| CsrfRefusal::OtherOrigin));
        let origin = origin.transpose()?;
        if origin.as_ref().is_some_and(|origin| self.is_trusted(origin)) {
            return Ok(true);
        }
        match (arrival.fetch_site, &origin) {
            // `none`: the user typed the address or opened a bookmark.
            (Some("same-origin" | "none"), _) => Ok(true),
            (Some(_), _) => Err(CsrfRefusal::OtherSite),
            // A browser without `Sec-Fetch-Site`. The scheme may have changed at a proxy, the host has not.
            (None, Some(origin)) if arrival.host.is_some_and(|host| is_host(origin, host)) => Ok(true),
            (None, Some(_)) => Err(CsrfRefusal::OtherOrigin),
            (None, None) => Ok(false),
        }
    }

    fn is_trusted(&self, origin: &Origin) -> bool {
        self.config.trusted_origins.iter().any(|trusted| trusted.matches(origin))
    }
}

/// A `Host` may have the port that the scheme has anyway.
fn is_host(origin: &Origin, host: &str) -> bool {
    let own = if origin.scheme() == "https" { ":443" } else { ":80" };
    let authority = origin.authority();
    host.eq_ignore_ascii_case(authority)
        || host.strip_suffix(own).is_some_and(|host| host.eq_ignore_ascii_case(authority))
}

fn message(nonce: &[u8], binding: &[u8]) -> Vec<u8> {
    // The nonce has one length, so no two pairs make the same message.
    [LABEL, nonce, binding].concat()
}
