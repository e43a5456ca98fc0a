//! PostgreSQL, by the programs that come with it.
//!
//! [`PostgresBase`] copies a whole cluster's files, from which the archived log leads to any later moment; [`PostgresDump`] writes one
//! database as statements, which another version or another machine reads. They run PostgreSQL's own programs, as nobody else speaks
//! its replication protocol as well, and need no client of a database.

mod base;
mod dump;

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use buttress_connect::{Address, Backend};
use buttress_core::{Ctx, Validate, Violations, units};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

pub use base::PostgresBase;
pub use dump::PostgresDump;

use super::{failed, refused, require_name};
use crate::{Error, program};

/// Which server, and the programs that copy it.
///
/// | field | default | |
/// |---|---|---|
/// | `name` | – | the source's name |
/// | `address` | – | `postgres://user:password@host/database`; parameters are those of libpq |
/// | `programs` | none | the folder of `pg_basebackup` and the others; none: the newest of Debian's, else the search path. They must not be older than the server, and `pg_verifybackup` as old |
/// | `timeout` | `"4h"` | how long each program may run |
/// | `role_passwords` | `true` | whether a dump has the (hashed) passwords of roles, which only a superuser reads |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PostgresConfig {
    /// The source's name.
    pub name: String,
    /// The server, and the database that is dumped.
    pub address: Option<Address>,
    /// The folder of PostgreSQL's programs.
    pub programs: Option<PathBuf>,
    /// How long each program may run.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
    /// Whether a dump has the passwords of roles.
    pub role_passwords: bool,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            address: None,
            programs: None,
            timeout: Duration::from_hours(4),
            role_passwords: true,
        }
    }
}

impl Validate for PostgresConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        require_name(&self.name, &mut wrong);
        match &self.address {
            Some(address) => {
                let holds = address.backend() == Backend::Postgres;
                wrong.require(holds, "address", address, "must be `postgres://…`");
                if let Err(error) = address.without_password() {
                    wrong.require(false, "address", address, error.to_string());
                }
            }
            None => wrong.require(false, "address", "none", "must be `postgres://…`"),
        }
        let shown = units::format_duration(self.timeout);
        wrong.require(!self.timeout.is_zero(), "timeout", shown, "must be more than 0; \"4h\" is usual");
        wrong.into_result()
    }
}

/// What both sources do with a server.
#[derive(Debug, Clone)]
struct Server {
    config: PostgresConfig,
    /// The address, as everybody may see it.
    place: String,
    password: Option<secrecy::SecretString>,
    ctx: Ctx,
}

impl Server {
    fn new(config: PostgresConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        // It is there, and splits: both were checked.
        let split = config.address.as_ref().map(Address::without_password);
        let Some(Ok((address, password))) = split else {
            return Err(refused(&config.name, "it has no address"));
        };
        let place = address.expose().to_owned();
        Ok(Self { config, place, password: password.map(Into::into), ctx: ctx.clone() })
    }

    fn name(&self) -> &str {
        &self.config.name
    }

    /// Writes the password where the programs look for it, if there is one.
    fn login(&self, scratch: &Path) -> Result<Login, Error> {
        let Some(password) = &self.password else { return Ok(Login(None)) };
        let path = scratch.join("pgpass");
        let line = secrecy::ExposeSecret::expose_secret(password).replace('\\', "\\\\").replace(':', "\\:");
        let write = || {
            let mut file =
                std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            // For any host, port, database and user: only the programs that are started here read it.
            writeln!(file, "*:*:*:*:{line}")
        };
        write().map_err(|error| Error::file("write", &path, error))?;
        Ok(Login(Some(path)))
    }

    /// A program, ready to be told what to do at the server.
    fn program(&self, name: &str, login: &Login) -> Result<Command, Error> {
        let mut command = self.tool(name)?;
        command.args(["--no-password", "--dbname", &self.place]).env("PGCONNECT_TIMEOUT", "30");
        if let Some(path) = &login.0 {
            command.env("PGPASSFILE", path).env_remove("PGPASSWORD");
        }
        Ok(command)
    }

    /// A program that needs no server.
    fn tool(&self, name: &str) -> Result<Command, Error> {
        Ok(Command::new(find(self.name(), name, self.config.programs.as_deref())?))
    }

    /// Runs a program, which has to end well; what it answered.
    async fn run(&self, command: Command) -> Result<String, Error> {
        program::run_well(self.name(), command, self.config.timeout, &self.ctx).await
    }

    /// The lines of one statement's answer.
    async fn query(&self, sql: &str, login: &Login) -> Result<Vec<String>, Error> {
        let mut psql = self.program("psql", login)?;
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet", "--command", sql]);
        Ok(self.run(psql).await?.lines().map(str::to_owned).collect())
    }
}

/// Where Debian keeps the programs of each version: its own on the search path are wrappers.
const PLACES: [&str; 1] = ["/usr/lib/postgresql/*/bin"];

/// One of PostgreSQL's programs.
pub(crate) fn find(of: &str, name: &str, folder: Option<&Path>) -> Result<PathBuf, Error> {
    let package = match name {
        "postgres" | "pg_waldump" => "postgresql",
        _ => "postgresql-client",
    };
    program::find(of, name, folder, &PLACES, package)
}

/// The file with the password, gone when dropped.
struct Login(Option<PathBuf>);

impl Drop for Login {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // It lies in a folder that goes too.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A folder of its own in the scratch folder.
fn folder(scratch: &Path, name: &str) -> Result<PathBuf, Error> {
    let path = scratch.join(name);
    std::fs::create_dir_all(&path).map_err(|error| Error::file("make", &path, error))?;
    Ok(path)
}

/// Runs what waits for a disk.
async fn blocking<T: Send + 'static>(
    of: &str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|gone| Err(failed(of, "it was given up", gone)))
}
