//! Verifying tokens with keys that change.

use std::sync::Arc;

use buttress_core::{Classify, Ctx, Event, Outcome, Validate};

use super::claims::Claims;
use super::config::TokenConfig;
use super::jwks::Jwks;
use super::set::KeySet;
use super::signer::Signer;
use super::token::verify;
use crate::metrics::Credentials;
use crate::{Credential, Error, Principal, Refusal};

/// Where the keys come from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Keys {
    /// They are known, and stay.
    Fixed(Arc<KeySet>),
    /// Others publish them.
    Published(Jwks),
    /// We sign ourselves.
    Own(Signer),
}

impl From<KeySet> for Keys {
    fn from(keys: KeySet) -> Self {
        Self::Fixed(Arc::new(keys))
    }
}

impl From<Jwks> for Keys {
    fn from(keys: Jwks) -> Self {
        Self::Published(keys)
    }
}

impl From<Signer> for Keys {
    fn from(keys: Signer) -> Self {
        Self::Own(keys)
    }
}

/// Verifies tokens. Cheap to clone. What is refused is an event: `token.verify`.
#[derive(Clone)]
pub struct Verifier(Arc<Shared>);

struct Shared {
    config: TokenConfig,
    keys: Keys,
    ctx: Ctx,
    credentials: Credentials,
}

impl Verifier {
    /// Accepts tokens of these keys that say what the configuration demands.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new(config: &TokenConfig, keys: impl Into<Keys>, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let credentials = Credentials::new(Credential::Token);
        let (config, keys, ctx) = (config.clone(), keys.into(), ctx.clone());
        Ok(Self(Arc::new(Shared { config, keys, ctx, credentials })))
    }

    /// What the token says, if it holds. A key that is not known is looked for once more where it is published.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]; [`Error::Unavailable`] when there are no keys.
    pub async fn verify(&self, token: &str) -> Result<Claims, Error> {
        let answer = self.0.decide(token).await;
        self.0.tell(&answer);
        answer
    }

    /// Who shows the token.
    ///
    /// # Errors
    ///
    /// The same, and when `sub` or another claim that tells who it is does not.
    pub async fn principal(&self, token: &str) -> Result<Principal, Error> {
        let claims = self.0.decide(token).await;
        let answer = claims.and_then(|claims| claims.principal(&self.0.config).map_err(refused));
        self.0.tell(&answer);
        answer
    }
}

impl Shared {
    async fn decide(&self, token: &str) -> Result<Claims, Error> {
        let now = self.ctx.clock.wall();
        let jwks = match &self.keys {
            Keys::Fixed(keys) => return verify(token, keys, &self.config, now).map_err(refused),
            Keys::Own(signer) => return verify(token, &signer.keys(), &self.config, now).map_err(refused),
            Keys::Published(jwks) => jwks,
        };
        let keys = jwks.get().await?;
        match verify(token, &keys, &self.config, now) {
            Err(Refusal::Unknown) => {
                let newer = jwks.newer(&keys).await.ok_or(Refusal::Unknown).map_err(refused)?;
                verify(token, &newer, &self.config, now).map_err(refused)
            }
            answer => answer.map_err(refused),
        }
    }

    fn tell<T>(&self, answer: &Result<T, Error>) {
        let (outcome, detail) = match answer {
            Ok(_) => return self.credentials.accepted(),
            Err(Error::Refused { why, .. }) => {
                self.credentials.not_accepted(why.as_str());
                (Outcome::Denied, why.to_string())
            }
            Err(error) => {
                self.credentials.not_accepted(error.class().as_str());
                (Outcome::Failure, error.to_string())
            }
        };
        self.ctx.events.emit(Event::new(self.ctx.clock.wall(), "token.verify", outcome).detail(detail));
    }
}

fn refused(why: Refusal) -> Error {
    Error::refused(Credential::Token, why)
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({:?}, {:?})", self.0.config.issuers, self.0.keys)
    }
}
