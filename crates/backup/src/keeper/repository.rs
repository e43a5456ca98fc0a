//! The archive of a service: a repository, what goes into it, and what follows it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use buttress_core::{Ctx, Violations, chain};
use secrecy::SecretString;
use tokio::sync::OnceCell;

use super::{Archive, BackedUp, Checked, Part, Removed, Replicated, Restored};
use crate::config::{BackupConfig, JobConfig};
use crate::mirror::{Mirror, MirrorConfig};
use crate::retention::SnapshotInfo;
use crate::sandbox::Sandbox;
#[cfg(feature = "sqlite")]
use crate::source::Sqlite;
use crate::source::{DynSource, Folders, PostgresBase, PostgresDump, Record, Redis, Source, SourceConfig};
use crate::store::{DynStore, Store};
use crate::verify::{self, DynVerifier, Verdict, Verifier};
use crate::{BackupJob, CheckDepth, Error, Failure, Id, Repository, RestoreJob, Snapshot};

/// A repository with its sources, their verifiers, and replicas: what a [`Keeper`](super::Keeper) of a service keeps.
///
/// [`open`](Self::open) makes it of a [`BackupConfig`], to which a service adds what it knows itself:
///
/// ```no_run
/// use buttress_backup::keeper::{Keeper, RepositoryArchive};
/// use buttress_backup::source::State;
/// use buttress_backup::BackupConfig;
/// use buttress_core::Ctx;
///
/// # async fn f(config: BackupConfig) -> Result<(), buttress_backup::Error> {
/// let ctx = Ctx::default();
/// let archive = RepositoryArchive::open(&config, &ctx).await?.source(State::new("sessions", &ctx)?);
/// Keeper::new(config, archive, &ctx)?.start();
/// # Ok(())
/// # }
/// ```
///
/// Without a configuration:
///
/// ```no_run
/// use buttress_backup::keeper::{Keeper, RepositoryArchive};
/// use buttress_backup::source::{Folders, FoldersConfig};
/// use buttress_backup::store::{DynStore, Folder};
/// use buttress_backup::{BackupConfig, JobConfig, Repository};
/// use buttress_core::Ctx;
///
/// # async fn f() -> Result<(), buttress_backup::Error> {
/// let ctx = Ctx::default();
/// let mut config = BackupConfig::default();
/// config.jobs = vec![JobConfig::new("main")];
///
/// let mut blobs = FoldersConfig::default();
/// blobs.name = "blobs".into();
/// blobs.paths = vec!["/srv/blobs".into()];
///
/// let store = DynStore::new(Folder::new("/mnt/backups/shop"));
/// let repository = Repository::open(store, &"correct horse".into(), &ctx).await?;
/// let archive = RepositoryArchive::new(repository, &config, &ctx)
///     .source(Folders::new(blobs, &ctx)?)
///     .replica(DynStore::new(Folder::new("/mnt/elsewhere/shop")))?;
/// Keeper::new(config, archive, &ctx)?.start();
/// # Ok(())
/// # }
/// ```
pub struct RepositoryArchive {
    /// Opened when it is first needed: a service starts also while its store cannot be reached.
    repository: OnceCell<Repository>,
    store: DynStore,
    password: SecretString,
    host: String,
    scratch: PathBuf,
    sources: Vec<Proved>,
    asked: Vec<Asked>,
    replicas: Vec<(String, Mirror)>,
    ctx: Ctx,
}

/// So long a run waits for somebody else, a hand beside the service or another host: after that, it is tried again as what has failed.
const PATIENCE: Duration = Duration::from_mins(10);

/// A source, and what judges its copies.
struct Proved {
    source: DynSource,
    verifier: Option<MakeVerifier>,
}

/// What judges a restored snapshot, if it has that source.
struct Asked {
    source: Option<String>,
    verifier: DynVerifier,
}

type MakeVerifier = Box<dyn Fn(Record) -> Result<DynVerifier, Error> + Send + Sync>;

