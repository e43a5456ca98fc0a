//! Where jobs are kept, how many, and how long.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use buttress_core::{ByteSize, Key, Validate, Violations, units};
use serde::{Deserialize, Serialize};

/// Tenants that may have limits of their own.
const MOST_TENANTS: usize = 10_000;

/// Where jobs are kept, how many, and how long.
///
/// | field | default | |
/// |---|---|---|
/// | `folder` | `"browser-data"` | the database and the artifacts are in it; one process at a time uses it |
/// | `waiting` | 1000 | jobs that may wait in all; past it a new one is refused |
/// | `waiting_per_tenant` | 200 | jobs of one tenant that may wait |
/// | `running_per_tenant` | 4 | jobs of one tenant that run at once |
/// | `tenants` | none | other limits for some tenants: `{ "acme" = { waiting = 500, running = 8 } }` |
/// | `job` | `"1MiB"` | the largest workflow, its inputs included |
/// | `report` | `"8MiB"` | the largest report, as JSON; of a larger one only the artifacts are kept |
/// | `attempts` | 3 | how often a job is tried before it has failed |
/// | `retry_first` | `"1s"` | the longest wait before the second attempt; it doubles with each |
/// | `retry_most` | `"1m"` | the longest wait of all |
/// | `keep` | `"7d"` | jobs that ended longer ago are forgotten |
/// | `kept` | 100000 | ended jobs that are kept at most; the ones that ended first are forgotten |
/// | `artifacts` | `"1GiB"` | what all artifacts may take; past it the ones used longest ago are removed |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct JobsConfig {
    /// The database and the artifacts are in it.
    pub folder: PathBuf,
    /// Jobs that may wait in all.
    pub waiting: u64,
    /// Jobs of one tenant that may wait.
    pub waiting_per_tenant: u64,
    /// Jobs of one tenant that run at once.
    pub running_per_tenant: u64,
    /// Other limits for some tenants.
    pub tenants: BTreeMap<String, TenantLimits>,
    /// The largest workflow, its inputs included.
    pub job: ByteSize,
    /// The largest report, as JSON.
    pub report: ByteSize,
    /// How often a job is tried before it has failed.
    pub attempts: u32,
    /// The longest wait before the second attempt.
    #[serde(with = "units::duration")]
    pub retry_first: Duration,
    /// The longest wait of all.
    #[serde(with = "units::duration")]
    pub retry_most: Duration,
    /// Jobs that ended longer ago are forgotten.
    #[serde(with = "units::duration")]
    pub keep: Duration,
    /// Ended jobs that are kept at most.
    pub kept: u64,
    /// What all artifacts may take.
    pub artifacts: ByteSize,
}

/// The limits of one tenant, where they differ from those of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantLimits {
    /// Its jobs that may wait; [`JobsConfig::waiting_per_tenant`] if not given.
    pub waiting: Option<u64>,
    /// Its jobs that run at once; [`JobsConfig::running_per_tenant`] if not given.
    pub running: Option<u64>,
}

impl JobsConfig {
    /// How many jobs of `tenant` may wait.
    #[must_use]
    pub fn waiting_of(&self, tenant: &str) -> u64 {
        self.tenants.get(tenant).and_then(|own| own.waiting).unwrap_or(self.waiting_per_tenant)
    }

    /// How many jobs of `tenant` run at once.
    #[must_use]
    pub fn running_of(&self, tenant: &str) -> u64 {
        self.tenants.get(tenant).and_then(|own| own.running).unwrap_or(self.running_per_tenant)
    }
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("browser-data"),
            waiting: 1_000,
            waiting_per_tenant: 200,
            running_per_tenant: 4,
            tenants: BTreeMap::new(),
            job: ByteSize::mib(1),
            report: ByteSize::mib(8),
            attempts: 3,
            retry_first: Duration::from_secs(1),
            retry_most: Duration::from_mins(1),
            keep: Duration::from_hours(7 * 24),
            kept: 100_000,
            artifacts: ByteSize::gib(1),
        }
    }
}

impl Validate for JobsConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let folder = !self.folder.as_os_str().is_empty();
        wrong.require(folder, "folder", "\"\"", "must be named; \"browser-data\" is usual");
        for (field, value, most, usual) in [
            ("waiting", self.waiting, 100_000, "1000"),
            ("waiting_per_tenant", self.waiting_per_tenant, 100_000, "200"),
            ("running_per_tenant", self.running_per_tenant, 10_000, "4"),
            ("attempts", u64::from(self.attempts), 100, "3"),
            ("kept", self.kept, 10_000_000, "100000"),
        ] {
            let remedy = format!("must be 1 to {most}; {usual} is usual");
            wrong.require((1..=most).contains(&value), field, value, remedy);
        }
        let few = self.tenants.len() <= MOST_TENANTS;
        wrong.require(few, "tenants", self.tenants.len(), "must have at most 10000 entries");
        for (name, own) in &self.tenants {
            let field = format!("tenants.{name}");
            if let Err(error) = Key::new(name) {
                wrong.require(false, &field, format!("\"{name}\""), error.to_string());
            }
            let waiting = own.waiting.is_none_or(|waiting| waiting <= 100_000);
            let shown = own.waiting.unwrap_or_default();
            wrong.require(
                waiting,
                &format!("{field}.waiting"),
                shown,
                "must be at most 100000; 0 refuses all",
            );
            let running = own.running.is_none_or(|running| (1..=10_000).contains(&running));
            let shown = own.running.unwrap_or_default();
            wrong.require(running, &format!("{field}.running"), shown, "must be 1 to 10000");
        }
        for (field, value, most, usual) in
            [("job", self.job, ByteSize::mib(16), "1MiB"), ("report", self.report, ByteSize::mib(64), "8MiB")]
        {
            let remedy = format!("must be \"1KiB\" to \"{most}\"; \"{usual}\" is usual");
            wrong.require((ByteSize::kib(1)..=most).contains(&value), field, value, remedy);
        }
        let shown = units::format_duration;
        let ordered = self.retry_first <= self.retry_most;
        let first = shown(self.retry_first);
        wrong.require(ordered, "retry_first", first, "must not be longer than `retry_most`");
        let most = self.retry_most <= Duration::from_hours(24);
        wrong.require(most, "retry_most", shown(self.retry_most), "must be at most \"1d\"; \"1m\" is usual");
        let keep = (Duration::from_secs(1)..=Duration::from_hours(3_650 * 24)).contains(&self.keep);
        wrong.require(keep, "keep", shown(self.keep), "must be \"1s\" to \"3650d\"; \"7d\" is usual");
        let artifacts = self.artifacts >= ByteSize::kib(64);
        wrong.require(
            artifacts,
            "artifacts",
            self.artifacts,
            "must be at least \"64KiB\"; \"1GiB\" is usual",
        );
        wrong.into_result()
    }
}
