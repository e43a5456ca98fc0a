//! What is held still while a snapshot is made.

use std::time::Duration;

use buttress_core::{Ctx, units};
use tokio::sync::oneshot;

use super::refused;
use crate::Error;

/// Something held still until the snapshot is done, and let go whatever happens: when it is [released](Self::release), when this is
/// dropped, and when it has been held for as long as it may.
///
/// The letting go is a task of the context's `Shutdown`, begun before anything is held, so neither a cancelled backup nor a stopping
/// runtime that waits for its tasks leaves something frozen. `kill -9` does: what must thaw even then needs a limit of its own.
#[derive(Debug, Default)]
pub struct Hold(Vec<One>);

#[derive(Debug)]
struct One {
    /// Gone with this: let go.
    done: oneshot::Sender<()>,
    /// How it went.
    outcome: oneshot::Receiver<Result<(), Error>>,
}

impl Hold {
    /// Nothing is held.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// From now on something is held, for at most `longest`; `let_go` is run when it is over, once.
    ///
    /// `of` names it in errors.
    pub fn begin(
        of: &str,
        longest: Duration,
        ctx: &Ctx,
        let_go: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Self {
        let (done, mut over) = oneshot::channel::<()>();
        let (tell, outcome) = oneshot::channel();
        let (of, clock) = (of.to_owned(), ctx.clock.clone());
        ctx.shutdown.spawn(async move {
            let lost = tokio::select! {
                // Released at the last moment is released.
                biased;
                // An answer and a sender that is gone mean the same.
                _ = &mut over => false,
                () = clock.sleep(longest) => true,
            };
            let gone = let_go.await;
            let outcome = match gone {
                Ok(()) if lost => Err(refused(
                    &of,
                    format!(
                        "was held for {}, the longest that it may be, and was let go before the snapshot was done",
                        units::format_duration(longest)
                    ),
                )),
                gone => gone,
            };
            if let Err(Err(error)) = tell.send(outcome) {
                // Nobody waits: the backup was given up.
                let error = buttress_core::chain(&error);
                tracing::error!(target: "buttress::backup", %error, "what was held for a backup may not have been let go");
            }
        });
        Self(vec![One { done, outcome }])
    }

    /// Holds what `other` holds too.
    pub fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Lets go, in the reverse order of the holding, and waits until it is done.
    ///
    /// # Errors
    ///
    /// The first of: it was let go before, or letting go failed. All are let go.
    pub async fn release(self) -> Result<(), Error> {
        let mut result = Ok(());
        for One { done, outcome } in self.0.into_iter().rev() {
            // A task that is gone already has its outcome ready.
            let _ = done.send(());
            let outcome = outcome.await.unwrap_or(Err(Error::Stopped));
            result = result.and(outcome);
        }
        result
    }
}
