//! The store of jobs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use buttress_core::{Ctx, Key, SharedClock, Validate};
use rusqlite::Transaction;
use tokio::sync::broadcast;

use super::claim::{self, Claimed, Due};
use super::config::JobsConfig;
use super::database::Database;
use super::error::Result;
use super::finish::{self, Recovered};
use super::id::JobId;
use super::job::{Change, Job, NewJob, Summary};
use super::live::Live;
use super::prune::{self, Pruned};
use super::query::{self, Counts, Filter};
use super::time::{millis, moment};
use super::{records, submit};
use crate::report::Report;

/// The longest time for which [`Store::wait_for_work`] waits. The clock on the wall may be set while it does.
const WAIT_MOST: Duration = Duration::from_mins(1);

/// Jobs in a folder, of which this is the only user. Cheap to clone.
///
/// Every change is on the disk when the method that makes it returns. A method whose future is dropped has done its
/// work whole or not at all; a job that was claimed that way waits again.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    config: Arc<JobsConfig>,
    clock: SharedClock,
    database: Database,
    live: Arc<Live>,
    recovered: Recovered,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({:?})", self.0.config.folder)
    }
}

impl Store {
    /// Opens the store, makes it if it is not there, and puts right what a killed process left: the jobs that ran
    /// wait for another attempt, or have failed if that was their last. Waits for the disk.
    ///
    /// # Errors
    ///
    /// When the configuration is wrong, another process uses the folder, or the disk refuses.
    pub fn open(config: &JobsConfig, ctx: &Ctx) -> Result<Self> {
        config.validate()?;
        let now = millis(ctx.clock.wall());
        let (database, (recovered, last)) = Database::open(&config.folder, |transaction| {
            let recovered = finish::recover(transaction, config, now)?;
            Ok((recovered, records::last_id(transaction)?.unwrap_or(JobId::FIRST)))
        })?;
        let Recovered { waiting, failed, cancelled } = recovered;
        if recovered != Recovered::default() {
            tracing::warn!(waiting, failed, cancelled, "jobs were running when the process before ended");
        }
        let live = Arc::new(Live::new(last));
        let (config, clock) = (Arc::new(config.clone()), ctx.clock.clone());
        Ok(Self(Arc::new(Inner { config, clock, database, live, recovered })))
    }

    /// What became of the jobs that were running when the process before this one ended.
    #[must_use]
    pub fn recovered(&self) -> Recovered {
        self.0.recovered
    }

