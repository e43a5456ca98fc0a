//! What a token says (RFC 7519, section 4).

use std::fmt;
use std::time::{Duration, SystemTime};

use buttress_core::Key;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::config::TokenConfig;
use crate::{Names, Principal, PrincipalKind, Refusal, TenantId};

/// What a token says of whom. Shown by `Debug`, it tells names of claims, not what they hold.
#[derive(Clone, PartialEq, Default)]
pub struct Claims(Map<String, Value>);

/// The latest date that a double holds exactly.
const LATEST: f64 = 9_007_199_254_740_992.0;

impl Claims {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn read(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// Who issues it (`iss`).
    #[must_use]
    pub fn issuer(self, issuer: &str) -> Self {
        self.put("iss", issuer)
    }

    /// Of whom it speaks (`sub`).
    #[must_use]
    pub fn subject(self, subject: &str) -> Self {
        self.put("sub", subject)
    }

    /// For whom it is meant (`aud`).
    #[must_use]
    pub fn audience(self, audience: &str) -> Self {
        self.put("aud", audience)
    }

    /// From when on it is refused (`exp`).
    #[must_use]
    pub fn expires(self, at: SystemTime) -> Self {
        self.put("exp", seconds(at))
    }

    /// Until when it is refused (`nbf`).
    #[must_use]
    pub fn not_before(self, at: SystemTime) -> Self {
        self.put("nbf", seconds(at))
    }

    /// When it was issued (`iat`).
    #[must_use]
    pub fn issued(self, at: SystemTime) -> Self {
        self.put("iat", seconds(at))
    }

    /// What it may be used for (`scope`, RFC 8693).
    #[must_use]
    pub fn scopes(self, scopes: &Names) -> Self {
        self.put("scope", scopes.joined())
    }

    /// Any other claim.
    ///
    /// # Errors
    ///
    /// [`Refusal::WrongClaim`] when the value cannot be JSON.
    pub fn with(mut self, name: &'static str, value: impl Serialize) -> Result<Self, Refusal> {
        let value = serde_json::to_value(value).map_err(|_| Refusal::WrongClaim(name))?;
        self.0.insert(name.to_owned(), value);
        Ok(self)
    }

    fn put(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Any claim; `None` when it is not there or holds something else.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.0.get(name)?.clone()).ok()
    }

    /// A claim that holds text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// From when on it is refused.
    #[must_use]
    pub fn expiry(&self) -> Option<SystemTime> {
        let seconds = self.date("exp").ok()??;
        SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
    }

    /// A date in seconds since 1970, which may have a fraction.
    fn date(&self, name: &'static str) -> Result<Option<f64>, Refusal> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let date = value.as_f64().filter(|seconds| (0.0..=LATEST).contains(seconds));
        date.map(Some).ok_or(Refusal::WrongClaim(name))
    }

    /// Whether it is for us, and now.
    pub(super) fn check(&self, config: &TokenConfig, now: SystemTime) -> Result<(), Refusal> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let leeway = config.leeway.as_secs_f64();
        match self.date("exp")? {
            Some(end) if now >= end + leeway => return Err(Refusal::Expired),
            None if config.require_expiry => return Err(Refusal::MissingClaim("exp")),
            _ => (),
        }
        for begin in ["nbf", "iat"] {
            if self.date(begin)?.is_some_and(|begin| now + leeway < begin) {
                return Err(Refusal::NotYetValid);
            }
        }
        let issuer = self.0.get("iss").ok_or(Refusal::MissingClaim("iss"))?;
        let issuer = issuer.as_str().ok_or(Refusal::WrongClaim("iss"))?;
        if !config.issuers.iter().any(|known| known == issuer) {
            return Err(Refusal::Issuer);
        }
        let audience = self.0.get("aud").ok_or(Refusal::MissingClaim("aud"))?;
        let audience = match audience {
            Value::Array(several) => several.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut is_ours = false;
        for one in audience {
            let one = one.as_str().ok_or(Refusal::WrongClaim("aud"))?;
            is_ours |= config.audiences.iter().any(|ours| ours == one);
        }
        if is_ours { Ok(()) } else { Err(Refusal::Audience) }
    }

    /// Who is asking: `sub`, with the scopes of `scope`, and roles and tenant of the claims that the configuration names.
    pub(super) fn principal(&self, config: &TokenConfig) -> Result<Principal, Refusal> {
        let subject = self.0.get("sub").ok_or(Refusal::MissingClaim("sub"))?;
        let subject = subject.as_str().and_then(|subject| Key::new(subject).ok());
        let subject = subject.ok_or(Refusal::WrongClaim("sub"))?;
        let mut principal = Principal::new(PrincipalKind::Token, subject);
        if let Some(scope) = self.0.get("scope") {
            let scopes = scope.as_str().and_then(|scope| Names::new(scope.split_ascii_whitespace()).ok());
            principal.scopes = scopes.ok_or(Refusal::WrongClaim("scope"))?;
        }
        if let Some(roles) = config.roles_claim.as_ref().and_then(|name| self.0.get(name)) {
            let names = |roles: &Vec<Value>| {
                Names::new(roles.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?).ok()
            };
            principal.roles = roles.as_array().and_then(names).ok_or(Refusal::WrongClaim("roles"))?;
        }
        if let Some(name) = &config.tenant_claim {
            let tenant = self.0.get(name).ok_or(Refusal::MissingClaim("tenant"))?;
            let tenant = tenant.as_str().and_then(|tenant| TenantId::new(tenant).ok());
            principal.tenant = Some(tenant.ok_or(Refusal::WrongClaim("tenant"))?);
        }
        Ok(principal)
    }

    pub(super) fn to_json(&self) -> String {
        // By reference: names and values are written as they are.
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claims({})", self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
