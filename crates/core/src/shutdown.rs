//! Asking everything to stop, and knowing when it has.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

/// A request to stop that every clone sees, and the count of background tasks that must end before the process may.
///
/// Stopping has two steps: [`drain`](Shutdown::drain) says "take no new work, finish what you have", and
/// [`stop`](Shutdown::stop) says "give back what you have not finished and return".
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<State>>);

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    tasks: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Running,
    Draining,
    Stopping,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }
}

impl Shutdown {
    /// A shutdown that nobody has asked for yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everything to take no new work and to finish what it has.
    pub fn drain(&self) {
        self.advance(Phase::Draining);
    }

    /// Asks everything to return now, handing back what is unfinished. Implies [`drain`](Shutdown::drain).
    pub fn stop(&self) {
        self.advance(Phase::Stopping);
    }

    /// Whether new work should be refused.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.borrow().phase >= Phase::Draining
    }

    /// Whether work in hand should be handed back.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.borrow().phase >= Phase::Stopping
    }

    /// Completes when draining has been asked for.
    pub async fn drained(&self) {
        self.wait_for(|state| state.phase >= Phase::Draining).await;
    }

    /// Completes when stopping has been asked for.
    pub async fn stopped(&self) {
        self.wait_for(|state| state.phase >= Phase::Stopping).await;
    }

    /// Runs `task` in the background of the current tokio runtime, counted by [`finished`](Shutdown::finished).
    ///
    /// The task watches [`stopped`](Shutdown::stopped) itself, so that it can put its work down in order.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, as [`tokio::spawn`] does.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let running = Running::count(self.clone());
        tokio::spawn(async move {
            let _running = running;
            task.await;
        });
    }

    /// Completes when stopping has been asked for and every task of [`spawn`](Shutdown::spawn) has ended.
    pub async fn finished(&self) {
        self.wait_for(|state| state.phase >= Phase::Stopping && state.tasks == 0).await;
    }

    /// How many tasks of [`spawn`](Shutdown::spawn) have not ended.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.0.borrow().tasks
    }

    fn advance(&self, phase: Phase) {
        self.0.send_if_modified(|state| {
            let advances = state.phase < phase;
            state.phase = state.phase.max(phase);
            advances
        });
    }

    async fn wait_for(&self, condition: impl FnMut(&State) -> bool) {
        // Fails only when the sender is gone, and `self` holds it.
        let _ = self.0.subscribe().wait_for(condition).await;
    }
}

/// Counts one task, also when it panics or is aborted.
struct Running(Shutdown);

impl Running {
    fn count(shutdown: Shutdown) -> Self {
        shutdown.0.send_if_modified(|state| {
            state.tasks += 1;
            // Nobody waits for a task to begin.
            false
        });
        Self(shutdown)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.send_if_modified(|state| {
            state.tasks -= 1;
            // Whoever waits for tasks to end waits for the last of them.
            state.tasks == 0
        });
    }
}