    /// Accepts a job, or finds the one that has the same tenant and key; says whether it is new.
    ///
    /// # Errors
    ///
    /// [`Error::Full`](super::Error::Full) when too many wait, [`Error::JobTooLarge`](super::Error::JobTooLarge),
    /// [`Error::Conflict`](super::Error::Conflict) when the key has another workflow or other inputs; when the disk
    /// refuses. The job is not accepted then.
    pub async fn submit(&self, new: NewJob) -> Result<(Job, bool)> {
        let config = self.config();
        let inputs = submit::check(&new, &config)?;
        let (live, clock) = (self.live(), self.0.clock.clone());
        let told = Arc::clone(&live);
        let work = move |transaction: &Transaction<'_>| {
            let now = clock.wall();
            submit::submit(transaction, &new, &inputs, &config, live.next_id(now), now)
        };
        let after = move |(job, new): &(Job, bool)| {
            if *new {
                told.publish(&[Change { id: job.id, tenant: job.tenant.clone(), state: job.state }]);
            }
        };
        self.0.database.write(work, after).await
    }

    /// Takes the job that goes next, if one may: of the tenants below their limit the one with the fewest running
    /// jobs, then the one whose last turn is longest ago; of its jobs the one accepted first.
    ///
    /// # Errors
    ///
    /// When the disk refuses; nothing is claimed then.
    pub async fn claim(&self) -> Result<Option<Claimed>> {
        let (config, live, now) = (self.config(), self.live(), self.now());
        let abandoned = live.abandoned();
        let (told, done) = (Arc::clone(&live), abandoned.clone());
        let work = move |transaction: &Transaction<'_>| {
            let mut changes = Vec::new();
            for one in abandoned {
                changes.extend(finish::take_back(transaction, one, &config, now)?);
            }
            let due = Due { now, most: latest_wait(&config, now) };
            Ok((claim::claim(transaction, &config, &live, due)?, changes))
        };
        let after = move |(claimed, changes): &(Option<Claimed>, Vec<Change>)| {
            told.taken_back(&done);
            told.looked_at.store(now, Ordering::Release);
            told.publish(changes);
            if let Some(claimed) = claimed {
                // This wakes the next in line too: there may be more than one job.
                let Job { id, tenant, state, .. } = claimed.job();
                told.publish(&[Change { id: *id, tenant: tenant.clone(), state: *state }]);
            }
        };
        let (claimed, _) = self.0.database.write(work, after).await?;
        if let Some(claimed) = &claimed {
            claimed.hold().begin();
        }
        Ok(claimed)
    }

    /// Ends the attempt that holds a job, with its report: the job is done, waits for another attempt after a
    /// transient failure, has failed, or is cancelled if somebody asked for it meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::NotHeld`](super::Error::NotHeld) when the attempt has ended already; when the disk refuses: the job
    /// is still held then.
    pub async fn finish(&self, claimed: &Claimed, report: Report) -> Result<Job> {
        let (config, hold, now) = (self.config(), claimed.hold(), self.now());
        let (told, settled) = (self.live(), claimed.hold());
        let work = move |transaction: &Transaction<'_>| {
            let (report, json) = finish::fit(report, &config)?;
            finish::finish(transaction, (hold.id, hold.holder), (&report, &json), &config, now)
        };
        let after = move |(_, change): &(Job, Change)| {
            settled.settle();
            told.publish(std::slice::from_ref(change));
        };
        Ok(self.0.database.write(work, after).await?.0)
    }

    /// Gives a job back, as if it had not been claimed; for a shutdown.
    ///
    /// # Errors
    ///
    /// [`Error::NotHeld`](super::Error::NotHeld) when the attempt has ended already; when the disk refuses: the job
    /// is still held then.
    pub async fn give_back(&self, claimed: &Claimed) -> Result<Job> {
        let (hold, now) = (claimed.hold(), self.now());
        let (told, settled) = (self.live(), claimed.hold());
        let work =
            move |transaction: &Transaction<'_>| finish::give_back(transaction, hold.id, hold.holder, now);
        let after = move |(_, change): &(Job, Change)| {
            settled.settle();
            told.publish(std::slice::from_ref(change));
        };
        Ok(self.0.database.write(work, after).await?.0)
    }

    /// Cancels a job of `tenant`, or of anybody if there is none given: one that waits at once; of one that runs,
    /// whoever runs it is told. A job that has ended stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](super::Error::NotFound); when the disk refuses.
    pub async fn cancel(&self, id: JobId, tenant: Option<&Key>) -> Result<Job> {
        let (tenant, now, live) = (tenant.cloned(), self.now(), self.live());
        let work = move |transaction: &Transaction<'_>| {
            finish::cancel(transaction, id, tenant.as_ref().map(Key::as_str), now)
        };
        let after = move |(_, change): &(Job, Option<Change>)| {
            live.cancel(id);
            live.publish(change.as_slice());
        };
        Ok(self.0.database.write(work, after).await?.0)
    }

    /// A job of `tenant`, or of anybody if there is none given.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](super::Error::NotFound); when the disk refuses or does not read back.
    pub async fn get(&self, id: JobId, tenant: Option<&Key>) -> Result<Job> {
        let tenant = tenant.cloned();
        self.0.database.read(move |read| records::job(read, id, tenant.as_ref().map(Key::as_str))).await
    }

    /// Jobs, newest first.
    ///
    /// # Errors
    ///
    /// When the disk refuses or does not read back.
    pub async fn list(&self, filter: Filter) -> Result<Vec<Summary>> {
        self.0.database.read(move |read| query::list(read, &filter)).await
    }

    /// How many jobs are where.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub async fn counts(&self) -> Result<Counts> {
        self.0.database.read(|read| query::counts(read)).await
    }

    /// When the next wait for another attempt ends, of those that had not ended when a claim last looked.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub async fn next_due(&self) -> Result<Option<SystemTime>> {
        let looked_at = self.0.live.looked_at.load(Ordering::Acquire);
        let latest = latest_wait(&self.0.config, self.now());
        let due = self.0.database.read(move |read| query::next_due(read, looked_at, latest)).await?;
        Ok(due.map(moment))
    }

    /// Waits until a claim may find something: a job was accepted, one ended, a wait for another attempt is over.
    /// May return for nothing, and does so after a minute.
    ///
    /// Of several who wait one is woken at a time; each claim that finds a job wakes the next.
    pub async fn wait_for_work(&self) {
        let woken = self.0.live.work.notified();
        let wait = match self.next_due().await {
            Ok(due) => due.map(|due| due.duration_since(self.0.clock.wall()).unwrap_or_default()),
            // The claim will say what is wrong; this only keeps it from asking without a pause.
            Err(_) => Some(Duration::from_secs(1)),
        };
        let wait = wait.unwrap_or(WAIT_MOST).min(WAIT_MOST);
        tokio::select! {
            () = woken => {}
            () = self.0.clock.sleep(wait) => {}
        }
    }

    /// Every change of a job's state from now on. Who is more than 1,024 behind is told how many it missed.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.0.live.changes.subscribe()
    }

    /// Forgets the jobs that ended longer ago than [`JobsConfig::keep`] before `now`, and the ones that ended first
    /// if there are more than [`JobsConfig::kept`]. To be called now and then; others get their turn in between.
    ///
    /// # Errors
    ///
    /// When the disk refuses; what was forgotten until then stays so.
    pub async fn prune(&self, now: SystemTime) -> Result<Pruned> {
        let keep = i64::try_from(self.0.config.keep.as_millis()).unwrap_or(i64::MAX);
        let (before, kept) = (millis(now).saturating_sub(keep), self.0.config.kept);
        let database = &self.0.database;
        let mut pruned = Pruned::default();
        let surplus = database.read(move |read| prune::surplus(read, kept)).await?;
        let last = surplus.max((before.saturating_sub(1), i64::MAX));
        loop {
            let forget = move |transaction: &Transaction<'_>| prune::forget(transaction, last);
            let (jobs, all) = database.write(forget, |_| ()).await?;
            pruned.jobs += jobs;
            if all {
                break;
            }
        }
        loop {
            let (artifacts, all) = database.write(prune::released, |_| ()).await?;
            pruned.artifacts.extend(artifacts);
            if all {
                break;
            }
        }
        if pruned.jobs > 0 {
            database.write(prune::shrink, |()| ()).await?;
        }
        Ok(pruned)
    }

    /// Those of `hashes` that no report names. At the start, before anything is claimed, all that
    /// [`Artifacts::hashes`](super::Artifacts::hashes) gives may be asked for, and the answer released: what was put
    /// by an attempt that never reported.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub async fn unnamed(&self, hashes: Vec<String>) -> Result<Vec<String>> {
        self.0.database.read(move |read| prune::unnamed(read, hashes)).await
    }

    fn config(&self) -> Arc<JobsConfig> {
        Arc::clone(&self.0.config)
    }

    fn live(&self) -> Arc<Live> {
        Arc::clone(&self.0.live)
    }

    /// Now, in milliseconds.
    fn now(&self) -> i64 {
        millis(self.0.clock.wall())
    }
}

/// No wait for another attempt ends after this, unless the clock was set back.
fn latest_wait(config: &JobsConfig, now: i64) -> i64 {
    now.saturating_add(i64::try_from(config.retry_most.as_millis()).unwrap_or(i64::MAX))
}
