//! Redis, by the copy that its replicas are given.

use std::path::{Path, PathBuf};
use std::time::Duration;

use buttress_connect::Address;
use buttress_core::{Ctx, Validate, Violations, units};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::{Collected, Consistency, Source, refused, require_name, root};
use crate::{Error, program};

/// Which server, and the programs that copy it.
///
/// | field | default | |
/// |---|---|---|
/// | `name` | – | the source's name; in a snapshot its copy is `/NAME/dump.rdb` |
/// | `address` | – | one server, `redis://user:password@host:6379`, or `rediss://` for TLS; of a cluster, each master is a source |
/// | `ca_file` | none | certificates (PEM) for TLS; none: the system's |
/// | `programs` | none | the folder of `redis-cli` and `redis-check-rdb`, which must not be older than the server; none: the search path |
/// | `timeout` | `"1h"` | how long each program may run |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisConfig {
    /// The source's name.
    pub name: String,
    /// The server.
    pub address: Option<Address>,
    /// Certificates for TLS.
    pub ca_file: Option<PathBuf>,
    /// The folder of Redis' programs.
    pub programs: Option<PathBuf>,
    /// How long each program may run.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
}

impl Default for RedisConfig {
    fn default() -> Self {
        let timeout = Duration::from_hours(1);
        Self { name: String::new(), address: None, ca_file: None, programs: None, timeout }
    }
}

impl Validate for RedisConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        require_name(&self.name, &mut wrong);
        let shown = self.address.as_ref().map_or("none".to_owned(), ToString::to_string);
        let place = self.address.as_ref().map(Place::of);
        if !matches!(place, Some(Ok(_))) {
            let problem = match place {
                Some(Err(problem)) => problem,
                _ => "must be `redis://…` or `rediss://…`, of one server".to_owned(),
            };
            wrong.require(false, "address", shown, problem);
        }
        let shown = units::format_duration(self.timeout);
        wrong.require(!self.timeout.is_zero(), "timeout", shown, "must be more than 0; \"1h\" is usual");
        wrong.into_result()
    }
}

/// All databases of a Redis, as the snapshot that it gives a new replica, by `redis-cli --rdb`
/// (<https://redis.io/docs/latest/develop/tools/cli/>).
///
/// `BGSAVE` writes a file on the server's own disk, which a backup on another machine does not reach, and which the server's own schedule
/// overwrites. What a replica is given comes over the connection, is as consistent (one fork), and costs the server the same. The user
/// needs the right to `SYNC` (`+sync +psync +replconf`), which hosted services seldom give. The
/// server may wait for other replicas first (`repl-diskless-sync-delay`, 5 s).
///
/// The copy counts when `redis-check-rdb` has read it to its checksum. A replica that is cut from its master is refused, as what it shows
/// is old. The server goes through its keys in an order that holds until it is started anew, so that the next snapshot costs little more
/// than what changed. Memory on the server: what is written while the copy is made.
///
/// Facts: `keys`, `expiring` (keys with an end), `databases` (that hold keys), `bytes`, `server_version`, `replication` (`ID:OFFSET`, where in the
/// server's stream it was taken). A key whose end has come is counted,
/// and dropped by the server that loads it.
#[derive(Debug, Clone)]
pub struct Redis {
    config: RedisConfig,
    place: Place,
    ctx: Ctx,
}

impl Redis {
    /// The source that `config` describes.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when something is wrong with it.
    pub fn new(config: RedisConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let place = config.address.as_ref().map(Place::of);
        let Some(Ok(place)) = place else { return Err(refused(&config.name, "it has no address")) };
        Ok(Self { config, place, ctx: ctx.clone() })
    }

    fn client(&self) -> Result<Command, Error> {
        let mut command =
            Command::new(find(&self.config.name, "redis-cli", self.config.programs.as_deref())?);
        let place = &self.place;
        command.args(["-e", "-h", &place.host, "-p", &place.port.to_string()]);
        if let Some(user) = &place.user {
            command.args(["--user", user]);
        }
        if let Some(password) = &place.password {
            // The environment is seen by this user and root alone, arguments by everybody.
            command.env("REDISCLI_AUTH", password.expose_secret());
        }
        if place.tls {
            command.arg("--tls");
            if let Some(file) = &self.config.ca_file {
                command.arg("--cacert").arg(file);
            }
        }
        Ok(command)
    }

    async fn run(&self, command: Command) -> Result<String, Error> {
        program::run_well(&self.config.name, command, self.config.timeout, &self.ctx).await
    }

    /// Asks whether the server has what it should.
    async fn require_current(&self) -> Result<(), Error> {
        let mut ask = self.client()?;
        ask.args(["INFO", "replication"]);
        let told = self.run(ask).await?;
        if told.lines().any(|line| line.trim() == "master_link_status:down") {
            return Err(refused(
                &self.config.name,
                "this replica is cut from its master, and what it has is old",
            ));
        }
        Ok(())
    }
}

impl Source for Redis {
    fn name(&self) -> &str {
        &self.config.name
    }