impl RepositoryArchive {
    /// This repository, with nothing to go into it yet.
    #[must_use]
    pub fn new(repository: Repository, config: &BackupConfig, ctx: &Ctx) -> Self {
        let store = repository.store().clone();
        let repository = OnceCell::new_with(Some(repository));
        Self { repository, ..Self::empty(store, SecretString::default(), config, ctx) }
    }

    /// The repository, sources, replicas and verifiers that `config` names. The repository itself is opened when it is first needed, and tried again until
    /// that succeeds; until then every work fails, and with it the probe.
    ///
    /// # Errors
    ///
    /// [`Error::Config`]; [`Error::File`] when the password cannot be read; those of [`DynStore::open`].
    pub async fn open(config: &BackupConfig, ctx: &Ctx) -> Result<Self, Error> {
        let (store, password) = config.place(ctx).await?;
        let mut archive = Self::empty(store, password, config, ctx);
        for source in &config.sources {
            archive = archive.configured(source)?;
        }
        for verifier in &config.verifiers {
            archive.asked.push(Asked { source: verifier.source(), verifier: verifier.open(ctx)? });
        }
        for replica in &config.replicas {
            archive = archive.replica(DynStore::open(replica, ctx).await?)?;
        }
        Ok(archive)
    }

    fn empty(store: DynStore, password: SecretString, config: &BackupConfig, ctx: &Ctx) -> Self {
        let host =
            if config.hostname.is_empty() { crate::repository::hostname() } else { config.hostname.clone() };
        Self {
            repository: OnceCell::new(),
            store,
            password,
            host,
            scratch: config.scratch.clone(),
            sources: Vec::new(),
            asked: Vec::new(),
            replicas: Vec::new(),
            ctx: ctx.clone(),
        }
    }

    /// The repository.
    ///
    /// # Errors
    ///
    /// Those of [`Repository::open`], if it was not opened yet.
    pub async fn repository(&self) -> Result<&Repository, Error> {
        let open = async || {
            let opened = Repository::open(self.store.clone(), &self.password, &self.ctx).await;
            opened.map(|repository| repository.patience(PATIENCE))
        };
        self.repository.get_or_try_init(open).await
    }

    /// Adds a source with the verifier of its kind.
    fn configured(self, source: &SourceConfig) -> Result<Self, Error> {
        let ctx = self.ctx.clone();
        Ok(match source.clone() {
            SourceConfig::Folders(config) => self.source(Folders::new(config, &ctx)?),
            #[cfg(feature = "sqlite")]
            SourceConfig::Sqlite(config) => {
                let mut judge = verify::SqliteConfig::default();
                judge.name.clone_from(&config.name);
                judge.path = Path::new(&config.name).join(config.path.file_name().unwrap_or_default());
                let source = Sqlite::new(config, &ctx)?;
                self.proved(source, move |record| {
                    Ok(verify::Sqlite::new(judge.clone(), &ctx)?.against(record))
                })
            }
            SourceConfig::PostgresBase(config) => {
                let mut judge = verify::PostgresConfig::default();
                judge.name.clone_from(&config.name);
                judge.path = Path::new(&config.name).join("data");
                judge.programs.clone_from(&config.programs);
                let source = PostgresBase::new(config, &ctx)?;
                self.proved(source, move |record| {
                    Ok(verify::Postgres::new(judge.clone(), &ctx)?.against(record))
                })
            }
            SourceConfig::PostgresDump(config) => self.source(PostgresDump::new(config, &ctx)?),
            SourceConfig::Redis(config) => {
                let mut judge = verify::RedisConfig::default();
                judge.name.clone_from(&config.name);
                judge.path = Path::new(&config.name).join("dump.rdb");
                let source = Redis::new(config, &ctx)?;
                self.proved(
                    source,
                    move |record| Ok(verify::Redis::new(judge.clone(), &ctx)?.against(record)),
                )
            }
        })
    }

