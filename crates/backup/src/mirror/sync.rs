//! One replica brought in step.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::each::{Next, each};
use super::{COPIED, Mirror, Replica, ReplicaReport, failure, read_whole};
use crate::Error;
use crate::error::Failure;
use crate::id::{Object, ObjectKind};
use crate::store::{DynStore, Existing, Listed, Store};

/// A primary in which objects vanish between listing and reading is pruned at this time; it is listed anew, so often.
const MOST_ROUNDS: u32 = 4;

/// How a round ended.
enum Round {
    InStep,
    /// The primary is not as it was listed, and these objects are not there: what refers to them, or to what took their place, was not copied.
    Vanished(Vec<Object>),
    /// Failures were noted.
    Failed,
}

type Listing = HashMap<Object, Listed>;

impl Mirror {
    pub(super) async fn sync_one(
        &self,
        replica: &Arc<Replica>,
        failures: &mut Vec<Failure>,
    ) -> ReplicaReport {
        let mut report = ReplicaReport { place: replica.store.place(), ..ReplicaReport::default() };
        for round in 1..=MOST_ROUNDS {
            match self.round(replica, &mut report, failures).await {
                Ok(Round::InStep) => {
                    replica.lag.set(0.0);
                    return report;
                }
                Ok(Round::Failed) => return report,
                Ok(Round::Vanished(objects)) if round == MOST_ROUNDS => {
                    failures.extend(objects.into_iter().map(|object| Failure {
                        of: format!("{object} in {}", self.primary.place()),
                        problem: "it is listed, and is not there".to_owned(),
                    }));
                }
                Ok(Round::Vanished(_)) => {}
                Err(error) => {
                    failures.push(failure("the replica", &report.place, &error));
                    return report;
                }
            }
        }
        report
    }

    async fn round(
        &self,
        replica: &Arc<Replica>,
        report: &mut ReplicaReport,
        failures: &mut Vec<Failure>,
    ) -> Result<Round, Error> {
        let wanted = list(&self.primary).await?;
        if !wanted.contains_key(&Object::CONFIG) {
            return Err(Error::NoRepository { place: self.primary.place() });
        }
        let there = list(&replica.store).await?;
        self.same_repository(replica, &there).await?;
        let missing = missing(&wanted, &there, replica);
        replica.lag.set(self.age_of_oldest(&wanted, &missing).as_secs_f64());
        report.in_step = (wanted.len() - missing.len()) as u64;
        for kind in COPIED {
            let of_kind = missing.iter().copied().filter(|object| object.kind() == kind);
            match self.copy_all(replica, &there, of_kind, report, failures).await? {
                Round::InStep => {}
                held_back => return Ok(held_back),
            }
        }
        self.clear_fragments(replica, &wanted).await?;
        if self.config.delete {
            self.delete_extra(replica, &wanted, &there, report, failures).await
        } else {
            Ok(Round::InStep)
        }
    }

    /// Refuses a replica that belongs to another repository. One that has nothing but a config may have the half of ours.
    async fn same_repository(&self, replica: &Replica, there: &Listing) -> Result<(), Error> {
        let config_alone =
            there.keys().all(|object| matches!(object.kind(), ObjectKind::Config | ObjectKind::Lock));
        if config_alone {
            if there.contains_key(&Object::CONFIG)
                && read_whole(&self.primary, Object::CONFIG).await?
                    != read_whole(&replica.store, Object::CONFIG).await?
            {
                replica.suspect(Object::CONFIG);
            }
            return Ok(());
        }
        if !there.contains_key(&Object::CONFIG)
            || replica.suspects().contains(&Object::CONFIG)
            || read_whole(&self.primary, Object::CONFIG).await?
                == read_whole(&replica.store, Object::CONFIG).await?
        {
            return Ok(());
        }
        Err(Error::Unsupported {
            what: format!("a replica in {}", replica.store.place()),
            problem: format!(
                "its config is not that of {}: it is another repository, or one of the two is damaged; open both to see which",
                self.primary.place()
            ),
        })
    }

    async fn copy_all(
        &self,
        replica: &Arc<Replica>,
        there: &Listing,
        objects: impl Iterator<Item = Object>,
        report: &mut ReplicaReport,
        failures: &mut Vec<Failure>,
    ) -> Result<Round, Error> {
        let (mut vanished, mut failed) = (Vec::new(), 0);
        let copy_one = |object| {
            let put = if there.contains_key(&object) { Existing::Replaced } else { Existing::Kept };
            copy(self.primary.clone(), Arc::clone(replica), object, put)
        };
        each(objects, self.config.concurrency, &self.ctx, copy_one, |object, copied| {
            match copied {
                Ok(bytes) => {
                    (report.copied, report.in_step) = (report.copied + 1, report.in_step + 1);
                    report.copied_bytes += bytes;
                    self.metrics.objects.increment(1);
                    self.metrics.bytes.increment(bytes);
                }
                Err(Error::Missing { .. }) => vanished.push(object),
                Err(error) => {
                    failed += 1;
                    failures.push(failure(object, &replica.store.place(), &error));
                }
            }
            Next::after(failed + vanished.len())
        })
        .await?;
        Ok(match (failed, vanished.is_empty()) {
            (0, true) => Round::InStep,
            (0, false) => Round::Vanished(vanished),
            _ => Round::Failed,
        })
    }

