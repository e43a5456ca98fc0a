//! Copies of a repository in other places, object by object, without any key.
//!
//! An object is what it was sealed as, and its name is the SHA-256 of that: so a replica is checked, and healed from another one, by machines that
//! cannot read a word of what is backed up, and a damaged object is never copied over a good one.
//!
//! ```
//! use buttress_backup::mirror::{Mirror, MirrorConfig, Share};
//! use buttress_backup::store::{DynStore, Folder};
//! use buttress_core::Ctx;
//! # async fn example() -> Result<(), buttress_backup::Error> {
//! let primary = DynStore::new(Folder::new("/srv/backup"));
//! let replica = DynStore::new(Folder::new("/mnt/elsewhere/backup"));
//! let mirror = Mirror::new(primary, vec![replica], &MirrorConfig::default(), &Ctx::default())?;
//! println!("{}", mirror.sync().await?); // every six hours
//! mirror.verify(Share::new(1, 30)?).await?; // each day another part of thirty, so that a month reads all
//! # Ok(())
//! # }
//! ```

mod each;
mod repair;
mod sync;
mod verify;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use buttress_core::{Ctx, Validate, Violations};
use bytes::Bytes;
use metrics::Gauge;
use serde::{Deserialize, Serialize};

pub use repair::{RepairReport, repair};
pub use verify::{Share, VerifyReport, verify};

use crate::error::Failure;
use crate::id::{Object, ObjectKind};
use crate::metrics::{MirrorMetrics, replica_lag};
use crate::store::{DynStore, Store};
use crate::{Error, Id};

/// How replicas are kept in step.
///
/// | field | default | |
/// |---|---|---|
/// | `concurrency` | 4 | objects in flight; each is held in memory, 16 to 128 MiB for a pack |
/// | `delete` | `false` | whether what the primary no longer has is removed from replicas; only for stores whose listings show at once what was written, as those of folders and of S3 do |
/// | `most_deleted` | 50 | the largest part of a replica's packs, in percent, that one run may remove |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MirrorConfig {
    /// How many objects are in flight.
    pub concurrency: usize,
    /// Whether what the primary no longer has is removed from replicas. An index that a late listing does not show would stay behind its packs.
    pub delete: bool,
    /// The largest part of a replica's packs, in percent, that one run may remove.
    pub most_deleted: u8,
}

impl Default for MirrorConfig {
    fn default() -> Self {
        Self { concurrency: 4, delete: false, most_deleted: 50 }
    }
}

impl Validate for MirrorConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let sensible = (1..=64).contains(&self.concurrency);
        wrong.require(sensible, "concurrency", self.concurrency, "must be 1 to 64; 4 is usual");
        let percent = self.most_deleted <= 100;
        wrong.require(percent, "most_deleted", self.most_deleted, "must be 0 to 100 percent; 50 is usual");
        wrong.into_result()
    }
}

/// A repository and its replicas. Cheap to clone.
#[derive(Clone)]
pub struct Mirror {
    primary: DynStore,
    replicas: Vec<Arc<Replica>>,
    config: MirrorConfig,
    ctx: Ctx,
    metrics: MirrorMetrics,
}

struct Replica {
    store: DynStore,
    lag: Gauge,
    /// What was being written when something went wrong: it may be there in part, whatever its size. At most [`MOST_SUSPECTS`].
    suspects: Mutex<BTreeSet<Object>>,
}

/// More than one run can leave behind, which ends after [`each::MOST_FAILURES`].
const MOST_SUSPECTS: usize = 10_000;

