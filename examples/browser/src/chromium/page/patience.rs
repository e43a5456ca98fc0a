//! Looking again and again, up to a limit.

use std::time::{Duration, Instant};

use buttress_core::SharedClock;

/// The first and the longest wait between two looks.
const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(50);
/// The least that one look gets, so that a page is looked at once even without patience.
const ONE_LOOK: Duration = Duration::from_secs(1);

/// What is left of a limit.
#[derive(Debug)]
pub(super) struct Patience {
    clock: SharedClock,
    deadline: Instant,
    wait: Duration,
}

impl Patience {
    pub(super) fn new(clock: &SharedClock, within: Duration) -> Self {
        // A limit that no clock reaches is a long one.
        let deadline =
            clock.now().checked_add(within).unwrap_or_else(|| clock.now() + Duration::from_hours(24));
        Self { clock: clock.clone(), deadline, wait: FIRST }
    }

    /// How long the next look may take, a command's own limit given.
    pub(super) fn one_look(&self, command: Duration) -> Duration {
        self.left().max(ONE_LOOK).min(command)
    }

    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(self.clock.now())
    }

    /// Waits a little, longer each time. False, at once, when the limit has passed.
    pub(super) async fn pause(&mut self) -> bool {
        let left = self.left();
        if left.is_zero() {
            return false;
        }
        self.clock.sleep(self.wait.min(left)).await;
        self.wait = (self.wait * 2).min(LONGEST);
        true
    }
}
