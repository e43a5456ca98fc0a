//! Sessions begin, are found, change their id, and end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use buttress_core::{Classify, Ctx, Event, Outcome, Validate};

use super::config::SessionConfig;
use super::cookie;
use super::id::{SessionHash, SessionId};
use super::store::{Record, SessionStore, User, Which};
use crate::metrics::Credentials;
use crate::{Credential, Error, Principal, Refusal};

/// Sessions of one application. Cheap to clone; clones share the store.
///
/// Emits `session.start`, `session.renew` and `session.end`, with the user as the actor and the beginning of the session's hash.
#[derive(Clone)]
pub struct Sessions {
    config: Arc<SessionConfig>,
    store: Arc<dyn SessionStore>,
    metrics: Arc<Credentials>,
    ctx: Ctx,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sessions({:?})", self.store)
    }
}

/// A session that is valid now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// Under which it is stored. Not its secret.
    pub hash: SessionHash,
    /// Who it is.
    pub principal: Principal,
    /// When it began.
    pub created: SystemTime,
}

/// A session with its new id.
#[derive(Debug)]
#[non_exhaustive]
pub struct Started {
    /// For the browser, as a [`cookie`](Sessions::cookie).
    pub id: SessionId,
    /// What it stands for.
    pub session: Session,
}

impl Sessions {
    /// Sessions in `store`.
    pub fn new(config: &SessionConfig, store: impl SessionStore, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let metrics = Arc::new(Credentials::new(Credential::Session));
        Ok(Self { config: Arc::new(config.clone()), store: Arc::new(store), metrics, ctx: ctx.clone() })
    }

    /// Begins a session for somebody who has just proved who it is. Ends nothing; hand over to [`renew`](Self::renew) instead what the
    /// browser had before, if that was a session.
    pub async fn start(&self, principal: &Principal) -> Result<Started, Error> {
        let now = self.ctx.clock.wall();
        let (id, record) = fresh(principal, now, now)?;
        let session = session(&record);
        self.store.put(record, self.config.most_per_user, None).await?;
        self.tell("session.start", &session.principal, session.hash);
        Ok(Started { id, session })
    }

    /// The session of the id that a browser has sent.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]: it has not the form of an id, nobody knows it, or its time is over. Those of the store.
    pub async fn find(&self, id: &str) -> Result<Session, Error> {
        let found = self.find_uncounted(id).await;
        match &found {
            Ok(_) => self.metrics.accepted(),
            Err(Error::Refused { why, .. }) => self.metrics.not_accepted(why.as_str()),
            Err(error) => self.metrics.not_accepted(error.class().as_str()),
        }
        found
    }

    async fn find_uncounted(&self, id: &str) -> Result<Session, Error> {
        let now = self.ctx.clock.wall();
        let record = self.record(SessionHash::of(id)?, now).await?;
        if passed(record.seen, now) >= self.config.touch_every {
            self.store.touch(record.hash, now).await?;
        }
        Ok(session(&record))
    }

    /// Gives a session a new id and this principal: after a login in a session that was somebody's or nobody's, and whenever roles,
    /// scopes or the password change. The old id ends at once; when the session began stays, unless the user changes.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find). Of two that renew at once, one is refused.
    pub async fn renew(&self, id: &str, principal: &Principal) -> Result<Started, Error> {
        let now = self.ctx.clock.wall();
        let old = self.record(SessionHash::of(id)?, now).await?;
        let began = if old.user == User::from(principal) { old.created } else { now };
        let (id, record) = fresh(principal, began, now)?;
        let session = session(&record);
        if !self.store.put(record, self.config.most_per_user, Some(old.hash)).await? {
            return Err(Error::refused(Credential::Session, Refusal::Unknown));
        }
        self.tell("session.renew", &session.principal, session.hash);
        Ok(Started { id, session })
    }

    /// Ends a session: logs out. Whether it was there.
    pub async fn end(&self, session: &Session) -> Result<bool, Error> {
        let user = User::from(&session.principal);
        let ended = self.store.remove(user, Which::Only(session.hash)).await? > 0;
        if ended {
            self.tell("session.end", &session.principal, session.hash);
        }
        Ok(ended)
    }

    /// Ends all sessions of a user, but for one perhaps: after a password was changed or stolen. How many.
    pub async fn end_all(&self, principal: &Principal, except: Option<&Session>) -> Result<u64, Error> {
        let which = except.map_or(Which::All, |session| Which::Except(session.hash));
        let ended = self.store.remove(principal.into(), which).await?;
        let event = Event::new(self.ctx.clock.wall(), "session.end_all", Outcome::Success);
        self.ctx.events.emit(event.actor(principal.id.as_str()).detail(format!("{ended} sessions")));
        Ok(ended)
    }

    /// Takes sessions out of the store whose time is over. To be called now and then; no session lives longer without it. How many.
    pub async fn sweep(&self) -> Result<u64, Error> {
        let now = self.ctx.clock.wall();
        let before = |age: Duration| now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        self.store.sweep(before(self.config.lifetime), before(self.config.idle)).await
    }

    /// The value of `Set-Cookie` that gives a browser the id.
    #[must_use]
    pub fn cookie(&self, id: &SessionId) -> String {
        cookie::set(&self.config.cookie, id.expose(), None)
    }

    /// The value of `Set-Cookie` that takes the id from a browser.
    #[must_use]
    pub fn no_cookie(&self) -> String {
        cookie::set(&self.config.cookie, "", Some(Duration::ZERO))
    }

    /// The name of the cookie.
    #[must_use]
    pub fn cookie_name(&self) -> &str {
        &self.config.cookie.name
    }

    async fn record(&self, hash: SessionHash, now: SystemTime) -> Result<Record, Error> {
        let refused = |why| Error::refused(Credential::Session, why);
        let record = self.store.get(hash).await?.ok_or(refused(Refusal::Unknown))?;
        if passed(record.seen, now) >= self.config.idle || passed(record.created, now) >= self.config.lifetime
        {
            self.store.remove(record.user, Which::Only(hash)).await?;
            return Err(refused(Refusal::Expired));
        }
        Ok(record)
    }

    fn tell(&self, action: &'static str, principal: &Principal, hash: SessionHash) {
        let event = Event::new(self.ctx.clock.wall(), action, Outcome::Success);
        self.ctx.events.emit(event.actor(principal.id.as_str()).target(hash.short()));
    }
}

/// Nothing, where the clock was set back meanwhile.
fn passed(since: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(since).unwrap_or_default()
}

fn fresh(principal: &Principal, created: SystemTime, now: SystemTime) -> Result<(SessionId, Record), Error> {
    let id = SessionId::generate()?;
    let (roles, scopes) = (principal.roles.clone(), principal.scopes.clone());
    let record = Record { hash: id.hash(), user: principal.into(), roles, scopes, created, seen: now };
    Ok((id, record))
}

fn session(record: &Record) -> Session {
    Session { hash: record.hash, principal: record.principal(), created: record.created }
}
