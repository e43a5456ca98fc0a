//! Several stores, of which the first that has a secret gives it.

use std::fmt;
use std::sync::Arc;

use buttress_core::{BoxFuture, Classify, Ctx, Event, Outcome, chain};

use super::{Expect, SecretStore, Step};
use crate::lifecycle::{Lifecycle, Versions};
use crate::{Error, Name, Secret};

/// The event of a store that failed, so that the next one was asked.
pub const FALLBACK: &str = "secret.fallback";

/// Several stores, of which the first that has a secret gives it.
///
/// A store that cannot be reached now is passed over, which is an [event](FALLBACK); one that is damaged, or opens with another key, is
/// not: that is a fault for somebody to look at, and perhaps an attack. If no store has the secret and one was passed over, the answer
/// is what that one said, and never that there is no such secret.
///
/// What is written goes to the first store.
pub struct ChainStore {
    first: Arc<dyn SecretStore>,
    others: Vec<Arc<dyn SecretStore>>,
    ctx: Ctx,
}

impl ChainStore {
    /// `first`, and where it has no secret or does not answer, the others in their order.
    #[must_use]
    pub fn new(first: Arc<dyn SecretStore>, others: Vec<Arc<dyn SecretStore>>, ctx: &Ctx) -> Self {
        Self { first, others, ctx: ctx.clone() }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<dyn SecretStore>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn passed_over(&self, store: &dyn SecretStore, name: Option<&Name>, error: &Error) {
        let told = chain(error);
        tracing::warn!(store = store.kind(), error = told, "a store of secrets failed; the next is asked");
        crate::metrics::fallback(store.kind());
        let event = Event::new(self.ctx.clock.wall(), FALLBACK, Outcome::Failure).actor(store.kind());
        let target = name.map_or_else(|| store.kind().to_owned(), ToString::to_string);
        self.ctx.events.emit(event.target(target).detail(told));
    }
}

impl fmt::Debug for ChainStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainStore")?;
        f.debug_list().entries(self.all().map(|store| store.kind())).finish()
    }
}

impl SecretStore for ChainStore {
    fn kind(&self) -> &'static str {
        "chain"
    }

    fn load<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Option<Versions>, Error>> {
        Box::pin(async move {
            let mut failed = None;
            for store in self.all() {
                match store.load(name).await {
                    Ok(Some(versions)) => return Ok(Some(versions)),
                    Ok(None) => {}
                    Err(error) if error.class().is_transient() => {
                        self.passed_over(&**store, Some(name), &error);
                        failed.get_or_insert(error);
                    }
                    Err(error) => return Err(error),
                }
            }
            failed.map_or(Ok(None), Err)
        })
    }

    fn list(&self, most: usize) -> BoxFuture<'_, Result<Vec<Name>, Error>> {
        Box::pin(async move {
            let mut names = Vec::new();
            for store in self.all() {
                // A list that is not whole would be taken for the whole.
                names.extend(store.list(most).await?);
            }
            names.sort_unstable();
            names.dedup();
            super::at_most(names, most)
        })
    }

    fn put<'a>(
        &'a self,
        name: &'a Name,
        secret: &'a Secret,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Lifecycle, Error>> {
        self.first.put(name, secret, expect)
    }

    fn rotate<'a>(
        &'a self,
        name: &'a Name,
        seen: &'a Lifecycle,
        step: Step,
    ) -> BoxFuture<'a, Result<Lifecycle, Error>> {
        self.first.rotate(name, seen, step)
    }

    fn remove<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<bool, Error>> {
        self.first.remove(name)
    }
}
