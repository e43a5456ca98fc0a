//! API keys: issued once, stored as a keyed hash, verified in microseconds, rotated with an overlap.
//!
//! ```
//! use buttress_access::keys::{ApiKeys, ApiKeysConfig, MemoryKeys, NewKey, Peppers};
//! use buttress_core::Ctx;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let pepper = [7; 32];
//! let peppers = Peppers::new(1, &pepper)?; // 32 random bytes that the store does not hold
//! let keys = ApiKeys::open(&ApiKeysConfig::default(), peppers, MemoryKeys::default(), &Ctx::default()).await?;
//!
//! let issued = keys.issue(NewKey::of("crawler".try_into()?)).await?;
//! let shown_once = issued.expose().to_owned(); // key_1b9SVgkdDEfA2WxE_…
//!
//! let principal = keys.verify(&shown_once).await?;
//! assert_eq!(principal.id.as_str(), "crawler");
//!
//! let next = keys.rotate(issued.id(), std::time::Duration::from_hours(24)).await?;
//! assert!(keys.verify(&shown_once).await.is_ok()); // for a day both are good
//! assert!(keys.verify(next.expose()).await.is_ok());
//!
//! keys.revoke(next.id()).await?;
//! assert!(keys.verify(next.expose()).await.is_err());
//! # Ok(())
//! # }
//! ```

mod cache;
mod config;
mod issued;
mod pepper;
mod record;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod text;
mod upkeep;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use buttress_core::{Classify, Ctx, Event, Outcome, Validate, timeout};
use metrics::{Counter, counter, describe_counter};

use self::cache::{Cache, Uses};
pub use self::config::ApiKeysConfig;
pub use self::issued::IssuedKey;
pub use self::pepper::{KeyHash, Peppers};
pub use self::record::{KeyRecord, NewKey};
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteKeys;
pub use self::store::{Answer, KeyChange, KeyStore, MemoryKeys, Replaced};
pub use self::text::{KeyId, KeyText};
use crate::metrics::{Credentials, KEY_LOOKUPS};
use crate::{Credential, Error, Principal, Refusal, TenantId};

/// Issues, verifies, rotates and revokes API keys. Cheap to clone.
///
/// Everything that is issued, rotated, revoked or refused is an [`Event`]: `api_key.issue`, `api_key.rotate`, `api_key.revoke`,
/// `api_key.verify`. An event names a key by its [`KeyId`].
#[derive(Clone)]
pub struct ApiKeys(Arc<Shared>);

struct Shared {
    config: ApiKeysConfig,
    peppers: Peppers,
    store: Box<dyn KeyStore>,
    cache: Cache,
    uses: Uses,
    ctx: Ctx,
    credentials: Credentials,
    cached: Counter,
    read: Counter,
    failed: Counter,
}

/// The hash that stands for keys which are not there.
const NOBODY: KeyHash = [0; 32];
/// The longest label, in bytes.
const LONGEST_LABEL: usize = 256;

