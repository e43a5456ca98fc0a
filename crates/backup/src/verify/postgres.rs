//! A restored cluster of PostgreSQL.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use buttress_core::{Ctx, Validate, Violations, timeout, units};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::{Query, Verdict, Verifier, require_inside};
use crate::Error;
use crate::program::{self, Running};
use crate::source::postgres::find;
use crate::source::{Record, failed, refused, require_name};

/// Which cluster, and what it must answer.
///
/// | field | default | |
/// |---|---|---|
/// | `name` | – | the verifier's name |
/// | `path` | – | the restored cluster, `db/data` |
/// | `database` | `"postgres"` | the database that is asked |
/// | `login` | `"postgres"` | as whom; no password is asked for |
/// | `queries` | none | what it must answer: [`Query`] |
/// | `read_all` | `true` | whether each row of the database is read, by `pg_dump` to nowhere |
/// | `programs` | none | the folder of `postgres` and the others, of the cluster's version; none: the newest of Debian's, else the search path |
/// | `user` | `"postgres"` | who runs the server if we are root, which PostgreSQL refuses to be; the files are given to them |
/// | `timeout` | `"1h"` | how long the start may take, which reads the log, and each query |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PostgresConfig {
    /// The verifier's name.
    pub name: String,
    /// The restored cluster.
    pub path: PathBuf,
    /// The database that is asked.
    pub database: String,
    /// As whom.
    pub login: String,
    /// What it must answer.
    pub queries: Vec<Query>,
    /// Whether each row is read.
    pub read_all: bool,
    /// The folder of PostgreSQL's programs.
    pub programs: Option<PathBuf>,
    /// Who runs the server if we are root.
    pub user: String,
    /// How long the start and each query may take.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            path: PathBuf::new(),
            database: "postgres".to_owned(),
            login: "postgres".to_owned(),
            queries: Vec::new(),
            read_all: true,
            programs: None,
            user: "postgres".to_owned(),
            timeout: Duration::from_hours(1),
        }
    }
}

impl Validate for PostgresConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        require_name(&self.name, &mut wrong);
        require_inside(&self.path, &mut wrong);
        self.queries.iter().for_each(|query| query.check(&mut wrong));
        for (field, value) in [("database", &self.database), ("login", &self.login), ("user", &self.user)] {
            wrong.require(!value.is_empty(), field, value, "must not be empty");
        }
        wrong.require(!self.timeout.is_zero(), "timeout", "0s", "must be more than 0; \"1h\" is usual");
        wrong.into_result()
    }
}

/// Starts a server of its own on a restored cluster, and asks it.
///
/// The server is reached by a socket in a folder of its own alone. It archives nothing and follows nobody, whatever the restored
/// configuration says; it recovers by its `recovery.signal` if there is one. The restored files are written to, and given to another
/// user if we are root, who must be able to enter the folders above them.
#[derive(Debug, Clone)]
pub struct Postgres {
    config: PostgresConfig,
    record: Option<Record>,
    ctx: Ctx,
}

/// What keeps a restored server from reaching out, and makes it quick: it need not survive a crash.
const SETTINGS: [&str; 10] = [
    "listen_addresses=",
    "archive_mode=off",
    "archive_command=",
    "primary_conninfo=",
    "shared_preload_libraries=",
    "logging_collector=off",
    "log_destination=stderr",
    "ssl=off",
    "fsync=off",
    "max_wal_senders=0",
];

/// For `psql`, before a query: its answer alone.
const PSQL: [&str; 5] = ["--no-psqlrc", "--tuples-only", "--no-align", "--quiet", "--command"];

/// How long a server may take to stop before it is killed.
const STOPS_WITHIN: Duration = Duration::from_secs(30);

/// How often it is asked whether it is there.
const PAUSE: Duration = Duration::from_millis(100);

impl Postgres {
    /// The verifier that `config` describes.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when something is wrong with it.
    pub fn new(config: PostgresConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        Ok(Self { config, record: None, ctx: ctx.clone() })
    }

    /// It must be the cluster that was recorded.
    #[must_use]
    pub fn against(mut self, record: Record) -> Self {
        self.record = Some(record);
        self
    }

