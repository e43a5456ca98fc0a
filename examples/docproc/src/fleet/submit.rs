//! From files to blobs and jobs.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use buttress_core::{Classify, Ctx};
use buttress_docpipeline::Fingerprint;
use buttress_queue::{Error as QueueError, Pushed};
use buttress_resilience::Failure;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Serialize;

use super::Ticket;
use super::remote::Remote;
use crate::batch::inputs;
use crate::config::DocprocConfig;

/// Files on their way at once.
const AT_ONCE: usize = 8;

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Submission {
    /// Its path.
    pub name: String,
    /// What became of it.
    pub state: Submitted,
    /// What content and configuration make of it: the result will be the blob `results/<id>.json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What became of a file that was submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Submitted {
    /// It is in the queue, and acknowledged.
    Queued,
    /// It was in the queue already, or is a dead letter.
    Known,
    /// Its result is there already.
    Done,
    /// It cannot be submitted.
    Refused,
}

impl fmt::Display for Submitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Known => "known",
            Self::Done => "done",
            Self::Refused => "refused",
        })
    }
}

/// Stores every file at or below `paths` and pushes a job for it; tells each one as soon as it is acknowledged. A full
/// queue is waited for. Stops early when the shutdown of `ctx` drains; whether it did not.
///
/// # Errors
///
/// When the paths cannot be listed, or queue or blobs fail.
pub async fn submit(
    config: &DocprocConfig,
    paths: &[PathBuf],
    ctx: &Ctx,
    mut told: impl FnMut(&Submission),
) -> Result<bool> {
    let (files, _passed_over) = inputs::collect(paths, None)?;
    let desk = Desk {
        remote: Remote::open(config, ctx).await?,
        config: config.pipeline.digest(),
        limit: config.pipeline.limits.input_bytes.bytes(),
        ctx: ctx.clone(),
    };
    let mut submissions = std::pin::pin!(
        futures_util::stream::iter(&files).map(|path| desk.take(path)).buffer_unordered(AT_ONCE)
    );
    while let Some(submission) = submissions.next().await {
        match submission? {
            Some(submission) => told(&submission),
            None => return Ok(false),
        }
    }
    Ok(true)
}

struct Desk {
    remote: Remote,
    config: String,
    limit: u64,
    ctx: Ctx,
}

impl Desk {
    /// Takes one file; `None` when it was asked to stop first.
    async fn take(&self, path: &Path) -> Result<Option<Submission>> {
        if self.ctx.shutdown.is_draining() {
            return Ok(None);
        }
        let name = path.to_string_lossy().into_owned();
        let bytes = match self.read(path).await {
            Ok(bytes) => bytes,
            Err(problem) => {
                let state = Submitted::Refused;
                return Ok(Some(Submission { name, state, id: None, problem: Some(problem) }));
            }
        };
        let ticket = Ticket { content: Fingerprint::of_bytes(&bytes), config: self.config.clone(), name };
        let state =
            self.hand_in(&ticket, bytes).await.with_context(|| format!("cannot submit {}", ticket.name))?;
        Ok(state.map(|state| Submission { id: Some(ticket.id()), name: ticket.name, state, problem: None }))
    }

    async fn read(&self, path: &Path) -> Result<Bytes, String> {
        let size = tokio::fs::metadata(path).await.map_err(|error| error.to_string())?.len();
        if size == 0 {
            return Err("it is empty".to_owned());
        }
        if size > self.limit {
            return Err(format!("it has {size} bytes, more than pipeline.limits.input_bytes allows"));
        }
        Ok(tokio::fs::read(path).await.map_err(|error| error.to_string())?.into())
    }

    /// The document first, then the job that names it: a crash between leaves a blob, and no job without its blob.
    async fn hand_in(&self, ticket: &Ticket, bytes: Bytes) -> Result<Option<Submitted>> {
        if self.remote.has(&ticket.result()).await? {
            return Ok(Some(Submitted::Done));
        }
        self.remote.put_new(&ticket.document(), &bytes).await?;
        let (key, payload) = (ticket.key()?, Bytes::from(serde_json::to_vec(ticket)?));
        loop {
            match self.remote.push(&key, &payload).await {
                Ok(Pushed::New) => return Ok(Some(Submitted::Queued)),
                Ok(Pushed::Known) => return Ok(Some(Submitted::Known)),
                Err(Failure::Call(error @ QueueError::Full { .. })) => {
                    tracing::warn!(target: "docproc", %error, "waiting for room");
                    let wait = error.retry_after().unwrap_or(self.remote.queue.config().poll);
                    tokio::select! {
                        () = self.ctx.clock.sleep(wait) => {}
                        () = self.ctx.shutdown.drained() => return Ok(None),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}
