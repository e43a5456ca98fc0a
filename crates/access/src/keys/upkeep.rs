//! What is done in the background.

use std::pin::pin;
use std::sync::Weak;
use std::task::Poll;
use std::time::Duration;

use buttress_core::Ctx;

use super::Shared;

/// Writes the times of last use, until nobody is there who uses keys, or the shutdown says so: then once more.
pub(super) async fn run(keys: Weak<Shared>, ctx: Ctx, every: Duration) {
    let mut stopped = pin!(ctx.shutdown.stopped());
    loop {
        let mut beat = ctx.clock.sleep(every);
        let ends = std::future::poll_fn(|cx| {
            if stopped.as_mut().poll(cx).is_ready() {
                return Poll::Ready(true);
            }
            beat.as_mut().poll(cx).map(|()| false)
        })
        .await;
        let Some(keys) = keys.upgrade() else { return };
        if let Err(error) = keys.flush().await {
            tracing::warn!(%error, "times of last use of API keys are not written");
        }
        if ends {
            return;
        }
    }
}