    async fn look(&self, data: PathBuf, made: SystemTime) -> Result<Verdict, Error> {
        let mut verdict = Verdict::new();
        let shown = self.config.path.display();
        if !data.join("PG_VERSION").is_file() {
            verdict.add(format!("the cluster {shown}"), "a cluster of PostgreSQL", "none", false);
            return Ok(verdict);
        }
        let owner = Owner::of_server(&self.config.name, &self.config.user)?;
        let (name, at) = (self.config.name.clone(), data.clone());
        let prepared = tokio::task::spawn_blocking(move || {
            Place::prepare(&at, owner).map_err(|error| {
                failed(&name, format!("{} cannot be given to a server", at.display()), error)
            })
        });
        let place = prepared.await.map_err(|gone| failed(&self.config.name, "it was given up", gone))??;

        let mut server = Running::start(&self.config.name, self.server(&data, &place, owner)?)?;
        let started = "the server starts on it";
        // What it says is read until it is ready; it does without a reader from then on.
        let ready = tokio::select! {
            ended = server.end(&self.config.name, "postgres", &self.ctx) => {
                let ended = ended?;
                let said = if ended.complaint.is_empty() { ended.answer } else { ended.complaint };
                Err(format!("{}: {}", ended.status, said.trim()))
            }
            ready = timeout(&*self.ctx.clock, self.config.timeout, self.ready(&place)) => match ready {
                Ok(ready) => ready.map(Ok)?,
                Err(elapsed) => Err(elapsed.to_string()),
            },
        };
        match ready {
            Ok(()) => verdict.add(started, "it answers", "it answers", true),
            Err(found) => {
                verdict.add(started, "it answers", found, false);
                server.kill().await;
                return Ok(verdict);
            }
        }
        let asked = self.ask(&place, made, &mut verdict).await;
        self.stop(server).await;
        asked.map(|()| verdict)
    }

    fn server(&self, data: &Path, place: &Place, owner: Owner) -> Result<Command, Error> {
        let program = find(&self.config.name, "postgres", self.config.programs.as_deref())?;
        let mut command = Command::new(program);
        command.arg("-D").arg(data).arg("-k").arg(&place.folder);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        // The restored rules may want a password that nobody here has; the socket is in a folder that nobody else enters.
        command.arg("-c").arg(format!("hba_file={}", place.folder.join("hba").display()));
        if !data.join("postgresql.conf").exists() {
            // Debian keeps it elsewhere.
            command.arg("-c").arg(format!("config_file={}", place.folder.join("conf").display()));
        }
        if !data.join("recovery.signal").exists() {
            command.args(["-c", "restore_command="]);
        }
        if let Some((user, group)) = owner.0 {
            command.uid(user).gid(group).current_dir("/");
        }
        Ok(command)
    }

    /// Waits until the server takes queries and has recovered.
    async fn ready(&self, place: &Place) -> Result<(), Error> {
        loop {
            // A database that each cluster has: whether it has the one that is asked is seen when it is asked.
            let mut ask = self.client("psql", place)?;
            ask.env("PGDATABASE", "template1").args(PSQL).arg("SELECT pg_is_in_recovery()");
            let asked = self.run(ask).await?;
            if asked.is_ok_and(|answer| answer == "f") {
                return Ok(());
            }
            self.ctx.clock.sleep(PAUSE).await;
        }
    }

    async fn ask(&self, place: &Place, made: SystemTime, verdict: &mut Verdict) -> Result<(), Error> {
        let expected = self.record.as_ref().and_then(|record| record.facts.get("system_identifier"));
        if let Some(expected) = expected {
            let found = self.query(place, "SELECT system_identifier FROM pg_control_system()").await?;
            verdict.same("system_identifier, as recorded", expected, &found.unwrap_or_else(|error| error));
        }
        if self.config.read_all {
            let mut dump = self.client("pg_dump", place)?;
            dump.args(["--format=custom", "--compress=0", "--no-sync", "--file=/dev/null"]);
            let what = format!("reading each row of `{}`", self.config.database);
            match self.run(dump).await? {
                Ok(_) => verdict.add(what, "no error", "no error", true),
                Err(error) => verdict.add(what, "no error", error, false),
            }
        }
        for query in &self.config.queries {
            match self.query(place, &query.sql).await? {
                // What is `NULL` is shown as nothing at all.
                Ok(answer) => {
                    let found = Some(answer.as_str()).filter(|answer| !answer.is_empty());
                    query.judge(found, made, verdict);
                }
                Err(error) => verdict.add(&query.sql, "an answer", error, false),
            }
        }
        Ok(())
    }

