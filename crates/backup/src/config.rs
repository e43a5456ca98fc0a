//! What is backed up, when, how long it is kept, and how it is proved, as an operator writes it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use buttress_core::{Ctx, Validate, Violations, units};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::Error;
use crate::retention::Retention;
use crate::schedule::{Cron, LONGEST_JITTER, Schedule};
use crate::source::SourceConfig;
use crate::store::{DynStore, StoreConfig};
use crate::verify::VerifierConfig;
use crate::zone::Zone;

/// Backups of a service: what, when, for how long, and how they are proved.
///
/// | field | default | |
/// |---|---|---|
/// | `enabled` | `true` | whether a service makes backups, if `store` is named: not one that was started beside another to look at a restored state |
/// | `store` | none | where the repository is: see [`StoreConfig`]. None: a service makes no backups, or opens the repository itself |
/// | `replicas` | none | where else it is, kept in step and never removed from: each as `store`, with the same password |
/// | `hostname` | empty | the host in snapshots; empty: the machine's. Set it where machines come and go under new names |
/// | `password` | none | where the password of the repository is: see [`PasswordConfig`] |
/// | `sources` | none | what there is to back up, beside what a service adds itself: see [`SourceConfig`] |
/// | `jobs` | none | what is backed up, and when: see [`JobConfig`] |
/// | `logs` | none | what is shipped all the time, to any second of which it can be brought back (features `postgres`, `sqlite`): see `ShippedConfig`. A keeper leaves them to its owner |
/// | `verifiers` | none | what a drill asks of what it restored, beside what sources have recorded of themselves: see [`VerifierConfig`] |
/// | `time_zone` | `"UTC"` | on whose clocks the schedules are. Retention has its own |
/// | `jitter` | `"5m"` | by so much each run is late at most, by always the same for one host and task |
/// | `retry_first` | `"1m"` | how long after a failure it is tried again; then twice as long each time, up to 15 minutes |
/// | `retry_within` | `"2h"` | so long it is tried again, if it may help; then when it is due next |
/// | `limit` | `"6h"` | a task that takes longer has failed |
/// | `rpo` | `"90m"` | so old may the newest snapshot of a job become: an hour, and what a run may take |
/// | `rto` | `"4h"` | so long may a restore with all its verifications take |
/// | `retention` | | what is kept: see [`Retention`] |
/// | `retain` | `"0 5 * * *"` | when what is not kept is removed; none: never here |
/// | `check` | `"0 4 * * *"` | when the structure of the repository is checked; none: never here |
/// | `read` | `"30 4 * * *"` | when a part of its data is read and checked; none: never here |
/// | `read_parts` | 30 | how many parts there are: so many reads, and every byte was read |
/// | `drill` | `"0 6 * * 0"` | when the newest snapshot of each job and an old one are restored and verified; none: never here |
/// | `replicate` | `"0 */6 * * *"` | when the replicas are brought up to date, if there are any; none: never here |
/// | `scratch` | the system's folder for such | where drills restore to, and sources put copies |
/// | `memory` | none | a file that remembers across restarts what was checked and drilled when; without it they are done anew after each start |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BackupConfig {
    /// Whether a service makes backups.
    pub enabled: bool,
    /// Where the repository is.
    pub store: Option<StoreConfig>,
    /// Where else it is.
    pub replicas: Vec<StoreConfig>,
    /// The host in snapshots; empty: the machine's.
    pub hostname: String,
    /// Where the password is.
    pub password: Option<PasswordConfig>,
    /// What there is to back up.
    pub sources: Vec<SourceConfig>,
    /// What is backed up, and when.
    pub jobs: Vec<JobConfig>,
    /// What is shipped all the time.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub logs: Vec<crate::log::ShippedConfig>,
    /// What a drill asks of what it restored.
    pub verifiers: Vec<VerifierConfig>,
    /// On whose clocks the schedules are.
    pub time_zone: Zone,
    /// By so much each run is late at most.
    #[serde(with = "units::duration")]
    pub jitter: Duration,
    /// How long after a failure it is tried again.
    #[serde(with = "units::duration")]
    pub retry_first: Duration,
    /// So long it is tried again.
    #[serde(with = "units::duration")]
    pub retry_within: Duration,
    /// A task that takes longer has failed.
    #[serde(with = "units::duration")]
    pub limit: Duration,
    /// So old may the newest snapshot of a job become.
    #[serde(with = "units::duration")]
    pub rpo: Duration,
    /// So long may a restore take.
    #[serde(with = "units::duration")]
    pub rto: Duration,
    /// What is kept.
    pub retention: Retention,
    /// When what is not kept is removed.
    pub retain: Option<Cron>,
    /// When the structure is checked.
    pub check: Option<Cron>,
    /// When a part of the data is read.
    pub read: Option<Cron>,
    /// How many parts there are.
    pub read_parts: u8,
    /// When snapshots are restored and verified.
    pub drill: Option<Cron>,
    /// When replicas are brought up to date.
    pub replicate: Option<Cron>,
    /// Where drills restore to.
    pub scratch: PathBuf,
    /// What remembers across restarts.
    pub memory: Option<PathBuf>,
}

