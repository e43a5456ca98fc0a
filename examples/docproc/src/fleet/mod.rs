//! Many hosts, one queue: documents are submitted anywhere, and read by whichever worker has room.
//!
//! A document is a blob under the hash of its content, and a job that names it. A worker reads the blob, has it read as
//! everywhere else, writes the result under a name made of content and configuration, and only then says that the job
//! is done. The result is written if it is not there: delivered twice, or read by two workers at once, a document
//! leaves one result, which never changes.

mod inspect;
mod remote;
mod submit;
mod worker;

use anyhow::{Context, Result};
use buttress_core::{Ctx, Key, KeyError};
use buttress_queue::WorkQueue;
use serde::{Deserialize, Serialize};

use crate::config::DocprocConfig;

pub use inspect::{dead_letters, retry, stats};
pub use submit::{Submission, Submitted, submit};
pub use worker::run as work;

/// What a job says of its document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Ticket {
    /// What the document is called.
    name: String,
    /// BLAKE3 of its bytes, in hex.
    content: String,
    /// Digest of the configuration to read it with.
    config: String,
}

impl Ticket {
    /// The same for the same content and configuration, whatever it is called and whoever submits it.
    fn id(&self) -> String {
        format!("{}-{}", self.content, self.config)
    }

    fn key(&self) -> Result<Key, KeyError> {
        Key::new(self.id())
    }

    /// The blob with its bytes.
    fn document(&self) -> String {
        format!("documents/{}", self.content)
    }

    /// The blob with its result.
    fn result(&self) -> String {
        format!("results/{}.json", self.id())
    }
}

async fn open_queue(config: &DocprocConfig, ctx: &Ctx) -> Result<WorkQueue> {
    WorkQueue::open(&config.queue, ctx)
        .await
        .with_context(|| format!("cannot open the queue; `queue.url` is {}", config.queue.url))
}
