//! Backups as a part of a service: made, checked, drilled, replicated and removed when it is time.

mod agenda;
mod archive;
mod memory;
mod repository;
mod status;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use buttress_core::{
    Classify, Ctx, ErrorClass, Event, Outcome, Probe, Random, Validate, Vitality, chain, timeout,
};
use tokio::sync::RwLock;

use agenda::{Agenda, Failing, Next, Past, Task};
pub use agenda::{Lane, Phase};
pub use archive::{Archive, BackedUp, Checked, Part, Removed, Replicated, Restored};
use memory::Memory;
pub use repository::RepositoryArchive;
use status::is_late;
pub use status::{FailingTask, JobStatus, Status};

use crate::Error;
use crate::config::{BackupConfig, JobConfig};
use crate::drill::{Drill, DrillReport, History};
use crate::metrics::Metrics;
use crate::retention::{SKEW, SnapshotInfo};
use crate::zone::timestamp;

/// The event of a job whose newest snapshot became older than the RPO, or is no longer.
pub const RPO_EVENT: &str = "backup.rpo";

/// The tag of snapshots for which everything was read.
const FULL: &str = "full";
/// What is due is looked at so often at least: the time of day may have been set.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// The store is asked so often for what it has, if nothing else asks.
const ASK_EVERY: Duration = Duration::from_mins(5);
/// Limit of one such question.
const ASK_WITHIN: Duration = Duration::from_mins(5);

/// Makes backups when they are due, and proves them. Cheap to clone.
///
/// What is due is decided from the snapshots in the store, so that a process goes on where another has stopped, and what was missed meanwhile is
/// made up for once. Snapshots are made one after the other, and so is all else beside them: a drill that takes hours delays no backup. Only
/// removing has the repository for itself.
///
/// Each success and each failure is an [`Event`] (`backup.run`, `backup.check`, `backup.drill`, `backup.prune`, `backup.replicate`), as is
/// an RPO that is lost or won back (`backup.rpo`). As a [`Probe`] it fails when the newest snapshot in the store is older than the RPO.
pub struct Keeper<A>(Arc<Inner<A>>);

struct Inner<A> {
    archive: A,
    config: BackupConfig,
    agenda: Agenda,
    replicas: Vec<String>,
    ctx: Ctx,
    chance: Random,
    metrics: Metrics,
    /// Whoever removes has it alone.
    gate: RwLock<()>,
    /// One task of a lane at a time.
    lanes: BTreeMap<Lane, tokio::sync::Mutex<()>>,
    state: Mutex<State>,
}

struct State {
    started: SystemTime,
    history: Vec<SnapshotInfo>,
    /// When the store was last asked, and whether it ever answered.
    asked: Option<Instant>,
    answered: bool,
    unreadable: Option<String>,
    /// What this process has done.
    ran: BTreeMap<Task, SystemTime>,
    failing: BTreeMap<Task, Failed>,
    /// For each job whether its RPO is lost.
    late: Vec<bool>,
    memory: Memory,
}

struct Failed {
    how: Failing,
    problem: String,
    damaged: bool,
}

/// What a task has done, in one line.
type Done = Result<String, Error>;

/// A task that was [run](Keeper::run).
#[derive(Debug)]
#[non_exhaustive]
pub struct Ran {
    /// Which, for people: `backup main`.
    pub task: String,
    /// What it has done, in one line, or why not.
    pub result: Result<String, Error>,
}

impl<A: Archive> Keeper<A> {
    /// A keeper of this archive. It does nothing before [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// [`Error::Config`], also when a job names a source that the archive has not.
    pub fn new(config: BackupConfig, archive: A, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().and_then(|()| archive.has(&config)).map_err(Error::Config)?;
        let replicas = archive.replicas();
        let state = State {
            started: ctx.clock.wall(),
            history: Vec::new(),
            asked: None,
            answered: false,
            unreadable: None,
            ran: BTreeMap::new(),
            failing: BTreeMap::new(),
            late: vec![false; config.jobs.len()],
            memory: config.memory.as_deref().map(Memory::load).unwrap_or_default(),
        };
        Ok(Self(Arc::new(Inner {
            agenda: Agenda::new(&config, replicas.len()),
            metrics: Metrics::new(config.jobs.iter().map(|job| job.name.as_str())),
            archive,
            config,
            replicas,
            ctx: ctx.clone(),
            chance: Random::seeded(),
            gate: RwLock::new(()),
            lanes: [Lane::Backups, Lane::Upkeep].map(|lane| (lane, tokio::sync::Mutex::new(()))).into(),
            state: Mutex::new(state),
        })))
    }

