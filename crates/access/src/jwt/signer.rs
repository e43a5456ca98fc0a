//! Signing with keys that are replaced while tokens are in use.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use buttress_core::{Ctx, Event, Outcome};

use super::claims::Claims;
use super::key::VerifyingKey;
use super::set::KeySet;
use super::signing::SigningKey;
use crate::Error;

/// Signs with a current key, publishes the next one before it is used, and former ones as long as their tokens last. Cheap to clone.
///
/// A rotation that nobody notices: [`prepare`](Self::prepare) the next key; wait until every verifier has fetched
/// [`jwks`](Self::jwks) (its `fresh_for`); [`rotate`](Self::rotate) with the longest lifetime of a token as grace. What the steps did
/// is an event: `token_key.prepare`, `token_key.rotate`.
#[derive(Clone)]
pub struct Signer {
    state: Arc<RwLock<State>>,
    ctx: Ctx,
}

struct State {
    /// With the end of their grace.
    previous: Vec<(VerifyingKey, SystemTime)>,
    current: SigningKey,
    next: Option<SigningKey>,
}

/// The most former keys that are published.
const MOST_PREVIOUS: usize = 8;

impl Signer {
    /// Signs with this key.
    #[must_use]
    pub fn new(current: SigningKey, ctx: &Ctx) -> Self {
        let state = State { previous: Vec::new(), current, next: None };
        Self { state: Arc::new(RwLock::new(state)), ctx: ctx.clone() }
    }

    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// A token by the current key.
    ///
    /// # Errors
    ///
    /// See [`SigningKey::sign`].
    pub fn sign(&self, claims: &Claims) -> Result<String, Error> {
        // A copy: nobody waits for a signature to be made.
        self.read(|state| state.current.clone()).sign(claims)
    }

    /// Publishes the next key, in the place of one that was prepared before. Nothing is signed with it yet.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when a key of its name is published already.
    pub fn prepare(&self, next: SigningKey) -> Result<(), Error> {
        let kid = kid(next.verifying());
        let is_new = self.change(|state| {
            let former = state.previous.iter().map(|(key, _)| key);
            let mut published = former.chain([state.current.verifying()]);
            let is_new = published.all(|key| key.kid() != next.verifying().kid());
            if is_new {
                state.next = Some(next);
            }
            is_new
        });
        if !is_new {
            return Err(conflict(kid, "has a name that is published already"));
        }
        self.tell("token_key.prepare", kid);
        Ok(())
    }

    /// Signs with the prepared key from now on. The former one is published and accepted for `grace` more.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] when no key is prepared, or eight former keys are within their grace.
    pub fn rotate(&self, grace: Duration) -> Result<(), Error> {
        let now = self.ctx.clock.wall();
        let end =
            now.checked_add(grace).ok_or_else(|| conflict(String::new(), "cannot have so long a grace"))?;
        let rotated = self.change(|state| {
            state.previous.retain(|(_, end)| now < *end);
            if state.previous.len() == MOST_PREVIOUS {
                return Err("would be the ninth former key within its grace; wait");
            }
            let next = state.next.take().ok_or("has no successor; prepare one first")?;
            let kid = kid(next.verifying());
            let former = std::mem::replace(&mut state.current, next);
            state.previous.push((former.verifying().clone(), end));
            Ok(kid)
        });
        match rotated {
            Ok(kid) => {
                self.tell("token_key.rotate", kid);
                Ok(())
            }
            Err(problem) => Err(conflict(self.read(|state| kid(state.current.verifying())), problem)),
        }
    }

    /// The keys that verify what was signed here and is within its grace; with the next one.
    #[must_use]
    pub fn keys(&self) -> KeySet {
        let now = self.ctx.clock.wall();
        self.read(|state| {
            let former = state.previous.iter().filter(|(_, end)| now < *end).map(|(key, _)| key);
            let signing = [Some(&state.current), state.next.as_ref()];
            let all = former.chain(signing.into_iter().flatten().map(SigningKey::verifying));
            // Ten at most.
            KeySet::new(all.cloned()).unwrap_or_default()
        })
    }

    /// The same as a JWKS for other services: public keys only. To be served at `/.well-known/jwks.json`.
    #[must_use]
    pub fn jwks(&self) -> String {
        self.keys().to_jwks()
    }

    fn tell(&self, action: &'static str, kid: String) {
        self.ctx.events.emit(Event::new(self.ctx.clock.wall(), action, Outcome::Success).target(kid));
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.read(|state| write!(f, "Signer({:?}, next {:?})", state.current, state.next))
    }
}

fn kid(key: &VerifyingKey) -> String {
    key.kid().unwrap_or_default().to_owned()
}

fn conflict(name: String, problem: &'static str) -> Error {
    Error::Conflict { what: "signing key", name, problem }
}
