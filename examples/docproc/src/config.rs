//! What docproc can be told.

use std::path::PathBuf;

use buttress_connect::Address;
use buttress_connect::blobs::BlobsConfig;
use buttress_core::{ByteSize, Validate, Violations};
use buttress_docpipeline::{PipelineConfig, WorkersConfig};
use buttress_queue::QueueConfig;
use buttress_ratelimit::LimiterConfig;
use buttress_service::{ServiceConfig, address_limits};
use buttress_telemetry::TelemetryConfig;
use serde::{Deserialize, Serialize};

/// The whole configuration: `docproc.toml`, then `DOCPROC_…` variables, then flags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DocprocConfig {
    /// Limits, chunks, main text.
    pub pipeline: PipelineConfig,
    /// How many documents at once, and what stands between them.
    pub workers: WorkersConfig,
    /// What the service keeps.
    pub store: StoreConfig,
    /// Where workers on many hosts get their documents from; `sqlite:docproc-data/queue.db` serves one host.
    pub queue: QueueConfig,
    /// Where these documents and their results are; the folder `docproc-data/blobs` serves one host.
    pub blobs: BlobsConfig,
    /// How often clients may ask.
    pub limits: LimiterConfig,
    /// Where and how the service listens.
    pub service: ServiceConfig,
    /// Logs and metrics.
    pub telemetry: TelemetryConfig,
}

impl Default for DocprocConfig {
    fn default() -> Self {
        let store = StoreConfig::default();
        let mut queue = QueueConfig::default();
        queue.url = Address::sqlite(&store.folder.join("queue.db"));
        "docproc".clone_into(&mut queue.name);
        let mut blobs = BlobsConfig::default();
        blobs.url = store.folder.join("blobs").display().to_string();
        Self {
            pipeline: PipelineConfig::default(),
            workers: WorkersConfig::default(),
            store,
            queue,
            blobs,
            limits: address_limits(),
            service: ServiceConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl Validate for DocprocConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.nest("pipeline", &self.pipeline);
        wrong.nest("workers", &self.workers);
        wrong.nest("store", &self.store);
        wrong.nest("queue", &self.queue);
        wrong.nest("blobs", &self.blobs);
        wrong.nest("limits", &self.limits);
        wrong.nest("service", &self.service);
        wrong.nest("telemetry", &self.telemetry);
        wrong.into_result()
    }
}

/// What the service keeps, and where.
///
/// | field | default | |
/// |---|---|---|
/// | `folder` | `docproc-data` | database and accepted documents |
/// | `queue_bytes` | 4GiB | accepted documents that wait, on disk |
/// | `queue_documents` | 10000 | the same, by number |
/// | `attempts` | 2 | how often a document is tried when its worker dies |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Database and accepted documents.
    pub folder: PathBuf,
    /// Accepted documents that wait, by size.
    pub queue_bytes: ByteSize,
    /// Accepted documents that wait, by number.
    pub queue_documents: u64,
    /// How often a document is tried when its worker dies.
    pub attempts: u32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("docproc-data"),
            queue_bytes: ByteSize::gib(4),
            queue_documents: 10_000,
            attempts: 2,
        }
    }
}

impl Validate for StoreConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let no_folder = self.folder.as_os_str().is_empty();
        wrong.require(!no_folder, "folder", "\"\"", "must name a folder; it is made if it is not there");
        let least = ByteSize::mib(1);
        wrong.require(
            self.queue_bytes >= least,
            "queue_bytes",
            self.queue_bytes,
            "must be at least \"1MiB\"",
        );
        wrong.require(
            self.queue_documents >= 1,
            "queue_documents",
            self.queue_documents,
            "must be at least 1",
        );
        wrong.require((1..=10).contains(&self.attempts), "attempts", self.attempts, "must be 1 to 10");
        wrong.into_result()
    }
}
