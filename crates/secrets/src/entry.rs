//! What is known of one secret, and whether the store has to be asked. Pure but for its locks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use buttress_core::ErrorClass;

use crate::Versions;

/// One secret in memory.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    state: Mutex<State>,
    /// Held by the one who asks the store.
    pub(crate) asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) known: Option<Known>,
    pub(crate) failed: Option<Failed>,
}

/// The versions as the store told them.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) versions: Arc<Versions>,
    pub(crate) at: Instant,
}

/// The store failed.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub(crate) until: Instant,
    pub(crate) class: ErrorClass,
    pub(crate) told: String,
}

/// What to do for a caller.
#[derive(Debug)]
pub(crate) enum Found {
    /// It is known.
    Fresh(Arc<Versions>),
    /// The store failed a moment ago, but this is still good enough.
    LastGood(Arc<Versions>),
    /// The store failed a moment ago, and there is nothing.
    Failed(Failed),
    /// The store is to be asked. This will do while another does so.
    Ask(Option<Arc<Versions>>),
}

impl Entry {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to do for a caller who takes what is `ttl` old, and `last_good` more when the store fails.
    pub(crate) fn find(&self, now: Instant, ttl: Duration, last_good: Duration) -> Found {
        let state = self.state();
        let known = state.known.as_ref().map(|known| (now.saturating_duration_since(known.at), known));
        if let Some((_, known)) = known.filter(|(age, _)| *age < ttl) {
            return Found::Fresh(Arc::clone(&known.versions));
        }
        let good = known.filter(|(age, _)| *age < ttl.saturating_add(last_good));
        let good = good.map(|(_, known)| Arc::clone(&known.versions));
        match (state.failed.as_ref().filter(|failed| now < failed.until), good) {
            (Some(_), Some(versions)) => Found::LastGood(versions),
            (Some(failed), None) => Found::Failed(failed.clone()),
            (None, good) => Found::Ask(good),
        }
    }

    pub(crate) fn succeeded(&self, versions: &Arc<Versions>, at: Instant) -> bool {
        let mut state = self.state();
        state.known = Some(Known { versions: Arc::clone(versions), at });
        state.failed.take().is_some()
    }

    /// Whether it had not failed before.
    pub(crate) fn failed(&self, failed: Failed) -> bool {
        self.state().failed.replace(failed).is_none()
    }
}
