//! Authentication in front of an HTTP service: a [`tower_layer::Layer`].
//!
//! ```
//! use buttress_access::keys::{ApiKeys, ApiKeysConfig, MemoryKeys, Peppers};
//! use buttress_access::layer::AuthLayer;
//! use buttress_core::Ctx;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let pepper = [7; 32];
//! let peppers = Peppers::new(1, &pepper)?;
//! let keys = ApiKeys::open(&ApiKeysConfig::default(), peppers, MemoryKeys::default(), &Ctx::default()).await?;
//! let layer = AuthLayer::new("documents").keys(keys); // handlers find a `Principal` in the extensions of the request
//! # let _ = layer;
//! # Ok(())
//! # }
//! ```

mod answer;
mod found;

use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::BoxFuture;
use http::Response;
use tower_service::Service;

use self::answer::Problem;
use self::found::{Found, find};
use crate::jwt::Verifier;
use crate::keys::{ApiKeys, KeyText};
use crate::{Error, Principal};

/// Finds out who sends a request, before the service has it.
///
/// | credential | header |
/// |---|---|
/// | an API key | `Authorization: Bearer KEY` or `X-Api-Key: KEY` |
/// | a token | `Authorization: Bearer TOKEN` |
///
/// The service finds a [`Principal`] in the extensions of the request. A request without a credential is answered with 401, one with a
/// credential that is refused with 401 too, whatever the reason; one with two of them with 400 (RFC 6750, section 3.1); and where the
/// store or the key set is gone, 503. The body is `application/problem+json` (RFC 9457), with the member `code`.
///
/// A [`Principal`] that a layer before this one has found, by a session for example, is taken where there is no credential.
#[derive(Clone)]
pub struct AuthLayer(Arc<Shared>);

#[derive(Clone)]
struct Shared {
    realm: Box<str>,
    keys: Option<ApiKeys>,
    tokens: Option<Verifier>,
    public: Vec<Box<str>>,
    is_optional: bool,
}

impl AuthLayer {
    /// Without any way to authenticate yet. The realm is told to clients: letters, digits and `-_. `; others are left out. The probes
    /// of a service (`/livez`, `/readyz`, `/startupz`, `/healthz`) are not asked.
    #[must_use]
    pub fn new(realm: &str) -> Self {
        let sign = |c: &char| c.is_ascii_alphanumeric() || "-_. ".contains(*c);
        let realm: String = realm.chars().filter(sign).collect();
        let public = ["/livez", "/readyz", "/startupz", "/healthz"].map(Box::from).to_vec();
        Self(Arc::new(Shared { realm: realm.into(), keys: None, tokens: None, public, is_optional: false }))
    }

    fn change(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Accepts these API keys.
    #[must_use]
    pub fn keys(self, keys: ApiKeys) -> Self {
        self.change(|shared| shared.keys = Some(keys))
    }

    /// Accepts these tokens.
    #[must_use]
    pub fn tokens(self, tokens: Verifier) -> Self {
        self.change(|shared| shared.tokens = Some(tokens))
    }

    /// Lets requests without a credential pass, without a [`Principal`]. A credential that is refused is refused nevertheless.
    #[must_use]
    pub fn optional(self) -> Self {
        self.change(|shared| shared.is_optional = true)
    }

    /// These paths, exactly, are for everybody; instead of the probes.
    #[must_use]
    pub fn public<P: Into<Box<str>>>(self, paths: impl IntoIterator<Item = P>) -> Self {
        self.change(|shared| shared.public = paths.into_iter().map(Into::into).collect())
    }
}

impl std::fmt::Debug for AuthLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shared { realm, keys, tokens, .. } = &*self.0;
        write!(f, "AuthLayer({realm}, {keys:?}, {tokens:?})")
    }
}

impl<S> tower_layer::Layer<S> for AuthLayer {
    type Service = Authenticated<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Authenticated { inner, shared: Arc::clone(&self.0) }
    }
}

/// A service that knows who asks.
#[derive(Clone)]
pub struct Authenticated<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S: std::fmt::Debug> std::fmt::Debug for Authenticated<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authenticated({}, {:?})", self.shared.realm, self.inner)
    }
}

impl<S, B, R> Service<http::Request<B>> for Authenticated<S>
where
    S: Service<http::Request<B>, Response = Response<R>, Future: Send> + Clone + Send + 'static,
    B: Send + 'static,
    R: From<String> + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        // The one that is ready goes with the request.
        let next = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, next);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            if shared.public.iter().any(|path| **path == *request.uri().path()) {
                return ready.call(request).await;
            }
            let known = request.extensions().get::<Principal>().is_some();
            // A body need not be `Sync`, so nothing is borrowed from the request while a store is asked.
            let found = find(request.headers_mut());
            match shared.decide(found, known).await {
                Ok(principal) => {
                    if let Some(principal) = principal {
                        request.extensions_mut().insert(principal);
                    }
                    ready.call(request).await
                }
                Err(problem) => Ok(problem.response(&shared.realm)),
            }
        })
    }
}

impl Shared {
    /// Who asks; `None` where nobody says so, and need not.
    async fn decide(&self, found: Found, known: bool) -> Result<Option<Principal>, Problem> {
        let answer = match found {
            Found::Nothing if known || self.is_optional => return Ok(None),
            Found::Nothing => return Err(Problem::Missing),
            Found::Several => return Err(Problem::Several),
            Found::Key(key) => self.by_key(&key).await,
            // What is a key by its form and its checksum is no token, which has dots.
            Found::Bearer(text) if self.keys.is_some() && KeyText::parse(&text).is_ok() => {
                self.by_key(&text).await
            }
            Found::Bearer(text) => match &self.tokens {
                Some(tokens) => tokens.principal(&text).await,
                None => self.by_key(&text).await,
            },
        };
        answer.map(Some).map_err(|error| Problem::of(&error))
    }

    async fn by_key(&self, text: &str) -> Result<Principal, Error> {
        match &self.keys {
            Some(keys) => keys.verify(text).await,
            None => Err(Error::refused(crate::Credential::ApiKey, crate::Refusal::Unknown)),
        }
    }
}