    /// Goes on in the background until the service stops.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(&self) {
        for lane in [Lane::Backups, Lane::Upkeep] {
            let keeper = self.clone();
            self.0.ctx.shutdown.spawn(async move {
                let ctx = &keeper.0.ctx;
                loop {
                    let wait = tokio::select! {
                        wait = keeper.advance(lane) => wait,
                        () = ctx.shutdown.stopped() => return,
                    };
                    tokio::select! {
                        () = ctx.clock.sleep(wait) => {}
                        () = ctx.shutdown.drained() => return,
                    }
                }
            });
        }
    }

    /// Does what is due in a lane, at most one task, and says how long to wait before the next call.
    pub async fn advance(&self, lane: Lane) -> Duration {
        let inner = &*self.0;
        let Some(one_at_a_time) = inner.lanes.get(&lane) else { return LOOK_EVERY };
        let _turn = one_at_a_time.lock().await;
        // What comes of it is in the state.
        let _ = inner.ask(ASK_EVERY).await;
        inner.watch();
        if !inner.state().answered {
            // What is due is not known.
            return LOOK_EVERY;
        }
        let Some(task) = inner.due(lane) else { return inner.wait(lane) };
        // Another process may have done it since.
        let _ = inner.ask(Duration::ZERO).await;
        if inner.due(lane) == Some(task) {
            let _ = inner.perform(task).await;
            let _ = inner.ask(Duration::ZERO).await;
            inner.watch();
        }
        inner.wait(lane)
    }

    /// Does all tasks of a phase now, one after the other, whether they are due or not: for somebody who does not want to wait. How each went;
    /// what a drill has shown is in [`status`](Self::status).
    ///
    /// # Errors
    ///
    /// When the store does not tell its snapshots.
    pub async fn run(&self, phase: Phase) -> Result<Vec<Ran>, Error> {
        let inner = &*self.0;
        let mut all = Vec::new();
        for task in inner.tasks(phase) {
            let Some(one_at_a_time) = inner.lanes.get(&task.lane()) else { continue };
            let _turn = one_at_a_time.lock().await;
            inner.ask(Duration::ZERO).await?;
            all.push(Ran { task: inner.title(task), result: inner.perform(task).await });
        }
        inner.ask(Duration::ZERO).await?;
        inner.watch();
        Ok(all)
    }

    /// What it keeps.
    #[must_use]
    pub fn archive(&self) -> &A {
        &self.0.archive
    }

    /// How backups stand, as far as known without asking the store.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.status()
    }
}

impl<A: Archive> Probe for Keeper<A> {
    fn name(&self) -> &'static str {
        "backup"
    }

    async fn check(&self) -> Vitality {
        let _ = self.0.ask(LOOK_EVERY).await;
        self.0.status().vitality()
    }
}