impl ApiKeys {
    /// Keys of this store. A task in the background writes times of last use, until the shutdown stops it or the last clone is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    #[allow(clippy::unused_async, reason = "a task is spawned, which needs a runtime")]
    pub async fn open(
        config: &ApiKeysConfig,
        peppers: Peppers,
        store: impl KeyStore,
        ctx: &Ctx,
    ) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        describe_counter!(KEY_LOOKUPS, "Look-ups in the store of API keys, by outcome");
        let lookups = |outcome: &'static str| counter!(KEY_LOOKUPS, "outcome" => outcome);
        let shared = Arc::new(Shared {
            peppers,
            store: Box::new(store),
            cache: Cache::new(config.cache_most, config.cache_for),
            uses: Uses::new(config.last_use_every, config.cache_most),
            credentials: Credentials::new(Credential::ApiKey),
            cached: lookups("cached"),
            read: lookups("read"),
            failed: lookups("failed"),
            ctx: ctx.clone(),
            config: config.clone(),
        });
        ctx.shutdown.spawn(upkeep::run(Arc::downgrade(&shared), ctx.clone(), config.last_use_every));
        Ok(Self(shared))
    }

    /// Makes a key. It is shown here, and never again.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when the label or the lifetime cannot be; [`Error::Random`]; what the store says.
    pub async fn issue(&self, key: NewKey) -> Result<IssuedKey, Error> {
        let lifetime = key.lifetime.unwrap_or(self.0.config.lifetime);
        let issued = self.0.make(key, lifetime)?;
        self.0.insert(&issued, None).await?;
        self.0.tell("api_key.issue", Outcome::Success, Some(issued.id()), None);
        Ok(issued)
    }

    /// Who shows this key.
    ///
    /// A key that was good a moment ago costs one HMAC; others a look-up in the store too. Whether a key is unknown, wrong, revoked or
    /// expired is told in the error for logs and metrics; the caller should see no difference.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]; or what the store says, when it was asked.
    pub async fn verify(&self, text: &str) -> Result<Principal, Error> {
        let parsed = KeyText::parse(text);
        let id = parsed.as_ref().ok().map(KeyText::id);
        let answer = match parsed {
            Ok(parsed) => self.0.decide(&parsed).await,
            Err(why) => Err(Error::refused(Credential::ApiKey, why)),
        };
        match &answer {
            Ok(_) => self.0.credentials.accepted(),
            Err(Error::Refused { why, .. }) => {
                self.0.credentials.not_accepted(why.as_str());
                self.0.tell("api_key.verify", Outcome::Denied, id, Some(why.to_string()));
            }
            Err(error) => {
                self.0.credentials.not_accepted(error.class().as_str());
                self.0.tell("api_key.verify", Outcome::Failure, id, Some(error.to_string()));
            }
        }
        answer
    }

    /// Makes a key that takes the place of another, with its owner, tenant, roles, scopes and lifetime. The other stays good for
    /// `overlap`, and no longer than it would have been.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; [`Error::Conflict`] when it is no longer good or was rotated before; what the store says.
    pub async fn rotate(&self, id: KeyId, overlap: Duration) -> Result<IssuedKey, Error> {
        let shared = &*self.0;
        let now = shared.ctx.clock.wall();
        let old = shared.within(shared.store.get(id)).await?.ok_or_else(|| not_found(id))?;
        if old.refusal(now).is_some() || old.successor.is_some() {
            return Err(conflict(id, "is no longer good, or was rotated before; issue a new one"));
        }
        let lifetime = old.expires.and_then(|end| end.duration_since(old.created).ok());
        let KeyRecord { owner, tenant, roles, scopes, label, .. } = old;
        let successor = NewKey { owner, tenant, roles, scopes, label, lifetime };
        let issued = shared.make(successor, lifetime.unwrap_or(shared.config.lifetime))?;
        let until = now.checked_add(overlap).ok_or_else(|| conflict(id, "cannot overlap for so long"))?;
        shared.insert(&issued, Some(Replaced { id, until })).await?;
        shared.cache.forget(id);
        shared.tell("api_key.rotate", Outcome::Success, Some(id), Some(format!("by {}", issued.id())));
        Ok(issued)
    }

    /// Takes a key back: here at once, in other processes within `cache_for`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; what the store says.
    pub async fn revoke(&self, id: KeyId) -> Result<(), Error> {
        let at = self.0.ctx.clock.wall();
        let known = self.0.within(self.0.store.change(id, KeyChange::Revoke { at })).await;
        // Whatever the store has done by now, it is asked again.
        self.0.cache.forget(id);
        if !known? {
            return Err(not_found(id));
        }
        self.0.tell("api_key.revoke", Outcome::Success, Some(id), None);
        Ok(())
    }

    /// At most `most` keys of this tenant (`None`: of those without one), in the order of their names, after this one.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn list(
        &self,
        tenant: Option<&TenantId>,
        after: Option<KeyId>,
        most: usize,
    ) -> Result<Vec<KeyRecord>, Error> {
        self.0.within(self.0.store.list(tenant, after, most)).await
    }

    /// Writes the times of last use now. Done in the background anyway.
    ///
    /// # Errors
    ///
    /// What the store says; the times are kept for the next batch.
    pub async fn flush(&self) -> Result<(), Error> {
        self.0.flush().await
    }
}

impl std::fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKeys({}, {:?})", self.0.config.prefix, self.0.peppers)
    }
}

