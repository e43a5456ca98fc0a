//! Restores, to prove that they work.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use buttress_core::{Classify, Clock, Ctx, Random, chain, units};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::Id;
use crate::keeper::Archive;
use crate::retention::SnapshotInfo;
use crate::sandbox::Sandbox;
use crate::zone::timestamp;
use crate::{Error, Failure};

/// What a drill has shown. As JSON it is what an auditor asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DrillReport {
    /// When it began.
    pub began: Timestamp,
    /// How it went with each snapshot: for each job the newest, and an old one if there is one.
    pub restores: Vec<DrilledSnapshot>,
    /// Seconds from the beginning of a restore until it was verified: the longest of the newest snapshots'.
    pub rto_seconds: f64,
    /// How old the newest snapshots were, in seconds: the oldest of them. What would be lost.
    pub rpo_seconds: f64,
    /// What is wrong apart from single snapshots.
    pub problems: Vec<String>,
    /// Whether something could not be reached, so that it shows nothing about the snapshots.
    pub interrupted: bool,
}

/// One restore of a drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DrilledSnapshot {
    /// The job whose snapshot it is.
    pub job: String,
    /// The snapshot.
    pub snapshot: Id,
    /// When it was taken.
    pub taken: Timestamp,
    /// Whether it is the newest of its job.
    pub newest: bool,
    /// Files restored.
    pub files: u64,
    /// Bytes restored.
    pub bytes: u64,
    /// Seconds from the beginning until it was verified.
    pub seconds: f64,
    /// What is wrong with it; nothing, if it is good.
    pub problems: Vec<String>,
}

impl DrillReport {
    /// Whether all was restored, and all that was restored is good, new enough and fast enough.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.problems.is_empty() && self.restores.iter().all(|restore| restore.problems.is_empty())
    }

    /// All that is wrong, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        if self.passed() {
            let (restores, rto, rpo) = (self.restores.len(), self.rto_seconds, self.rpo_seconds);
            return format!("{restores} snapshots restored and verified; rto {rto:.1} s, rpo {rpo:.0} s");
        }
        let of_restores = self.restores.iter().flat_map(|restore| {
            let of = restore.snapshot.short();
            restore.problems.iter().map(move |problem| format!("snapshot {of}: {problem}"))
        });
        self.problems.iter().cloned().chain(of_restores).collect::<Vec<_>>().join("; ")
    }
}

/// What a drill demands.
#[derive(Debug, Clone)]
pub(crate) struct Drill {
    /// Where it restores to: a folder that is there.
    pub(crate) scratch: PathBuf,
    /// So old may the newest snapshot be.
    pub(crate) rpo: Duration,
    /// So long may a restore and its verification take.
    pub(crate) rto: Duration,
}

/// The snapshots of a job, the newest first.
pub(crate) struct History<'a> {
    pub(crate) job: &'a str,
    pub(crate) snapshots: Vec<&'a SnapshotInfo>,
}

impl Drill {
    /// Restores the newest snapshot of each job and one of its others by chance, and verifies them. Whatever goes wrong is in the report.
    pub(crate) async fn run<A: Archive>(
        &self,
        archive: &A,
        jobs: &[History<'_>],
        chance: &Random,
        ctx: &Ctx,
    ) -> DrillReport {
        let began = ctx.clock.wall();
        let mut report = DrillReport {
            began: timestamp(began),
            restores: Vec::new(),
            rto_seconds: 0.0,
            rpo_seconds: 0.0,
            problems: Vec::new(),
            interrupted: false,
        };
        for History { job, snapshots } in jobs {
            let Some((newest, others)) = snapshots.split_first() else {
                report.problems.push(format!("job {job} has no snapshot"));
                continue;
            };
            let (mut restore, interrupted) = self.restore(archive, job, newest, &*ctx.clock).await;
            report.interrupted |= interrupted;
            restore.newest = true;
            let age = began.duration_since(newest.moment()).unwrap_or_default();
            if age > self.rpo {
                let (age, rpo) = (whole_seconds(age), units::format_duration(self.rpo));
                restore.problems.push(format!("it is stale: {age} old, more than the RPO of {rpo}"));
            }
            if restore.seconds > self.rto.as_secs_f64() {
                let rto = units::format_duration(self.rto);
                let took = restore.seconds;
                restore.problems.push(format!("it took {took:.0} s, more than the RTO of {rto}"));
            }
            report.rto_seconds = report.rto_seconds.max(restore.seconds);
            report.rpo_seconds = report.rpo_seconds.max(age.as_secs_f64());
            report.restores.push(restore);
            if let Some(old) = one_of(others, chance) {
                let (restore, interrupted) = self.restore(archive, job, old, &*ctx.clock).await;
                report.interrupted |= interrupted;
                report.restores.push(restore);
            }
        }
        report
    }

    async fn restore<A: Archive>(
        &self,
        archive: &A,
        job: &str,
        snapshot: &SnapshotInfo,
        clock: &dyn Clock,
    ) -> (DrilledSnapshot, bool) {
        let began = clock.now();
        let mut report = DrilledSnapshot {
            job: job.to_owned(),
            snapshot: snapshot.id,
            taken: timestamp(snapshot.moment()),
            newest: false,
            files: 0,
            bytes: 0,
            seconds: 0.0,
            problems: Vec::new(),
        };
        let mut interrupted = false;
        match self.restore_and_verify(archive, snapshot, &mut report).await {
            Ok(failures) => {
                let problems =
                    failures.into_iter().map(|failure| format!("{}: {}", failure.of, failure.problem));
                report.problems.extend(problems);
            }
            Err(error) => {
                report.problems.push(chain(&error));
                interrupted = error.class().is_transient();
            }
        }
        report.seconds = clock.now().duration_since(began).as_secs_f64();
        (report, interrupted)
    }

    async fn restore_and_verify<A: Archive>(
        &self,
        archive: &A,
        snapshot: &SnapshotInfo,
        report: &mut DrilledSnapshot,
    ) -> Result<Vec<Failure>, Error> {
        let sandbox = Sandbox::make(&self.scratch, "drill")?;
        let restored = archive.restore(snapshot.id, sandbox.path()).await?;
        (report.files, report.bytes) = (restored.files, restored.bytes);
        if restored.files == 0 {
            report.problems.push("it is empty: no file was restored".to_owned());
        }
        let verified = archive.verify(snapshot, sandbox.path()).await;
        // Removing many files takes its time. If this is not reached the value's end removes them.
        let _ = tokio::task::spawn_blocking(move || drop(sandbox)).await;
        verified
    }
}

fn one_of<'a, T>(all: &'a [T], chance: &Random) -> Option<&'a T> {
    let count = u64::try_from(all.len()).unwrap_or(u64::MAX).max(1);
    all.get(usize::try_from(chance.number() % count).unwrap_or(0))
}

fn whole_seconds(duration: Duration) -> String {
    units::format_duration(Duration::from_secs(duration.as_secs()))
}

impl SnapshotInfo {
    /// The moment that it shows, so far as client and store agree: the earlier of the two, so that nobody makes it look newer than it is.
    #[must_use]
    pub fn moment(&self) -> SystemTime {
        self.time.min(self.stored())
    }
}