impl<A: Archive> Inner<A> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the store for its snapshots, unless it was asked within `fresh`.
    async fn ask(&self, fresh: Duration) -> Result<(), Error> {
        let now = self.ctx.clock.now();
        let asked = self.state().asked;
        if asked.is_some_and(|asked| now.duration_since(asked) < fresh) {
            return Ok(());
        }
        let answer = timeout(&*self.ctx.clock, ASK_WITHIN, self.archive.snapshots()).await;
        let answer = answer.unwrap_or_else(|elapsed| {
            let what = "the list of snapshots".to_owned();
            Err(Error::Timeout { what, limit: elapsed.0 })
        });
        let mut state = self.state();
        state.asked = Some(now);
        match answer {
            Ok(mut history) => {
                for one in &mut history {
                    one.verified = state.memory.is_verified(one.id);
                }
                history.sort_by(|a, b| b.moment().cmp(&a.moment()).then_with(|| b.id.cmp(&a.id)));
                self.metrics.snapshots.set(history.len() as f64);
                state.history = history;
                state.answered = true;
                state.unreadable = None;
                Ok(())
            }
            Err(error) => {
                let problem = chain(&error);
                tracing::warn!(error = problem, "the snapshots of the store are not known");
                state.unreadable = Some(problem);
                Err(error)
            }
        }
    }

    /// The tasks of a phase.
    fn tasks(&self, phase: Phase) -> Vec<Task> {
        match phase {
            Phase::Backup => {
                let jobs = self.config.jobs.iter().enumerate();
                jobs.map(|(job, of)| Task::Backup { job, incremental: of.incremental.is_some() }).collect()
            }
            Phase::Check => vec![Task::Check, Task::Read],
            Phase::Drill => vec![Task::Drill],
            Phase::Prune => vec![Task::Retain],
            Phase::Replicate => (0..self.replicas.len()).map(|replica| Task::Replicate { replica }).collect(),
        }
    }

    fn due(&self, lane: Lane) -> Option<Task> {
        match self.next(lane) {
            Next::Now(task) => Some(task),
            Next::At(_) => None,
        }
    }

    fn wait(&self, lane: Lane) -> Duration {
        match self.next(lane) {
            Next::Now(_) => Duration::ZERO,
            Next::At(None) => LOOK_EVERY,
            Next::At(Some(due)) => {
                due.duration_since(self.ctx.clock.wall()).unwrap_or_default().min(LOOK_EVERY)
            }
        }
    }

    fn next(&self, lane: Lane) -> Next {
        let (state, now) = (self.state(), self.ctx.clock.wall());
        self.agenda.next(lane, |task| self.past(&state, task, now), now)
    }

    /// How it went with a task, by the store where it shows it.
    fn past(&self, state: &State, task: Task, now: SystemTime) -> Past {
        let done = match task {
            Task::Backup { job, incremental } => self.config.jobs.get(job).and_then(|job| {
                let of_job = self.of_job(&state.history, job, now);
                let is_full = |one: &SnapshotInfo| one.tags.iter().any(|tag| tag == FULL);
                of_job.into_iter().find(|one| incremental || is_full(one)).map(SnapshotInfo::moment)
            }),
            _ => state.memory.done(&self.title(task)),
        };
        // A store may show a snapshot late, which is no reason to make it again.
        let ran = state.ran.get(&task).copied().filter(|ran| *ran <= now);
        Past { done: done.max(ran), failing: state.failing.get(&task).map(|failed| failed.how) }
    }

    /// The snapshots of a job that do not lie in the future, the newest first.
    fn of_job<'a>(
        &self,
        history: &'a [SnapshotInfo],
        job: &JobConfig,
        now: SystemTime,
    ) -> Vec<&'a SnapshotInfo> {
        let (tag, host) = (job.tag(), self.archive.host());
        let latest = now.checked_add(SKEW).unwrap_or(now);
        let mine =
            |one: &&SnapshotInfo| one.host == host && one.tags.contains(&tag) && one.moment() <= latest;
        history.iter().filter(mine).collect()
    }

    /// A task's name for people and in the memory.
    fn title(&self, task: Task) -> String {
        match task {
            Task::Backup { job, .. } => {
                format!("backup {}", self.config.jobs.get(job).map_or("", |job| job.name.as_str()))
            }
            Task::Replicate { replica } => {
                format!("replicate {}", self.replicas.get(replica).map_or("", String::as_str))
            }
            Task::Check => "check".to_owned(),
            Task::Read => "read".to_owned(),
            Task::Drill => "drill".to_owned(),
            Task::Retain => "retain".to_owned(),
        }
    }

    /// Does a task and tells how it went.
    async fn perform(&self, task: Task) -> Done {
        let clock = &*self.ctx.clock;
        let (began, now) = (clock.wall(), clock.now());
        let result = timeout(clock, self.config.limit, self.work(task, began)).await;
        let result =
            result.unwrap_or_else(|elapsed| Err(Error::Timeout { what: self.title(task), limit: elapsed.0 }));
        let took = clock.now().duration_since(now);
        self.metrics.ended(task.phase(), took, result.is_ok());
        let event = |outcome| Event::new(clock.wall(), task.phase().event(), outcome).actor("backup");
        let title = self.title(task);
        match &result {
            Ok(detail) => {
                tracing::info!(task = title, detail, "done");
                self.ctx.events.emit(event(Outcome::Success).target(&title).detail(detail));
                let mut state = self.state();
                state.failing.remove(&task);
                state.ran.insert(task, began);
                if let Task::Backup { job, incremental: false } = task {
                    state.ran.insert(Task::Backup { job, incremental: true }, began);
                }
                if task.lane() == Lane::Upkeep {
                    state.memory.note(title, began);
                }
            }
            Err(error) => {
                let problem = chain(error);
                tracing::error!(task = title, error = problem, "failed");
                self.ctx.events.emit(event(Outcome::Failure).target(&title).detail(&problem));
                // Somebody else at work is done at some time.
                let transient = error.class().is_transient() || error.class() == ErrorClass::Conflict;
                let damaged = error.class() == ErrorClass::Corrupt && task.phase() == Phase::Check;
                let wall = clock.wall();
                let mut state = self.state();
                let how = self.agenda.failed(task, self.past(&state, task, wall), wall, transient);
                state.failing.insert(task, Failed { how, problem, damaged });
            }
        }
        if task.lane() == Lane::Upkeep {
            self.remember().await;
        }
        result
    }

    async fn remember(&self) {
        let Some(path) = self.config.memory.clone() else { return };
        let memory = self.state().memory.clone();
        let stored = tokio::task::spawn_blocking(move || memory.store(&path)).await;
        if let Ok(Err(error)) = stored {
            let error = chain(&error);
            tracing::warn!(error, "what was checked and drilled would be done anew after a restart");
        }
    }

    async fn work(&self, task: Task, began: SystemTime) -> Done {
        if task == Task::Retain {
            let _alone = self.gate.write().await;
            return self.retain().await;
        }
        let _together = self.gate.read().await;
        match task {
            Task::Backup { job, incremental } => self.back_up(job, !incremental).await,
            Task::Replicate { replica } => {
                let done = self.archive.replicate(replica).await?;
                Ok(format!("{} objects, {} bytes", done.objects, done.bytes))
            }
            Task::Check => {
                let done = self.archive.check(None).await?;
                self.metrics.checked.increment(done.read);
                Ok("the structure is sound".to_owned())
            }
            Task::Read => self.read().await,
            Task::Drill => self.drill(began).await,
            Task::Retain => Ok(String::new()),
        }
    }

    async fn back_up(&self, job: usize, full: bool) -> Done {
        let Some(job) = self.config.jobs.get(job) else { return Ok(String::new()) };
        let mut tags = vec![job.tag()];
        tags.extend(full.then(|| FULL.to_owned()));
        let done = self.archive.back_up(job, &tags, full).await?;
        self.metrics.read.increment(done.read);
        self.metrics.added.increment(done.added);
        Ok(format!("snapshot {}: {} bytes read, {} new", done.id.short(), done.read, done.added))
    }

    async fn read(&self) -> Done {
        let of = self.config.read_parts.max(1);
        let number = self.state().memory.parts_read % of + 1;
        let done = self.archive.check(Some(Part { number, of })).await?;
        self.state().memory.parts_read = number % of;
        self.metrics.checked.increment(done.read);
        Ok(format!("part {number} of {of} is sound, {} bytes", done.read))
    }

    async fn retain(&self) -> Done {
        // What was made since the last question is seen by this one.
        let mut history = self.archive.snapshots().await?;
        {
            let state = self.state();
            for one in &mut history {
                one.verified = state.memory.is_verified(one.id);
            }
        }
        let plan = self.config.retention.plan(&history, self.ctx.clock.wall()).map_err(Error::Config)?;
        self.metrics.disputed.set(plan.disputed.len() as f64);
        if !plan.disputed.is_empty() {
            tracing::warn!(
                snapshots = plan.disputed.len(),
                "the store does not agree with the time of snapshots"
            );
        }
        let done = self.archive.remove(&plan.remove).await?;
        self.metrics.repository.set(done.left as f64);
        let (kept, removed) = (plan.keep.len(), plan.remove.len());
        Ok(format!("{kept} snapshots kept, {removed} removed, {} bytes freed", done.freed))
    }

    async fn drill(&self, began: SystemTime) -> Done {
        let history = self.state().history.clone();
        let jobs: Vec<_> = self
            .config
            .jobs
            .iter()
            .map(|job| History { job: &job.name, snapshots: self.of_job(&history, job, began) })
            .collect();
        let drill =
            Drill { scratch: self.config.scratch.clone(), rpo: self.config.rpo, rto: self.config.rto };
        let report = drill.run(&self.archive, &jobs, &self.chance, &self.ctx).await;
        self.metrics.rpo.set(report.rpo_seconds);
        self.metrics.rto.set(report.rto_seconds);
        self.learn(&report);
        if report.passed() {
            return Ok(report.summary());
        }
        Err(Error::Drill { report: Box::new(report) })
    }

    fn learn(&self, report: &DrillReport) {
        let mut state = self.state();
        for restore in report.restores.iter().filter(|restore| restore.problems.is_empty()) {
            state.memory.verified(restore.snapshot);
        }
        state.memory.drill = Some(report.clone());
    }

    /// Shows how jobs stand, and tells when an RPO is lost or won back.
    fn watch(&self) {
        let now = self.ctx.clock.wall();
        let mut state = self.state();
        let mut told = Vec::new();
        for (number, job) in self.config.jobs.iter().enumerate() {
            let of_job = self.of_job(&state.history, job, now);
            let newest = of_job.first().map(|one| one.moment());
            let verified = of_job.iter().find(|one| one.verified).map(|one| one.moment());
            self.metrics.job(number, newest, verified, now);
            let late = is_late(newest, state.started, self.config.rpo, now);
            if let Some(was) = state.late.get_mut(number)
                && std::mem::replace(was, late) != late
            {
                told.push((job, late, newest));
            }
        }
        drop(state);
        for (job, late, newest) in told {
            let (outcome, detail) = match newest {
                _ if !late => (Outcome::Success, "the newest snapshot is new enough again".to_owned()),
                Some(newest) => (
                    Outcome::Failure,
                    format!("the newest snapshot is of {}, older than the RPO", timestamp(newest)),
                ),
                None => (Outcome::Failure, "there is no snapshot".to_owned()),
            };
            let event = Event::new(now, RPO_EVENT, outcome).actor("backup").target(&job.name).detail(detail);
            self.ctx.events.emit(event);
        }
    }

    fn status(&self) -> Status {
        let (state, now) = (self.state(), self.ctx.clock.wall());
        let jobs = self.config.jobs.iter().enumerate().map(|(number, job)| {
            let of_job = self.of_job(&state.history, job, now);
            let newest = of_job.first().map(|one| one.moment());
            let next = [true, false].into_iter().filter_map(|incremental| {
                let task = Task::Backup { job: number, incremental };
                self.agenda.due(task, self.past(&state, task, now), now)
            });
            JobStatus {
                name: job.name.clone(),
                newest: newest.map(timestamp),
                age_seconds: newest.map(|newest| now.duration_since(newest).unwrap_or_default().as_secs()),
                verified: of_job.iter().find(|one| one.verified).map(|one| timestamp(one.moment())),
                late: is_late(newest, state.started, self.config.rpo, now),
                next: next.min().map(timestamp),
            }
        });
        let failing = state.failing.iter().map(|(task, failed)| FailingTask {
            phase: task.phase(),
            task: self.title(*task),
            last: timestamp(failed.how.last),
            problem: failed.problem.clone(),
            damaged: failed.damaged,
        });
        let drilled = state.memory.drill.as_ref().map_or(state.started, |drill| drill.began.into());
        Status {
            at: timestamp(now),
            rpo_seconds: self.config.rpo.as_secs(),
            jobs: jobs.collect(),
            snapshots: state.history.len(),
            unreadable: state.unreadable.clone(),
            failing: failing.collect(),
            drill: state.memory.drill.clone(),
            drill_overdue: self.agenda.is_overdue(Task::Drill, drilled, now),
        }
    }
}

impl<A> Clone for Keeper<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A> fmt::Debug for Keeper<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keeper({} jobs)", self.0.config.jobs.len())
    }
}
