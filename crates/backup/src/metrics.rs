//! What backups count.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::keeper::Phase;

/// When the newest snapshot was taken, in seconds since 1970. By job.
pub const LAST_SNAPSHOT: &str = "buttress_backup_last_snapshot_timestamp_seconds";
/// When the newest snapshot was taken that was restored and found good, in seconds since 1970. By job.
pub const LAST_VERIFIED: &str = "buttress_backup_last_verified_timestamp_seconds";
/// How old the newest snapshot is: what would be lost now. By job.
pub const AGE: &str = "buttress_backup_age_seconds";
/// How old the newest snapshot was in the last drill.
pub const RPO: &str = "buttress_backup_rpo_seconds";
/// How long it took in the last drill to restore the newest snapshot and to verify it.
pub const RTO: &str = "buttress_backup_rto_seconds";
/// Bytes of sources that were read.
pub const READ: &str = "buttress_backup_read_bytes_total";
/// Bytes that came into the store.
pub const ADDED: &str = "buttress_backup_added_bytes_total";
/// Bytes of the repository that were read to check them.
pub const CHECKED: &str = "buttress_backup_checked_bytes_total";
/// Bytes that the repository took after it was last pruned.
pub const REPOSITORY: &str = "buttress_backup_repository_bytes";
/// Snapshots in the repository.
pub const SNAPSHOTS: &str = "buttress_backup_snapshots";
/// Snapshots whose time by the client is not that of the store.
pub const DISPUTED: &str = "buttress_backup_disputed_snapshots";
/// Seconds that a task took, done or not. By phase.
pub const DURATION: &str = "buttress_backup_duration_seconds";
/// Tasks that were done. By phase.
pub const DONE: &str = "buttress_backup_done_total";
/// Tasks that failed. By phase.
pub const FAILURES: &str = "buttress_backup_failures_total";
/// Requests to stores that were made again after a failure.
pub const STORE_RETRIES: &str = "buttress_backup_store_retries_total";
/// Objects copied to replicas.
pub const REPLICATED_OBJECTS: &str = "buttress_backup_replicated_objects_total";
/// Bytes copied to replicas.
pub const REPLICATED_BYTES: &str = "buttress_backup_replicated_bytes_total";
/// Objects that could not be copied, were damaged, or could not be removed.
pub const REPLICATION_FAILURES: &str = "buttress_backup_replication_failures_total";
/// How long ago the oldest object was written that a replica lacks, by `replica`; 0 when it has all.
pub const REPLICA_LAG: &str = "buttress_backup_replica_lag_seconds";

/// What a keeper counts, resolved once.
pub(crate) struct Metrics {
    jobs: Vec<Job>,
    phases: BTreeMap<Phase, OfPhase>,
    pub(crate) rpo: Gauge,
    pub(crate) rto: Gauge,
    pub(crate) read: Counter,
    pub(crate) added: Counter,
    pub(crate) checked: Counter,
    pub(crate) repository: Gauge,
    pub(crate) snapshots: Gauge,
    pub(crate) disputed: Gauge,
}

struct Job {
    snapshot: Gauge,
    verified: Gauge,
    age: Gauge,
}

struct OfPhase {
    duration: Histogram,
    done: Counter,
    failures: Counter,
}

impl Metrics {
    /// The handles of these jobs, whose names are from the configuration.
    pub(crate) fn new<'a>(jobs: impl Iterator<Item = &'a str>) -> Self {
        describe_gauge!(LAST_SNAPSHOT, "When the newest snapshot was taken, in seconds since 1970");
        describe_gauge!(LAST_VERIFIED, "When the newest snapshot that was restored and found good was taken");
        describe_gauge!(AGE, "How old the newest snapshot is, in seconds");
        describe_gauge!(RPO, "How old the newest snapshot was in the last drill, in seconds");
        describe_gauge!(RTO, "Seconds in the last drill until the newest snapshot was restored and verified");
        describe_counter!(READ, "Bytes of sources that were read");
        describe_counter!(ADDED, "Bytes that came into the store");
        describe_counter!(CHECKED, "Bytes of the repository that were read to check them");
        describe_gauge!(REPOSITORY, "Bytes that the repository took after it was last pruned");
        describe_gauge!(SNAPSHOTS, "Snapshots in the repository");
        describe_gauge!(DISPUTED, "Snapshots whose time by the client is not that of the store");
        describe_histogram!(DURATION, "Seconds that a task took, done or not");
        describe_counter!(DONE, "Tasks that were done");
        describe_counter!(FAILURES, "Tasks that failed");
        let jobs = jobs.map(|job| Job {
            snapshot: gauge!(LAST_SNAPSHOT, "job" => job.to_owned()),
            verified: gauge!(LAST_VERIFIED, "job" => job.to_owned()),
            age: gauge!(AGE, "job" => job.to_owned()),
        });
        let phases = Phase::ALL.map(|phase| {
            let label = phase.as_str();
            let handles = OfPhase {
                duration: histogram!(DURATION, "phase" => label),
                done: counter!(DONE, "phase" => label),
                failures: counter!(FAILURES, "phase" => label),
            };
            (phase, handles)
        });
        Self {
            jobs: jobs.collect(),
            phases: phases.into(),
            rpo: gauge!(RPO),
            rto: gauge!(RTO),
            read: counter!(READ),
            added: counter!(ADDED),
            checked: counter!(CHECKED),
            repository: gauge!(REPOSITORY),
            snapshots: gauge!(SNAPSHOTS),
            disputed: gauge!(DISPUTED),
        }
    }

    /// A task has ended.
    pub(crate) fn ended(&self, phase: Phase, took: Duration, done: bool) {
        let Some(of) = self.phases.get(&phase) else { return };
        of.duration.record(took.as_secs_f64());
        if done { &of.done } else { &of.failures }.increment(1);
    }

    /// How a job of this number stands.
    pub(crate) fn job(
        &self,
        number: usize,
        newest: Option<SystemTime>,
        verified: Option<SystemTime>,
        now: SystemTime,
    ) {
        let Some(job) = self.jobs.get(number) else { return };
        let seconds =
            |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        if let Some(newest) = newest {
            job.snapshot.set(seconds(newest));
            job.age.set(now.duration_since(newest).unwrap_or_default().as_secs_f64());
        }
        if let Some(verified) = verified {
            job.verified.set(seconds(verified));
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

pub(crate) fn store_retries() -> Counter {
    describe_counter!(STORE_RETRIES, "Requests to stores that were made again after a failure");
    counter!(STORE_RETRIES)
}

/// What a mirror counts, resolved once.
#[derive(Clone)]
pub(crate) struct MirrorMetrics {
    pub(crate) objects: Counter,
    pub(crate) bytes: Counter,
    pub(crate) failures: Counter,
}

impl MirrorMetrics {
    pub(crate) fn new() -> Self {
        describe_counter!(REPLICATED_OBJECTS, "Objects copied to replicas");
        describe_counter!(REPLICATED_BYTES, "Bytes copied to replicas");
        describe_counter!(
            REPLICATION_FAILURES,
            "Objects that could not be copied, were damaged, or could not be removed"
        );
        Self {
            objects: counter!(REPLICATED_OBJECTS),
            bytes: counter!(REPLICATED_BYTES),
            failures: counter!(REPLICATION_FAILURES),
        }
    }
}

/// The lag of the replica in this place. Places are those of the configuration, so they are few.
pub(crate) fn replica_lag(place: String) -> Gauge {
    describe_gauge!(REPLICA_LAG, "How long ago the oldest object was written that a replica lacks");
    gauge!(REPLICA_LAG, "replica" => place)
}
