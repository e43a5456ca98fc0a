//! What is due now, and when something is due next. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use crate::config::BackupConfig;
use crate::retention::SKEW;
use crate::schedule::Schedule;

/// A failure is followed by another attempt after this at the latest, while it is tried again at all.
const LONGEST_BACK_OFF: Duration = Duration::from_mins(15);

/// Something to be done again and again. What comes first is done first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Task {
    /// A snapshot of the job of this number. If both are due a full one is made, which is an incremental one too.
    Backup { job: usize, incremental: bool },
    /// The replica of this number is brought up to date.
    Replicate { replica: usize },
    /// The structure is checked.
    Check,
    /// A part of the data is read.
    Read,
    /// Snapshots are restored and verified.
    Drill,
    /// What is not kept is removed.
    Retain,
}

impl Task {
    /// Backups wait for no drill that takes hours, so they are done beside the rest.
    pub(crate) fn lane(self) -> Lane {
        if matches!(self, Self::Backup { .. }) { Lane::Backups } else { Lane::Upkeep }
    }

    /// What is counted and told under.
    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::Backup { .. } => Phase::Backup,
            Self::Replicate { .. } => Phase::Replicate,
            Self::Check | Self::Read => Phase::Check,
            Self::Drill => Phase::Drill,
            Self::Retain => Phase::Prune,
        }
    }
}

/// Which tasks are done one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Snapshots.
    Backups,
    /// All else.
    Upkeep,
}

/// A kind of task, in events and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A snapshot is made.
    Backup,
    /// The repository is checked.
    Check,
    /// Snapshots are restored and verified.
    Drill,
    /// What is not kept is removed.
    Prune,
    /// A replica is brought up to date.
    Replicate,
}

impl Phase {
    pub(crate) const ALL: [Self; 5] = [Self::Backup, Self::Check, Self::Drill, Self::Prune, Self::Replicate];

    /// As a label: `"backup"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Check => "check",
            Self::Drill => "drill",
            Self::Prune => "prune",
            Self::Replicate => "replicate",
        }
    }

    pub(crate) fn event(self) -> &'static str {
        match self {
            Self::Backup => "backup.run",
            Self::Check => "backup.check",
            Self::Drill => "backup.drill",
            Self::Prune => "backup.prune",
            Self::Replicate => "backup.replicate",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Attempts that failed since the last one that did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failing {
    /// When the first of them failed, of those for which it became due once.
    pub(crate) since: SystemTime,
    /// When the last of them failed.
    pub(crate) last: SystemTime,
    /// How many there were, of those for which it became due once.
    pub(crate) attempts: u32,
    /// Whether another attempt may help.
    pub(crate) transient: bool,
}

/// How it went with a task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// When it was last done.
    pub(crate) done: Option<SystemTime>,
    /// How it failed since.
    pub(crate) failing: Option<Failing>,
}

/// All tasks with their times.
#[derive(Debug, Clone)]
pub(crate) struct Agenda {
    schedules: BTreeMap<Task, Schedule>,
    retry_first: Duration,
    retry_within: Duration,
}

impl Agenda {
    pub(crate) fn new(config: &BackupConfig, replicas: usize) -> Self {
        let mut schedules = BTreeMap::new();
        for (job, of) in config.jobs.iter().enumerate() {
            let name = format!("backup {}", of.name);
            schedules.insert(Task::Backup { job, incremental: false }, config.schedule(&of.full, &name));
            if let Some(cron) = &of.incremental {
                schedules.insert(Task::Backup { job, incremental: true }, config.schedule(cron, &name));
            }
        }
        let replicate = (0..replicas).map(|replica| (Task::Replicate { replica }, &config.replicate));
        let others = [
            (Task::Check, &config.check),
            (Task::Read, &config.read),
            (Task::Drill, &config.drill),
            (Task::Retain, &config.retain),
        ];
        for (task, cron) in replicate.chain(others) {
            if let Some(cron) = cron {
                schedules.insert(task, config.schedule(cron, task.phase().as_str()));
            }
        }
        Self { schedules, retry_first: config.retry_first, retry_within: config.retry_within }
    }

    pub(crate) fn tasks(&self) -> impl Iterator<Item = Task> {
        self.schedules.keys().copied()
    }

    /// When a task is due, which may have passed. None: never again.
    pub(crate) fn due(&self, task: Task, past: Past, now: SystemTime) -> Option<SystemTime> {
        let schedule = self.schedules.get(&task)?;
        // What was done in the future was done before the clock was put back, and says nothing.
        let done = past.done.filter(|done| *done <= now.checked_add(SKEW).unwrap_or(now));
        let due = match done {
            Some(done) => schedule.next(done.min(now))?,
            None => now,
        };
        let Some(failing) = past.failing.filter(|failing| failing.last <= now) else { return Some(due) };
        let next = schedule.next(failing.last)?;
        let tried = failing.last.duration_since(failing.since).unwrap_or_default();
        let again = if failing.transient && tried < self.retry_within {
            next.min(failing.last.checked_add(self.back_off(failing.attempts))?)
        } else {
            next
        };
        Some(again.max(due))
    }

    /// Which task of a lane is to be done now, or when one is.
    pub(crate) fn next(&self, lane: Lane, past: impl Fn(Task) -> Past, now: SystemTime) -> Next {
        let mut soonest = None;
        for task in self.tasks().filter(|task| task.lane() == lane) {
            match self.due(task, past(task), now) {
                Some(due) if due <= now => return Next::Now(task),
                Some(due) => soonest = Some(soonest.map_or(due, |other: SystemTime| other.min(due))),
                None => {}
            }
        }
        Next::At(soonest)
    }