impl Mirror {
    /// A mirror of `primary` in `replicas`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new(
        primary: DynStore,
        replicas: Vec<DynStore>,
        config: &MirrorConfig,
        ctx: &Ctx,
    ) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let replicas = replicas
            .into_iter()
            .map(|store| {
                Arc::new(Replica { lag: replica_lag(store.place()), store, suspects: Mutex::default() })
            })
            .collect();
        Ok(Self {
            primary,
            replicas,
            config: config.clone(),
            ctx: ctx.clone(),
            metrics: MirrorMetrics::new(),
        })
    }

    /// Copies to each replica what it lacks: the config, keys, packs, indexes, snapshots, in this order and never locks, so that no replica has an
    /// index or a snapshot before it has the packs that the primary had then. What could not be copied holds back what comes after it. A run that
    /// was stopped, or killed, is continued by the next, which copies only what is missing.
    ///
    /// With [`MirrorConfig::delete`], what the primary no longer has is removed in the reverse order, after everything has been copied.
    ///
    /// # Errors
    ///
    /// [`Error::Incomplete`] names what could not be copied, of all replicas: the others are in step. [`Error::Stopped`] after a shutdown.
    pub async fn sync(&self) -> Result<SyncReport, Error> {
        let (mut report, mut failures) = (SyncReport::default(), Vec::new());
        for replica in &self.replicas {
            let of_one = self.sync_one(replica, &mut failures).await;
            report.replicas.push(of_one);
            if self.ctx.shutdown.is_stopping() {
                return Err(Error::Stopped);
            }
        }
        self.metrics.failures.increment(failures.len() as u64);
        or_incomplete(report, failures)
    }

    /// Reads back a share of each replica, and compares each object with its name.
    ///
    /// # Errors
    ///
    /// [`Error::Incomplete`] names each damaged object; [`repair`] heals them.
    pub async fn verify(&self, share: Share) -> Result<VerifyReport, Error> {
        let (mut report, mut failures) = (VerifyReport::default(), Vec::new());
        for replica in &self.replicas {
            verify::look_at(&replica.store, share, &self.config, &self.ctx, &mut report, &mut failures)
                .await?;
        }
        self.metrics.failures.increment(failures.len() as u64);
        or_incomplete(report, failures)
    }
}

impl Replica {
    fn suspects(&self) -> std::sync::MutexGuard<'_, BTreeSet<Object>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn suspect(&self, object: Object) {
        let mut suspects = self.suspects();
        if suspects.len() < MOST_SUSPECTS {
            suspects.insert(object);
        }
    }
}

/// What a run of [`Mirror::sync`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SyncReport {
    /// For each replica, in their order.
    pub replicas: Vec<ReplicaReport>,
}

/// What was done for one replica.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReplicaReport {
    /// Where it is.
    pub place: String,
    /// Objects that it has as the primary has them.
    pub in_step: u64,
    /// Objects copied, which are among them.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Objects removed.
    pub deleted: u64,
}

impl fmt::Display for SyncReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, one) in self.replicas.iter().enumerate() {
            let ReplicaReport { place, in_step, copied, copied_bytes, deleted } = one;
            let comma = if i == 0 { "" } else { "; " };
            write!(
                f,
                "{comma}{place}: {copied} objects copied ({copied_bytes} bytes), {deleted} removed, {in_step} in step"
            )?;
        }
        Ok(())
    }
}

fn or_incomplete<R: fmt::Display>(report: R, failures: Vec<Failure>) -> Result<R, Error> {
    if failures.is_empty() {
        Ok(report)
    } else {
        Err(Error::Incomplete { done: report.to_string(), failures })
    }
}

fn failure(of: impl fmt::Display, place: &str, error: &Error) -> Failure {
    Failure { of: format!("{of} in {place}"), problem: buttress_core::chain(error) }
}

/// The kinds that are copied, each after what it refers to.
const COPIED: [ObjectKind; 5] =
    [ObjectKind::Config, ObjectKind::Key, ObjectKind::Pack, ObjectKind::Index, ObjectKind::Snapshot];

/// Reads an object, and makes sure that it is what its name says; once more, if it is not: it may have been spoiled on the way.
async fn read_whole(store: &DynStore, object: Object) -> Result<Bytes, Error> {
    match read_once(store, object).await {
        Err(Error::Damaged { .. }) => read_once(store, object).await,
        read => read,
    }
}

async fn read_once(store: &DynStore, object: Object) -> Result<Bytes, Error> {
    let bytes = store.get(object, None).await?;
    let problem = if object == Object::CONFIG {
        // Its name says nothing. Two reads that agree tell at least that it was not spoiled on the way.
        if store.get(object, None).await? == bytes {
            return Ok(bytes);
        }
        "two reads of it differ".to_owned()
    } else {
        let found = Id::of(&bytes);
        if found == object.id() {
            return Ok(bytes);
        }
        format!("its SHA-256 is {found}, not its name ({} bytes)", bytes.len())
    };
    Err(Error::Damaged { object: object.path(), place: store.place(), problem })
}
