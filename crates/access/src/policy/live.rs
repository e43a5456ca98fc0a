//! A policy that is replaced while it is used.

use std::sync::Arc;

use arc_swap::ArcSwap;
use buttress_core::{Ctx, Event, Outcome, Violations};

use super::compiled::Policy;
use super::config::PolicyConfig;
use crate::Error;

/// The policy of a running service. Cheap to clone; clones share it.
///
/// A new one is checked before it takes the place of the old one, and takes it at once: a decision is made by the one or the other.
#[derive(Debug, Clone)]
pub struct LivePolicy {
    current: Arc<ArcSwap<Policy>>,
    ctx: Ctx,
}

impl LivePolicy {
    /// Begins with this policy.
    pub fn new(config: &PolicyConfig, ctx: &Ctx) -> Result<Self, Error> {
        let policy = Policy::new(config).map_err(Error::Config)?;
        Ok(Self { current: Arc::new(ArcSwap::from_pointee(policy)), ctx: ctx.clone() })
    }

    /// The present policy. Whoever holds it keeps it.
    #[must_use]
    pub fn load(&self) -> Arc<Policy> {
        self.current.load_full()
    }

    /// Takes another policy, or says what is wrong with it and keeps the one it has. Emits `policy.replace`.
    pub fn replace(&self, config: &PolicyConfig) -> Result<(), Error> {
        let made = Policy::new(config);
        let outcome = if made.is_ok() { Outcome::Success } else { Outcome::Failure };
        let detail = match &made {
            Ok(policy) => format!("{} roles, {} rules", policy.roles().count(), policy.rules()),
            Err(wrong) => summary(wrong),
        };
        self.ctx.events.emit(Event::new(self.ctx.clock.wall(), "policy.replace", outcome).detail(detail));
        self.current.store(Arc::new(made.map_err(Error::Config)?));
        Ok(())
    }
}

/// The first of what is wrong, and how much more there is.
fn summary(wrong: &Violations) -> String {
    let all = wrong.as_slice();
    let first = all.first().map(ToString::to_string).unwrap_or_default();
    format!("{first} ({} in all)", all.len())
}