    /// A task has failed once more.
    pub(crate) fn failed(&self, task: Task, past: Past, now: SystemTime, transient: bool) -> Failing {
        let schedule = self.schedules.get(&task);
        let of_the_same = past.failing.filter(|failing| {
            let next = schedule.and_then(|schedule| schedule.next(failing.last));
            failing.last <= now && next.is_none_or(|next| next > now)
        });
        let (since, attempts) =
            of_the_same.map_or((now, 0), |failing| (failing.since.min(now), failing.attempts));
        Failing { since, last: now, attempts: attempts.saturating_add(1), transient }
    }

    /// Whether a task should have been done twice since it was.
    pub(crate) fn is_overdue(&self, task: Task, done: SystemTime, now: SystemTime) -> bool {
        let Some(schedule) = self.schedules.get(&task) else { return false };
        schedule.next(done).and_then(|first| schedule.next(first)).is_some_and(|second| second <= now)
    }

    fn back_off(&self, attempts: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1).min(20));
        self.retry_first.saturating_mul(doubled).min(LONGEST_BACK_OFF.max(self.retry_first))
    }
}

/// What a lane has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// This, now.
    Now(Task),
    /// Nothing before then; none: nothing ever.
    At(Option<SystemTime>),
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]
mod tests {
    use super::*;
    use crate::config::JobConfig;
    use crate::schedule::Cron;
    use proptest::prelude::*;

    const HOUR: u64 = 3_600;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + seconds)
    }

    fn agenda(incremental: &str) -> Agenda {
        let mut job = JobConfig::new("main");
        job.incremental = Some(incremental.parse::<Cron>().unwrap());
        let mut config = BackupConfig { jobs: vec![job], ..BackupConfig::default() };
        config.jitter = Duration::ZERO;
        Agenda::new(&config, 1)
    }

    const TASK: Task = Task::Backup { job: 0, incremental: true };

    #[test]
    fn a_failure_is_tried_again_ever_later_and_then_when_it_is_due() {
        let agenda = agenda("0 */4 * * *");
        let mut past = Past { done: Some(at(0)), failing: None };
        let (mut attempts, mut now) = (Vec::new(), at(4 * HOUR));
        while now < at(12 * HOUR) {
            attempts.push(now.duration_since(at(0)).unwrap().as_secs() / 60);
            past.failing = Some(agenda.failed(TASK, past, now, true));
            now = agenda.due(TASK, past, now).unwrap();
        }
        // For two hours from the first failure on, then at eight o'clock, and again.
        let first = [240, 241, 243, 247, 255, 270, 285, 300, 315, 330, 345, 360];
        assert_eq!(attempts[..12], first);
        assert_eq!(attempts[12..], first.map(|minute| minute + 240));
    }

    #[test]
    fn what_will_fail_again_waits_until_it_is_due_again() {
        let agenda = agenda("0 * * * *");
        let past = Past { done: Some(at(0)), failing: None };
        let failing = agenda.failed(TASK, past, at(HOUR), false);
        let past = Past { failing: Some(failing), ..past };
        assert_eq!(agenda.due(TASK, past, at(HOUR)), Some(at(2 * HOUR)));
    }

    #[test]
    fn backups_come_first_and_the_rest_does_not_hold_them_up() {
        let agenda = agenda("0 * * * *");
        let never = |_| Past::default();
        assert_eq!(
            agenda.next(Lane::Backups, never, at(0)),
            Next::Now(Task::Backup { job: 0, incremental: false })
        );
        assert_eq!(agenda.next(Lane::Upkeep, never, at(0)), Next::Now(Task::Replicate { replica: 0 }));
        let done = |_| Past { done: Some(at(0)), failing: None };
        assert_eq!(agenda.next(Lane::Backups, done, at(1)), Next::At(Some(at(HOUR))));
        assert_eq!(agenda.next(Lane::Upkeep, done, at(1)), Next::At(Some(at(4 * HOUR))));
    }

    proptest! {
        /// Whatever happened before, and wherever the clock went: what is asked for is done within one pause of its schedule, and no more often
        /// than it is due or tried again.
        #[test]
        fn it_is_never_forgotten_and_never_hurried(
            done in prop::option::of(0..400_000_u64),
            failing in prop::option::of((0..400_000_u64, 0..50_000_u64, 1..40_u32, any::<bool>())),
            now in 0..400_000_u64,
        ) {
            let agenda = agenda("0 * * * *");
            let failing = failing.map(|(last, tried, attempts, transient)| Failing {
                since: at(last) - Duration::from_secs(tried), last: at(last), attempts, transient,
            });
            let past = Past { done: done.map(at), failing };
            let now = at(now);
            let due = agenda.due(TASK, past, now).unwrap();
            prop_assert!(due <= now + Duration::from_secs(HOUR));
            if let Some(done) = past.done.filter(|done| *done <= now) {
                prop_assert!(due > done);
            }
            if let Some(failing) = failing.filter(|failing| failing.last <= now) {
                prop_assert!(due > failing.last);
            }
            // Done now, nothing is due before the next hour.
            let past = Past { done: Some(now), failing: None };
            prop_assert!(agenda.due(TASK, past, now).unwrap() > now);
        }
    }
}