    async fn collect(&self, scratch: &Path) -> Result<Collected, Error> {
        let name = &self.config.name;
        self.require_current().await?;
        let path = scratch.join("dump.rdb");
        let taken = self.ctx.clock.wall();
        let mut copy = self.client()?;
        copy.arg("--rdb").arg(&path);
        self.run(copy).await?;

        let contents =
            check(name, &path, self.config.programs.as_deref(), self.config.timeout, &self.ctx).await?;
        let about = tokio::fs::metadata(&path).await.map_err(|error| Error::file("read", &path, error))?;
        let copy = root(path, name, "dump.rdb");
        Ok(Collected::new(vec![copy], Consistency::Application, taken)
            .fact("keys", &contents.keys)
            .fact("expiring", &contents.expiring)
            .fact("databases", &contents.databases)
            .fact("bytes", &about.len())
            .fact("replication", &contents.replication)
            .fact("server_version", &contents.version))
    }
}

/// One of Redis' programs.
fn find(of: &str, name: &str, folder: Option<&Path>) -> Result<PathBuf, Error> {
    program::find(of, name, folder, &["/usr/bin"], "redis-tools")
}

/// What `redis-check-rdb` tells of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) keys: u64,
    pub(crate) expiring: u64,
    pub(crate) databases: usize,
    pub(crate) version: String,
    /// Where in the server's stream of replication it was taken.
    pub(crate) replication: String,
    /// When the server wrote it, in seconds since 1970 by its own clock.
    pub(crate) written: Option<u64>,
}

/// Reads a copy to its end, and its checksum.
pub(crate) async fn check(
    of: &str,
    path: &Path,
    programs: Option<&Path>,
    limit: Duration,
    ctx: &Ctx,
) -> Result<Contents, Error> {
    let mut command = Command::new(find(of, "redis-check-rdb", programs)?);
    command.arg(path);
    let ended = program::run(of, command, limit, ctx).await?;
    if !ended.status.success() {
        // The reason stands below a line of its own; without one, the program has failed and not the file.
        let mut lines = ended.answer.lines().skip_while(|line| !line.contains("RDB ERROR"));
        return Err(match lines.nth(1) {
            Some(reason) => {
                refused(of, format!("the copy is not whole, as `redis-check-rdb` found: {reason}"))
            }
            None => ended.failure(of, "redis-check-rdb"),
        });
    }
    Contents::parse(&ended.answer)
        .ok_or_else(|| refused(of, "`redis-check-rdb` does not say how many keys it has read"))
}

impl Contents {
    /// Reads `[info] 12 keys read` and the like.
    fn parse(told: &str) -> Option<Self> {
        let field = |name: &str| {
            let mark = format!("AUX FIELD {name} = ");
            let value = told.lines().find_map(|line| line.split_once(&mark)).map(|(_, value)| value);
            value.unwrap_or("unknown").trim().trim_matches('\'').to_owned()
        };
        let number = |mark: &str| {
            let line = told.lines().find(|line| line.starts_with("[info] ") && line.ends_with(mark))?;
            line.strip_prefix("[info] ")?.strip_suffix(mark)?.trim().parse().ok()
        };
        Some(Self {
            keys: number(" keys read")?,
            expiring: number(" expires")?,
            databases: told.lines().filter(|line| line.contains("Selecting DB ID")).count(),
            version: field("redis-ver"),
            written: field("ctime").parse().ok(),
            replication: format!("{}:{}", field("repl-id"), field("repl-offset")),
        })
    }
}

/// One server.
#[derive(Debug, Clone)]
struct Place {
    tls: bool,
    host: String,
    port: u16,
    user: Option<String>,
    password: Option<SecretString>,
}

impl Place {
    fn of(address: &Address) -> Result<Self, String> {
        let (address, password) = address.without_password().map_err(|error| error.to_string())?;
        let one = || "must be `redis://…` or `rediss://…`, of one server".to_owned();
        let (scheme, rest) = address.expose().split_once("://").ok_or_else(one)?;
        let tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(one()),
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let (user, server) = match authority.rsplit_once('@') {
            Some((user, server)) => (Some(user).filter(|user| !user.is_empty()), server),
            None => (None, authority),
        };
        let (host, port) = match server.rsplit_once(':') {
            // The colons of an IPv6 address stand in brackets.
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| format!("`{port}` is no port"))?)
            }
            _ => (server, 6379),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(',') {
            return Err(one());
        }
        if user.is_some_and(|user| user.contains('%')) {
            return Err("a user whose name has a `%` is not supported".to_owned());
        }
        Ok(Self {
            tls,
            host: host.to_owned(),
            port,
            user: user.map(str::to_owned),
            password: password.map(Into::into),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]
    use super::*;

    #[test]
    fn a_place_is_one_server() {
        for (address, host, port, user) in [
            ("redis://cache", "cache", 6379, None),
            ("rediss://app:pw@cache:1/3", "cache", 1, Some("app")),
            ("redis://:pw@[::1]:7", "::1", 7, None),
            ("redis://[::1]", "::1", 6379, None),
        ] {
            let place = Place::of(&address.parse().unwrap()).unwrap();
            assert_eq!((&*place.host, place.port, place.user.as_deref()), (host, port, user), "{address}");
            assert_eq!(place.password.is_some(), address.contains("pw"));
        }
        for address in
            ["redis+cluster://one,two", "redis+sentinel://one?master=x", "redis://x:y", "postgres://x"]
        {
            assert!(Place::of(&address.parse().unwrap()).is_err(), "{address}");
        }
    }
}