/// One thing that is backed up: sources that belong together, in one snapshot.
///
/// | field | default | |
/// |---|---|---|
/// | `name` | `"main"` | its name, in tags of snapshots (`job:main`), events, metrics and messages |
/// | `sources` | all | names of the sources; none: all there are |
/// | `full` | `"0 2 * * *"` | when everything is read, whatever changed |
/// | `incremental` | `"0 * * * *"` | when only what changed since the last snapshot is read; none: never |
///
/// Each snapshot is whole, and none needs another to be restored: what an incremental run saves is reading files whose size and times are those
/// of the last snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct JobConfig {
    /// Its name.
    pub name: String,
    /// Names of the sources; none: all.
    pub sources: Vec<String>,
    /// When everything is read.
    pub full: Cron,
    /// When only what changed is read.
    pub incremental: Option<Cron>,
}

/// Where the password of a repository is: never the password itself, which does not belong in a configuration.
///
/// `password = { file = "/etc/shop/backup-password" }` or `password = { variable = "BACKUP_PASSWORD" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PasswordConfig {
    /// A file whose first line is the password.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

impl PasswordConfig {
    /// The password.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the file cannot be read or the variable is not set, or when nothing is in it.
    pub fn read(&self) -> Result<SecretString, Error> {
        let (said, text) = match self {
            Self::File(path) => {
                (path.display().to_string(), std::fs::read_to_string(path).map(Zeroizing::new))
            }
            Self::Variable(name) => {
                (name.clone(), Ok(Zeroizing::new(std::env::var(name).unwrap_or_default())))
            }
        };
        let line = text.as_ref().ok().and_then(|text| text.lines().next()).filter(|line| !line.is_empty());
        if let Some(line) = line {
            return Ok(SecretString::from(line));
        }
        let why = text.as_ref().err().map(|error| format!(" ({error})")).unwrap_or_default();
        let remedy = format!(
            "must hold the password of the repository in its first line, for nobody else to read{why}"
        );
        let mut wrong = Violations::new();
        wrong.require(false, "password", said, remedy);
        Err(Error::Config(wrong))
    }
}

impl BackupConfig {
    /// Whether a service is to make backups: it is `enabled`, and knows where to.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.enabled && self.store.is_some()
    }

    /// The store of the repository and its password, as [`Repository::init`](crate::Repository::init) and
    /// [`Repository::open`](crate::Repository::open) want them.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] without `store` or `password`; those of [`DynStore::open`] and [`PasswordConfig::read`].
    pub async fn place(&self, ctx: &Ctx) -> Result<(DynStore, SecretString), Error> {
        let (Some(store), Some(password)) = (&self.store, &self.password) else {
            let mut wrong = Violations::new();
            self.require_place(&mut wrong);
            return Err(Error::Config(wrong));
        };
        Ok((DynStore::open(store, ctx).await?, password.read()?))
    }

    fn require_place(&self, wrong: &mut Violations) {
        let remedy = "must say where the repository is: a folder, or s3://bucket/prefix";
        wrong.require(self.store.is_some(), "store.url", "none", remedy);
        let remedy =
            "must say where the password of the repository is: { file = \"…\" } or { variable = \"…\" }";
        wrong.require(self.password.is_some(), "password", "none", remedy);
    }

    pub(crate) fn schedule(&self, cron: &Cron, task: &str) -> Schedule {
        let name = format!("{}\n{task}", self.hostname);
        Schedule::new(cron.clone(), self.time_zone.clone()).with_jitter(self.jitter, &name)
    }
}

impl JobConfig {
    /// A job of all sources, with the default times.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The tag by which its snapshots are known.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("job:{}", self.name)
    }
}