    fn client(&self, name: &str, place: &Place) -> Result<Command, Error> {
        let mut command = Command::new(find(&self.config.name, name, self.config.programs.as_deref())?);
        command.arg("--no-password").arg("--host").arg(&place.folder);
        command
            .args(["--username", &self.config.login])
            .env("PGPORT", PORT)
            .env("PGDATABASE", &self.config.database);
        Ok(command)
    }

    /// What a query answers, or how it fails.
    async fn query(&self, place: &Place, sql: &str) -> Result<Result<String, String>, Error> {
        let mut psql = self.client("psql", place)?;
        psql.args(PSQL).arg(sql);
        self.run(psql).await
    }

    /// What a program answers, or what it complains of.
    async fn run(&self, command: Command) -> Result<Result<String, String>, Error> {
        match program::run(&self.config.name, command, self.config.timeout, &self.ctx).await {
            Ok(ended) if ended.status.success() => Ok(Ok(ended.answer.trim_end().to_owned())),
            Ok(ended) => Ok(Err(ended.complaint.trim().to_owned())),
            Err(error @ Error::Timeout { .. }) => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Asks the server to stop, and kills it if it does not.
    async fn stop(&self, mut server: Running) {
        server.signal(Signal::INT);
        let stopped = timeout(&*self.ctx.clock, STOPS_WITHIN, server.wait()).await;
        if stopped.is_err() {
            server.kill().await;
        }
    }
}

impl Verifier for Postgres {
    fn name(&self) -> &str {
        &self.config.name
    }

    async fn verify(&self, restored: &Path, made: SystemTime) -> Result<Verdict, Error> {
        tokio::select! {
            verdict = self.look(restored.join(&self.config.path), made) => verdict,
            // The server is killed when the look is dropped, and its children see that and end.
            () = self.ctx.shutdown.stopped() => Err(Error::Stopped),
        }
    }
}

/// The socket is named after a port; in a folder of its own it may be any.
const PORT: &str = "5432";

/// A folder for the server's socket and rules, gone when dropped.
struct Place {
    folder: PathBuf,
}

impl Place {
    /// Gives the cluster to its server, and makes a folder for the two of us. The path of a socket must be short, so it is among the
    /// system's temporary files.
    fn prepare(data: &Path, owner: Owner) -> io::Result<Self> {
        owner.take_all(data)?;
        fs::set_permissions(data, fs::Permissions::from_mode(0o700))?;
        let folder = std::env::temp_dir().join(format!("buttress-{:016x}", buttress_core::unique_number()));
        fs::create_dir(&folder)?;
        let place = Self { folder };
        fs::set_permissions(&place.folder, fs::Permissions::from_mode(0o700))?;
        fs::write(place.folder.join("hba"), "local all all trust\n")?;
        fs::write(place.folder.join("conf"), "")?;
        owner.take_all(&place.folder)?;
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Among temporary files, what is left does no harm.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Who runs the server: ourselves, or somebody else if we are root.
#[derive(Debug, Clone, Copy)]
struct Owner(Option<(u32, u32)>);

impl Owner {
    fn of_server(of: &str, user: &str) -> Result<Self, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self(None));
        }
        let path = Path::new("/etc/passwd");
        let users = fs::read_to_string(path).map_err(|error| Error::file("read", path, error))?;
        let ids = users.lines().find_map(|line| ids(line, user)).filter(|(user, _)| *user != 0);
        ids.map(|ids| Self(Some(ids))).ok_or_else(|| {
            refused(of, format!("PostgreSQL refuses to be root, and there is no user `{user}`; set `user` to one that is none"))
        })
    }

    fn take_all(self, path: &Path) -> io::Result<()> {
        let Some((user, group)) = self.0 else { return Ok(()) };
        lchown(path, Some(user), Some(group))?;
        if path.symlink_metadata()?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.take_all(&entry?.path())?;
            }
        }
        Ok(())
    }
}

/// The numbers of `user` and of its group, of a line of the list of users.
fn ids(line: &str, user: &str) -> Option<(u32, u32)> {
    let mut fields = line.split(':');
    let named = fields.next()? == user;
    let (user, group) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
    named.then_some((user, group))
}