    /// Removes what a write of ours has left half done, if the primary no longer has it and so cannot heal it.
    async fn clear_fragments(&self, replica: &Replica, wanted: &Listing) -> Result<(), Error> {
        let suspects = replica.suspects().clone();
        for object in suspects.into_iter().filter(|object| !wanted.contains_key(object)) {
            if is_damaged(&replica.store, object).await? {
                replica.store.delete(object).await?;
            }
            replica.suspects().remove(&object);
        }
        Ok(())
    }

    /// Removes what the primary no longer has, if it has not changed since it was listed. A listing of one kind is older than that of the next, so
    /// that one alone may show indexes from before a prune and packs from after it; when a second one is the same, nothing changed in between.
    async fn delete_extra(
        &self,
        replica: &Arc<Replica>,
        wanted: &Listing,
        there: &Listing,
        report: &mut ReplicaReport,
        failures: &mut Vec<Failure>,
    ) -> Result<Round, Error> {
        let now = list(&self.primary).await?;
        if now.len() != wanted.len() || now.keys().any(|object| !wanted.contains_key(object)) {
            return Ok(Round::Vanished(Vec::new()));
        }
        let extra = |kind| {
            let of_kind = there.keys().copied().filter(move |object| object.kind() == kind);
            of_kind.filter(|object| !wanted.contains_key(object))
        };
        let packs = there.keys().filter(|object| object.kind() == ObjectKind::Pack).count();
        let gone = extra(ObjectKind::Pack).count();
        if gone * 100 > packs * usize::from(self.config.most_deleted) {
            let problem = format!(
                "{gone} of its {packs} packs would be removed, more than `most_deleted` = {} percent; if the primary is right, allow more once",
                self.config.most_deleted
            );
            failures.push(Failure { of: format!("the replica in {}", report.place), problem });
            return Ok(Round::Failed);
        }
        for kind in COPIED.into_iter().rev().filter(|kind| *kind != ObjectKind::Config) {
            let mut failed = 0;
            let delete_one = |object| {
                let replica = Arc::clone(replica);
                async move { replica.store.delete(object).await }
            };
            each(extra(kind), self.config.concurrency, &self.ctx, delete_one, |object, deleted| {
                match deleted {
                    Ok(()) => report.deleted += 1,
                    Err(error) => {
                        failed += 1;
                        failures.push(failure(object, &replica.store.place(), &error));
                    }
                }
                Next::after(failed)
            })
            .await?;
            if failed > 0 {
                return Ok(Round::Failed);
            }
        }
        Ok(Round::InStep)
    }

    fn age_of_oldest(&self, wanted: &Listing, missing: &[Object]) -> Duration {
        let written = missing.iter().filter_map(|object| wanted.get(object)?.modified).min();
        let age = |written: SystemTime| self.ctx.clock.wall().duration_since(written).unwrap_or_default();
        written.map(age).unwrap_or_default()
    }
}

/// All objects but the locks. What refers to others is listed before them, so that all that a listed object needs is listed too.
async fn list(store: &DynStore) -> Result<Listing, Error> {
    let mut all = Listing::new();
    for kind in COPIED.into_iter().rev() {
        all.extend(store.list(kind).await?.into_iter().map(|listed| (listed.object, listed)));
    }
    Ok(all)
}

/// What the replica does not have, has in another size, or may have in part.
fn missing(wanted: &Listing, there: &Listing, replica: &Replica) -> Vec<Object> {
    let suspects = replica.suspects();
    let same_size =
        |listed: &Listed| there.get(&listed.object).is_some_and(|found| found.size == listed.size);
    let is_missing = |listed: &&Listed| !same_size(listed) || suspects.contains(&listed.object);
    wanted.values().filter(is_missing).map(|listed| listed.object).collect()
}

/// Whether two reads find it damaged: nothing is removed because of a single one.
async fn is_damaged(store: &DynStore, object: Object) -> Result<bool, Error> {
    for _ in 0..2 {
        match read_whole(store, object).await {
            Ok(_) | Err(Error::Missing { .. }) => return Ok(false),
            Err(Error::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Copies an object. What a listing did not show may be there all the same, and is not put at risk by writing over it; what is there in part,
/// or may be, is replaced.
async fn copy(from: DynStore, to: Arc<Replica>, object: Object, existing: Existing) -> Result<u64, Error> {
    let bytes = read_whole(&from, object).await?;
    let length = bytes.len() as u64;
    let suspected = to.suspects().contains(&object);
    if suspected && read_whole(&to.store, object).await.is_ok_and(|there| there == bytes) {
        to.suspects().remove(&object);
        return Ok(0);
    }
    let existing = if suspected { Existing::Replaced } else { existing };
    // Until the store has said that it is there, it may be there in part.
    to.suspect(object);
    to.store.put(object, bytes, existing).await?;
    to.suspects().remove(&object);
    Ok(length)
}
