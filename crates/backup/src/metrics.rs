//! What backups count.

use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

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
