//! Checkpoints told elsewhere, so that even who holds every key of the log cannot change what was told.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{BoxFuture, timeout};

use crate::SignedCheckpoint;
use crate::log::Shared;

/// How long one call may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How long after a failure the next comes.
const PAUSE: Duration = Duration::from_secs(10);

/// Keeps checkpoints where who writes the log cannot change them: another machine, another log, a mailbox.
///
/// It gets the latest only: a later checkpoint vouches for all before it. What it does not take is tried again, counted, and shown by
/// the probe.
pub trait Witness: Debug + Send + Sync + 'static {
    /// Takes a checkpoint. It has 30 seconds.
    fn publish<'a>(
        &'a self,
        checkpoint: &'a SignedCheckpoint,
    ) -> BoxFuture<'a, Result<(), Box<dyn StdError + Send + Sync>>>;
}

/// Appends checkpoints to a file: on a mount of another machine, or one that only grows.
#[derive(Debug, Clone)]
pub struct FileWitness(PathBuf);

impl FileWitness {
    /// To this file; made if it is not there.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

impl Witness for FileWitness {
    fn publish<'a>(
        &'a self,
        checkpoint: &'a SignedCheckpoint,
    ) -> BoxFuture<'a, Result<(), Box<dyn StdError + Send + Sync>>> {
        let (path, note) = (self.0.clone(), format!("{checkpoint}\n"));
        Box::pin(async move {
            let written = tokio::task::spawn_blocking(move || {
                use std::io::Write;
                let mut file = std::fs::File::options().create(true).append(true).open(path)?;
                file.write_all(note.as_bytes())?;
                file.sync_all()
            });
            Ok(written.await??)
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Witnesses(Vec<Arc<dyn Witness>>);

impl Witnesses {
    pub(crate) fn add(&mut self, witness: impl Witness) {
        self.0.push(Arc::new(witness));
    }

    pub(crate) fn start(self, shared: &Arc<Shared>) {
        for (place, witness) in self.0.into_iter().enumerate() {
            shared.ctx.shutdown.spawn(run(Arc::clone(shared), place, witness));
        }
    }
}

/// Until the log is closed, and once after it.
async fn run(shared: Arc<Shared>, place: usize, witness: Arc<dyn Witness>) {
    let (mut signed, mut done) = (shared.signed.subscribe(), shared.done.subscribe());
    signed.mark_changed();
    let clock = &shared.ctx.clock;
    loop {
        let last = tokio::select! {
            biased;
            changed = signed.changed() => changed.is_err(),
            _ = done.wait_for(|done| *done) => true,
        };
        if last && !signed.has_changed().unwrap_or(false) {
            return;
        }
        let Some(checkpoint) = signed.borrow_and_update().clone() else { continue };
        let told = match timeout(&**clock, LIMIT, witness.publish(&checkpoint)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(elapsed) => Some(elapsed.to_string()),
        };
        shared.status(|status| match &told {
            None => drop(status.witnesses.remove(&place)),
            Some(problem) => drop(status.witnesses.insert(place, problem.clone())),
        });
        if let Some(problem) = &told {
            shared.metrics.witness_failures.increment(1);
            tracing::warn!(target: "buttress::audit", problem, size = checkpoint.checkpoint().size, "a witness does not take a checkpoint");
            tokio::select! {
                () = clock.sleep(PAUSE) => signed.mark_changed(),
                _ = done.wait_for(|done| *done) => {}
            }
        }
    }
}
