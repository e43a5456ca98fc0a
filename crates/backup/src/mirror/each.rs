//! Work on many objects, a few at a time.

use std::future::Future;

use buttress_core::Ctx;
use tokio::task::JoinSet;

use crate::Error;
use crate::id::Object;

/// A store in which so much goes wrong at once is not asked on.
pub(super) const MOST_FAILURES: usize = 100;

/// Does `work` for each object, at most `concurrency` at a time, and tells `done` of each outcome. Stops to begin more when `done` says so, and lets
/// go of what has begun when a shutdown asks for it.
pub(super) async fn each<T, F>(
    objects: impl IntoIterator<Item = Object>,
    concurrency: usize,
    ctx: &Ctx,
    work: impl Fn(Object) -> F,
    mut done: impl FnMut(Object, Result<T, Error>) -> Next,
) -> Result<(), Error>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let mut objects = objects.into_iter();
    let mut running = JoinSet::new();
    let mut next = Next::GoOn;
    loop {
        while next == Next::GoOn && running.len() < concurrency {
            let Some(object) = objects.next() else { break };
            let outcome = work(object);
            running.spawn(async move { (object, outcome.await) });
        }
        tokio::select! {
            biased;
            () = ctx.shutdown.stopped() => return Err(Error::Stopped),
            ended = running.join_next() => match ended {
                None => return Ok(()),
                Some(Ok((object, outcome))) => {
                    if done(object, outcome) == Next::Stop {
                        next = Next::Stop;
                    }
                }
                Some(Err(gone)) => return Err(Error::Internal { problem: format!("a task of a mirror ended: {gone}") }),
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    Stop,
}

impl Next {
    /// Goes on until there are too many failures.
    pub(super) fn after(failures: usize) -> Self {
        if failures < MOST_FAILURES { Self::GoOn } else { Self::Stop }
    }
}