    /// Adds a source. A drill restores it, and asks no more of it than that there is something.
    #[must_use]
    pub fn source(mut self, source: impl Source) -> Self {
        self.sources.push(Proved { source: DynSource::new(source), verifier: None });
        self
    }

    /// Adds a source with what judges its copies in a drill: made from what was recorded when the copy was taken.
    #[must_use]
    pub fn proved<V: Verifier>(
        mut self,
        source: impl Source,
        verifier: impl Fn(Record) -> Result<V, Error> + Send + Sync + 'static,
    ) -> Self {
        let verifier: MakeVerifier = Box::new(move |record| verifier(record).map(DynVerifier::new));
        self.sources.push(Proved { source: DynSource::new(source), verifier: Some(verifier) });
        self
    }

    /// Adds a replica, which is brought up to date and from which nothing is removed.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn replica(mut self, store: DynStore) -> Result<Self, Error> {
        let place = store.place();
        let mirror = Mirror::new(self.store.clone(), vec![store], &MirrorConfig::default(), &self.ctx)?;
        self.replicas.push((place, mirror));
        Ok(self)
    }

    /// The sources of a job.
    fn of_job<'a>(&'a self, job: &'a JobConfig) -> Result<Vec<&'a DynSource>, Error> {
        let find = |name: &String| {
            let found = self.sources.iter().find(|proved| proved.source.name() == name);
            found.map(|proved| &proved.source).ok_or_else(|| Error::Source {
                of: format!("job {}", job.name),
                problem: format!("there is no source `{name}`; there are: {}", self.names().join(", ")),
                source: None,
            })
        };
        if job.sources.is_empty() {
            return Ok(self.sources.iter().map(|proved| &proved.source).collect());
        }
        job.sources.iter().map(find).collect()
    }

    fn names(&self) -> Vec<&str> {
        self.sources.iter().map(|proved| proved.source.name()).collect()
    }

    async fn snapshot(&self, id: Id) -> Result<Snapshot, Error> {
        self.repository().await?.snapshot(&id.to_string()).await
    }

    /// What judges copies of `source`, and was not recorded with them.
    fn asked<'a>(&'a self, source: Option<&'a str>) -> impl Iterator<Item = &'a DynVerifier> {
        self.asked.iter().filter(move |asked| asked.source.as_deref() == source).map(|asked| &asked.verifier)
    }
}

impl std::fmt::Debug for RepositoryArchive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RepositoryArchive")
            .field("store", &self.store.place())
            .field("sources", &self.names())
            .finish_non_exhaustive()
    }
}

impl Archive for RepositoryArchive {
    fn host(&self) -> &str {
        &self.host
    }

    fn has(&self, config: &BackupConfig) -> Result<(), Violations> {
        let (mut wrong, names) = (Violations::new(), self.names());
        let remedy = format!("is no source; there are: {}", names.join(", "));
        for (number, job) in config.jobs.iter().enumerate() {
            for source in &job.sources {
                let field = format!("jobs.{number}.sources");
                wrong.require(names.contains(&source.as_str()), &field, source, &remedy);
            }
        }
        for (number, verifier) in config.verifiers.iter().enumerate() {
            if let Some(source) = verifier.source() {
                let (field, remedy) =
                    (format!("verifiers.{number}.path"), format!("begins with what {remedy}"));
                wrong.require(names.contains(&source.as_str()), &field, source, remedy);
            }
        }
        wrong.into_result()
    }

    fn replicas(&self) -> Vec<String> {
        self.replicas.iter().map(|(place, _)| place.clone()).collect()
    }

    async fn snapshots(&self) -> Result<Vec<SnapshotInfo>, Error> {
        Ok(self.repository().await?.snapshots().await?.iter().map(SnapshotInfo::from).collect())
    }

