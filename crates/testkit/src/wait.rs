//! Waiting for something outside the process.

use std::time::{Duration, Instant};

/// How long a server may take from its start until it answers. Generous: it is met in full only by a failure.
pub(crate) const READY_WITHIN: Duration = Duration::from_mins(1);

/// Asks `ready` again and again, with short pauses, until it has an answer.
///
/// Panics after `limit`, saying `what` was waited for.
pub fn wait_until<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ready() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
