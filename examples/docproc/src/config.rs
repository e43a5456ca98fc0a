//! What docproc can be told.

use std::path::PathBuf;
use std::time::Duration;

use buttress_access::policy::{PolicyConfig, RoleConfig, RuleConfig};
use buttress_backup::{BackupConfig, JobConfig};
use buttress_connect::Address;
use buttress_connect::blobs::BlobsConfig;
use buttress_core::{ByteSize, Validate, Violations};
use buttress_docpipeline::{PipelineConfig, WorkersConfig};
use buttress_queue::QueueConfig;
use buttress_ratelimit::LimiterConfig;
use buttress_resilience::{Part, ResilienceConfig};
use buttress_service::{SecurityConfig, ServiceConfig, address_limits};
use buttress_telemetry::TelemetryConfig;
use serde::{Deserialize, Serialize};

/// The whole configuration: `docproc.toml`, then `DOCPROC_…` variables, then flags.
///
/// Each instance of the service has limits of its own unless [`redis_url`](Self::redis_url) is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DocprocConfig {
    /// `redis://…`, also of sentinels or a cluster: what instances of the service share through it, as `limits.shared.url`, which
    /// goes before it. None: each instance has its own. The queue is said apart, by `queue.url`.
    pub redis_url: Option<Address>,
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
    /// How submitters and workers call the queue and the blobs: a call that fails in passing is made again
    /// for up to two minutes. There is no circuit breaker unless `parts` names one: what it refuses would cost a document one of
    /// its attempts.
    pub remote: ResilienceConfig,
    /// How often clients may ask.
    pub limits: LimiterConfig,
    /// Who may use the service; off, whoever reaches it may do everything. `docproc init` makes what it needs.
    pub security: SecurityConfig,
    /// Where the service's backups go; without `backup.store` it makes none. Its own data are the source `docproc`.
    pub backup: BackupConfig,
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
        let mut limits = address_limits();
        // The name of what is shared: another service may have limits on the same server.
        "docproc".clone_into(&mut limits.name);
        let mut backup = BackupConfig::default();
        backup.jobs = vec![JobConfig::default()];
        // On the same disk what waits need not be copied.
        backup.scratch.clone_from(&store.folder);
        backup.memory = Some(store.folder.join("backup.json"));
        let security = SecurityConfig::of(store.folder.join("security"), "docproc", roles());
        Self {
            redis_url: None,
            pipeline: PipelineConfig::default(),
            workers: WorkersConfig::default(),
            store,
            queue,
            blobs,
            remote: remote(),
            limits,
            security,
            backup,
            service: ServiceConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

/// Outages that end are waited for: a document that fails for one of them uses up an attempt.
fn remote() -> ResilienceConfig {
    let mut remote = ResilienceConfig::default();
    "remote".clone_into(&mut remote.name);
    (remote.deadline, remote.timeout) = (Duration::from_mins(2), Duration::from_mins(1));
    remote.parts = vec![Part::Retry];
    (remote.retry.attempts, remote.retry.first) = (30, Duration::from_millis(200));
    remote
}

/// Each may do what the one before it may.
fn roles() -> PolicyConfig {
    let mut policy = PolicyConfig::default();
    for (name, inherits, allow) in [
        ("reader", None, &["document:read"][..]),
        ("writer", Some("reader"), &["document:write"]),
        ("admin", Some("writer"), &["document:delete", "key:manage"]),
    ] {
        let mut role = RoleConfig::default();
        role.inherits = inherits.into_iter().map(str::to_owned).collect();
        role.allow = allow.iter().copied().map(RuleConfig::new).collect();
        policy.roles.insert(name.to_owned(), role);
    }
    policy
}

impl DocprocConfig {
    /// With `redis_url` wherever something can be shared and its own section does not say where.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.limits.shared.url = self.limits.shared.url.or_else(|| self.redis_url.clone());
        self
    }
}

impl Validate for DocprocConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        if let Some(url) = &self.redis_url {
            url.require_redis("redis_url", &mut wrong);
        }
        wrong.nest("pipeline", &self.pipeline);
        wrong.nest("workers", &self.workers);
        wrong.nest("store", &self.store);
        wrong.nest("queue", &self.queue);
        wrong.nest("blobs", &self.blobs);
        wrong.nest("remote", &self.remote);
        wrong.nest("limits", &self.limits);
        wrong.nest("security", &self.security);
        wrong.nest("backup", &self.backup);
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_for_all_that_can_be_shared_and_what_is_exact_goes_before_it() {
        let read = |text: &str| serde_json::from_str::<DocprocConfig>(text).unwrap().shared();
        let shown = |url: &Option<Address>| url.as_ref().map(|url| url.expose().to_owned());
        let alone = read("{}");
        assert_eq!(shown(&alone.limits.shared.url), None);
        for url in ["redis://:pw@one/2", "rediss+sentinel://one,two?master=m", "redis+cluster://one,two"] {
            let config = read(&format!(r#"{{"redis_url":"{url}"}}"#));
            config.validate().unwrap();
            assert_eq!(shown(&config.limits.shared.url).as_deref(), Some(url));
        }
        let config = read(r#"{"redis_url":"redis://one","limits":{"shared":{"url":"redis://two"}}}"#);
        assert_eq!(shown(&config.limits.shared.url).as_deref(), Some("redis://two"));
        assert_eq!(alone.limits.name, "docproc", "another service on that server has limits of its own");
    }

    #[test]
    fn what_is_no_redis_is_refused_without_its_password() {
        let text = r#"{"redis_url":"postgres://ann:hunter2@db"}"#;
        let config: DocprocConfig = serde_json::from_str(text).unwrap();
        let wrong = format!("{} {config:?}", config.validate().unwrap_err());
        assert!(wrong.contains("redis_url = postgres://ann:***@db") && !wrong.contains("hunter2"), "{wrong}");
    }
}