impl Shared {
    async fn decide(&self, text: &KeyText<'_>) -> Result<Principal, Error> {
        let refused = |why| Err(Error::refused(Credential::ApiKey, why));
        if text.prefix() != self.config.prefix {
            return refused(Refusal::Unknown);
        }
        let now = self.ctx.clock.coarse_nanos();
        if let Some(cached) = self.cache.get(text.id(), now) {
            self.cached.increment(1);
            let wall = self.ctx.clock.wall();
            if let Some(why) = self.refusal(text, &cached.record, wall) {
                return refused(why);
            }
            self.uses.note(&cached, now, wall);
            return Ok(cached.principal.clone());
        }
        let stamp = self.cache.stamp();
        let found = self.within(self.store.get(text.id())).await;
        let outcome = if found.is_ok() { &self.read } else { &self.failed };
        outcome.increment(1);
        let Some(mut record) = found? else {
            // The same work as for a key that is there.
            let _ = self.peppers.matches(text, self.peppers.version(), &NOBODY);
            return refused(Refusal::Unknown);
        };
        let wall = self.ctx.clock.wall();
        if let Some(why) = self.refusal(text, &record, wall) {
            return refused(why);
        }
        if record.pepper != self.peppers.version() {
            self.rehash(text, &mut record).await;
        }
        let now = self.ctx.clock.coarse_nanos();
        let cached = self.cache.keep(record, now, stamp);
        self.uses.note(&cached, now, wall);
        Ok(cached.principal.clone())
    }

    /// The secret is compared first: who does not know it learns nothing of the key.
    fn refusal(&self, text: &KeyText<'_>, record: &KeyRecord, wall: SystemTime) -> Option<Refusal> {
        if !self.peppers.matches(text, record.pepper, &record.hash) {
            return Some(Refusal::Mismatch);
        }
        record.refusal(wall)
    }

    /// Moves a key to the newest pepper; where that fails, the next use tries again.
    async fn rehash(&self, text: &KeyText<'_>, record: &mut KeyRecord) {
        let (hash, pepper) = (self.peppers.hash(text), self.peppers.version());
        match self.within(self.store.change(record.id, KeyChange::Rehash { hash, pepper })).await {
            Ok(_) => (record.hash, record.pepper) = (hash, pepper),
            Err(error) => tracing::warn!(key = %record.id, %error, "an API key stays with an older pepper"),
        }
    }

    fn make(&self, key: NewKey, lifetime: Duration) -> Result<IssuedKey, Error> {
        let id = KeyId::draw()?;
        if key.label.len() > LONGEST_LABEL || key.label.contains(char::is_control) {
            return Err(conflict(id, "has a label of more than 256 bytes, or with control characters"));
        }
        let text = text::draw(&self.config.prefix, id)?;
        let parsed = KeyText::parse(&text).map_err(|why| Error::refused(Credential::ApiKey, why))?;
        let (hash, created) = (self.peppers.hash(&parsed), self.ctx.clock.wall());
        let ends = created.checked_add(lifetime).ok_or_else(|| conflict(id, "cannot be good for so long"))?;
        let mut record = KeyRecord::new(id, hash, self.peppers.version(), key.owner, created);
        record.expires = Some(ends);
        (record.tenant, record.roles, record.scopes) = (key.tenant, key.roles, key.scopes);
        record.label = key.label;
        Ok(IssuedKey::new(text, record))
    }

    async fn insert(&self, issued: &IssuedKey, replaced: Option<Replaced>) -> Result<(), Error> {
        if self.within(self.store.insert(issued.record(), replaced)).await? {
            return Ok(());
        }
        let id = replaced.map_or(issued.id(), |replaced| replaced.id);
        Err(conflict(id, "was changed meanwhile; look at it again"))
    }

    async fn flush(&self) -> Result<(), Error> {
        let uses = self.uses.take();
        if uses.is_empty() {
            return Ok(());
        }
        let written = self.within(self.store.touch(&uses)).await;
        if written.is_err() {
            for (id, at) in uses {
                self.uses.put(id, at);
            }
        }
        written
    }

    /// What the store answers, if it does in time.
    async fn within<T>(&self, answer: Answer<'_, T>) -> Result<T, Error> {
        let answered = timeout(&*self.ctx.clock, self.config.within, answer).await;
        answered.unwrap_or_else(|late| {
            Err(Error::Unavailable { what: "the store of API keys", problem: late.to_string() })
        })
    }

    fn tell(&self, action: &'static str, outcome: Outcome, id: Option<KeyId>, detail: Option<String>) {
        let mut event = Event::new(self.ctx.clock.wall(), action, outcome);
        event.target = id.map(|id| id.to_string());
        event.detail = detail;
        self.ctx.events.emit(event);
    }
}

fn not_found(id: KeyId) -> Error {
    Error::NotFound { what: "API key", name: id.to_string() }
}

fn conflict(id: KeyId, problem: &'static str) -> Error {
    Error::Conflict { what: "API key", name: id.to_string(), problem }
}