impl Default for BackupConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            store: None,
            replicas: Vec::new(),
            hostname: String::new(),
            password: None,
            sources: Vec::new(),
            jobs: Vec::new(),
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            logs: Vec::new(),
            verifiers: Vec::new(),
            time_zone: Zone::UTC,
            jitter: Duration::from_mins(5),
            retry_first: Duration::from_mins(1),
            retry_within: Duration::from_hours(2),
            limit: Duration::from_hours(6),
            rpo: Duration::from_mins(90),
            rto: Duration::from_hours(4),
            retention: Retention::default(),
            retain: Some(Cron::daily(5, 0)),
            check: Some(Cron::daily(4, 0)),
            read: Some(Cron::daily(4, 30)),
            read_parts: 30,
            drill: Some(Cron::weekly(6)),
            replicate: Some(Cron::six_hourly()),
            scratch: std::env::temp_dir(),
            memory: None,
        }
    }
}

impl Default for JobConfig {
    fn default() -> Self {
        Self {
            name: "main".to_owned(),
            sources: Vec::new(),
            full: Cron::daily(2, 0),
            incremental: Some(Cron::hourly()),
        }
    }
}

impl Validate for BackupConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let (shown, usual) = (units::format_duration, Self::default());
        let (second, minute, day) =
            (Duration::from_secs(1), Duration::from_mins(1), Duration::from_hours(24));
        for (field, value, least, most, usual) in [
            ("jitter", self.jitter, Duration::ZERO, LONGEST_JITTER, usual.jitter),
            ("retry_first", self.retry_first, second, Duration::from_hours(1), usual.retry_first),
            ("retry_within", self.retry_within, Duration::ZERO, day * 7, usual.retry_within),
            ("limit", self.limit, minute, day * 7, usual.limit),
            ("rpo", self.rpo, minute, day * 366, usual.rpo),
            ("rto", self.rto, second, day * 30, usual.rto),
        ] {
            let remedy =
                format!("must be \"{}\" to \"{}\"; \"{}\" is usual", shown(least), shown(most), shown(usual));
            wrong.require((least..=most).contains(&value), field, shown(value), remedy);
        }
        wrong.require(self.read_parts >= 1, "read_parts", 0, "must be 1 to 255; 30 is usual");
        wrong.require(
            (1..=64).contains(&self.jobs.len()),
            "jobs",
            self.jobs.len(),
            "must be 1 to 64 jobs; name what is to be backed up",
        );
        wrong.nest("retention", &self.retention);
        if let Some(store) = &self.store {
            wrong.nest("store", store);
            self.require_place(&mut wrong);
        }
        for (number, replica) in self.replicas.iter().enumerate() {
            wrong.nest(&format!("replicas.{number}"), replica);
            let field = format!("replicas.{number}.url");
            let other = self.store.as_ref().is_none_or(|store| store.url != replica.url);
            wrong.require(other, &field, &replica.url, "is the repository itself; name another place");
        }
        let mut names = BTreeSet::new();
        for (number, source) in self.sources.iter().enumerate() {
            wrong.nest(&format!("sources.{number}"), source);
            let field = format!("sources.{number}.name");
            wrong.require(
                names.insert(source.name()),
                &field,
                source.name(),
                "is the name of another source too",
            );
        }
        #[cfg(any(feature = "postgres", feature = "sqlite"))]
        {
            let mut names = BTreeSet::new();
            for (number, log) in self.logs.iter().enumerate() {
                wrong.nest(&format!("logs.{number}"), log);
                let (field, name) = (format!("logs.{number}.log.name"), &log.log().name);
                wrong.require(names.insert(name), &field, name, "is the name of another log too");
            }
        }
        for (number, verifier) in self.verifiers.iter().enumerate() {
            wrong.nest(&format!("verifiers.{number}"), verifier);
        }
        let mut names = BTreeSet::new();
        for (number, job) in self.jobs.iter().enumerate() {
            wrong.nest(&format!("jobs.{number}"), job);
            let field = format!("jobs.{number}.name");
            wrong.require(names.insert(&job.name), &field, &job.name, "is the name of another job too");
            let cron = job.incremental.as_ref().unwrap_or(&job.full);
            let pause = Schedule::new(cron.clone(), Zone::UTC).longest_pause(SystemTime::UNIX_EPOCH);
            let pause = pause.unwrap_or(Duration::MAX);
            let remedy = format!(
                "must be more than {}, the longest time between two runs of `{}`",
                shown(pause),
                job.name
            );
            wrong.require(self.rpo > pause, "rpo", shown(self.rpo), remedy);
        }
        wrong.into_result()
    }
}

impl Validate for JobConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let name = (1..=64).contains(&self.name.len()) && self.name.bytes().all(allowed);
        wrong.require(name, "name", &self.name, "must be 1 to 64 letters, digits, `-`, `_` or `.`");
        wrong.into_result()
    }
}
