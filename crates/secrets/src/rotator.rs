//! Rotation on schedule: asks what is due, does it, and waits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Classify, Ctx, ErrorClass, Event, Outcome, Validate, chain, timeout};

use crate::generate::Generate;
use crate::metrics;
use crate::rotation::{Action, RotationPolicy, step};
use crate::{Error, Lifecycle, Name, SecretStore, Step};

/// The event of a step of a rotation.
pub const ROTATED: &str = "secret.rotate";

/// A rotation is looked at so often at least: another process may have gone on with it, and the time of day may have been set.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// Limit of one step, the generator's work included.
const STEP_WITHIN: Duration = Duration::from_mins(1);

/// Rotates one secret of a store. Many processes may do so with the same one: each step is made once.
pub struct Rotator {
    store: Arc<dyn SecretStore>,
    name: Name,
    policy: RotationPolicy,
    generate: Arc<dyn Generate>,
    ctx: Ctx,
}

impl Rotator {
    /// Rotates `name` of `store` with values of `generate`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a policy that contradicts itself.
    pub fn new(
        store: Arc<dyn SecretStore>,
        name: Name,
        policy: RotationPolicy,
        generate: impl Generate,
        ctx: &Ctx,
    ) -> Result<Self, Error> {
        policy.validate().map_err(Error::Config)?;
        Ok(Self { store, name, policy, generate: Arc::new(generate), ctx: ctx.clone() })
    }

    /// Does what is due, and says what is next. A secret that is not there yet is not made: its first value is somebody's decision.
    ///
    /// # Errors
    ///
    /// Those of the store and of the generator; [`Error::Changed`] when another process was first.
    pub async fn advance(&self) -> Result<(Lifecycle, Action), Error> {
        let mut seen = self.store.lifecycle(&self.name).await?.ok_or_else(|| Error::not_found(&self.name))?;
        // Three steps are all there are.
        for _ in 0..3 {
            let due = step(self.ctx.clock.wall(), &seen, &self.policy);
            let change = match due {
                Action::Wait(_) => return Ok((seen, due)),
                Action::Create => Step::Create(self.generate.generate(&self.name).await?),
                Action::Switch => Step::Switch,
                Action::Retire => Step::Retire,
            };
            seen = make_step(&*self.store, &self.name, &seen, change, &self.ctx, "rotator").await?;
        }
        let due = step(self.ctx.clock.wall(), &seen, &self.policy);
        Ok((seen, due))
    }

    /// Goes on in the background until the service stops.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(self) {
        let ctx = self.ctx.clone();
        ctx.shutdown.clone().spawn(async move {
            loop {
                let made = timeout(&*ctx.clock, STEP_WITHIN, self.advance()).await;
                let store = self.store.kind();
                let wait = match made.unwrap_or_else(|source| Err(Error::TimedOut { store, source })) {
                    Ok((_, Action::Wait(left))) => left.min(LOOK_EVERY),
                    Ok(_) => Duration::ZERO,
                    Err(error) => {
                        // Another process was first: that is how it should be.
                        if error.class() != ErrorClass::Conflict {
                            let (name, error) = (self.name.as_str(), chain(&error));
                            tracing::warn!(
                                secret = name,
                                error,
                                "a rotation does not go on; it is tried again"
                            );
                        }
                        LOOK_EVERY
                    }
                };
                tokio::select! {
                    () = ctx.clock.sleep(wait) => {}
                    () = ctx.shutdown.drained() => return,
                }
            }
        });
    }
}

/// Makes a step, counts it, and tells of it.
pub(crate) async fn make_step(
    store: &dyn SecretStore,
    name: &Name,
    seen: &Lifecycle,
    change: Step,
    ctx: &Ctx,
    actor: &str,
) -> Result<Lifecycle, Error> {
    let label = change.as_str();
    let made = store.rotate(name, seen, change).await;
    metrics::step(label, made.is_ok());
    let (outcome, detail) = match &made {
        Ok(now) => (Outcome::Success, format!("{label}; version {} is current", now.current.version)),
        Err(error) => (Outcome::Failure, format!("{label}: {}", chain(error))),
    };
    let event = Event::new(ctx.clock.wall(), ROTATED, outcome);
    ctx.events.emit(event.actor(actor).target(name.as_str()).detail(detail));
    made
}

impl fmt::Debug for Rotator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rotator({} of {})", self.name, self.store.kind())
    }
}
