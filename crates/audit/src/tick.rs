//! What time brings: seals and checkpoints that are due, another attempt on a disk that failed, and the end.

use std::sync::Arc;
use std::time::Duration;

use crate::log::Shared;

/// How long after a failure the next attempt comes.
const RETRY: Duration = Duration::from_secs(1);

/// Runs until the log is closed; closes it when `Shutdown` stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let (clock, every) = (&shared.ctx.clock, shared.config.checkpoint_every);
    let mut done = shared.done.subscribe();
    let mut last = clock.now();
    loop {
        tokio::select! {
            () = clock.sleep(RETRY.min(every)) => {}
            () = shared.ctx.shutdown.stopped() => break,
            _ = done.wait_for(|done| *done) => return,
        }
        let due = clock.now() - last >= every;
        if due {
            last = clock.now();
        }
        shared.queue.tick(due);
    }
    shared.queue.close();
    // Fails only when the sender is gone, and `shared` holds it.
    let _ = done.wait_for(|done| *done).await;
}