    async fn back_up(&self, job: &JobConfig, tags: &[String], full: bool) -> Result<BackedUp, Error> {
        let repository = self.repository().await?;
        let scratch = Sandbox::make(&self.scratch, "backup")?;
        let mut collected = Vec::new();
        let mut backup = BackupJob::new().hostname(&self.host);
        for source in self.of_job(job)? {
            let own = scratch.path().join(source.name());
            tokio::fs::create_dir(&own).await.map_err(|error| Error::file("make", &own, error))?;
            let copy = source.collect(&own).await?;
            backup = copy.add_to(backup, source.name(), &own).await?;
            collected.push(copy);
        }
        backup = tags.iter().fold(backup, BackupJob::tag);
        let report = repository.backup(if full { backup.reread() } else { backup }).await?;
        for copy in collected {
            // One that did not hold still is no snapshot, though it looks like one.
            if let Err(error) = copy.release().await {
                repository.forget(&[report.id]).await?;
                return Err(error);
            }
        }
        let _ = tokio::task::spawn_blocking(move || drop(scratch)).await;
        let (read, added) = (report.summary.total_bytes_processed, report.summary.data_added_packed);
        Ok(BackedUp { id: report.id, read, added })
    }

    async fn remove(&self, snapshots: &[Id]) -> Result<Removed, Error> {
        let repository = self.repository().await?;
        repository.forget(snapshots).await?;
        let report = repository.prune().await?;
        let freed = report.bytes_before.saturating_sub(report.bytes_after);
        Ok(Removed { freed, left: report.bytes_after })
    }

    async fn check(&self, part: Option<Part>) -> Result<Checked, Error> {
        let part = part.map(|Part { number: part, of }| CheckDepth::Part { part, of });
        let report = self.repository().await?.check(part.unwrap_or(CheckDepth::Structure)).await?;
        Ok(Checked { read: report.bytes_read })
    }

    async fn restore(&self, snapshot: Id, into: &Path) -> Result<Restored, Error> {
        let snapshot = self.snapshot(snapshot).await?;
        let report = self.repository().await?.restore(&snapshot, RestoreJob::new(into)).await?;
        Ok(Restored { files: report.files, bytes: report.bytes })
    }

    async fn verify(&self, snapshot: &SnapshotInfo, restored: &Path) -> Result<Vec<Failure>, Error> {
        let made = snapshot.ended.unwrap_or(snapshot.time);
        let mut failures = Vec::new();
        for Proved { source, verifier } in &self.sources {
            let name = source.name();
            // What another job backs up is not in this snapshot, nor is what was added since.
            let of_source = format!("/{name}/");
            if !snapshot.paths.iter().any(|path| path.starts_with(&of_source)) {
                continue;
            }
            let record = match Record::read(restored, name).await {
                Ok(record) => record,
                Err(error) => {
                    failures.push(Failure { of: name.to_owned(), problem: chain(&error) });
                    continue;
                }
            };
            if let Some(make) = verifier {
                note(name, &make(record)?.verify(restored, made).await?, &mut failures);
            }
            for verifier in self.asked(Some(name)) {
                note(verifier.name(), &verifier.verify(restored, made).await?, &mut failures);
            }
        }
        for verifier in self.asked(None) {
            note(verifier.name(), &verifier.verify(restored, made).await?, &mut failures);
        }
        Ok(failures)
    }

    async fn replicate(&self, replica: usize) -> Result<Replicated, Error> {
        let Some((_, mirror)) = self.replicas.get(replica) else { return Ok(Replicated::default()) };
        let report = mirror.sync().await?;
        Ok(report.replicas.iter().fold(Replicated::default(), |sum, one| Replicated {
            objects: sum.objects + one.copied,
            bytes: sum.bytes + one.copied_bytes,
        }))
    }
}

/// Notes what a verifier is not content with.
fn note(name: &str, verdict: &Verdict, failures: &mut Vec<Failure>) {
    if verdict.checks.is_empty() {
        let problem = "its verifier has looked at nothing".to_owned();
        failures.push(Failure { of: name.to_owned(), problem });
    }
    failures.extend(verdict.failures().map(|check| Failure {
        of: format!("{name}: {}", check.what),
        problem: format!("{} was expected, {} was found", check.expected, check.found),
    }));
}
