//! What every component is given.

use crate::clock::{SharedClock, SystemClock};
use crate::event::Events;
use crate::shutdown::Shutdown;

/// The surroundings of a component: its clock, where its events go, and when to stop. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// Time.
    pub clock: SharedClock,
    /// Where events go.
    pub events: Events,
    /// When to stop, and which tasks to wait for.
    pub shutdown: Shutdown,
}

impl Default for Ctx {
    /// The system clock, events dropped, no shutdown asked for.
    fn default() -> Self {
        Self { clock: SystemClock::shared(), events: Events::default(), shutdown: Shutdown::new() }
    }
}
