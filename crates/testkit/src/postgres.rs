//! A PostgreSQL cluster in a temporary folder.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::redis::free_addr;
use crate::wait::READY_WITHIN;
use crate::{ProcessGroup, Program, wait_until};

/// A PostgreSQL server with a fresh cluster, superuser `postgres` and no password.
///
/// It listens on a free port and on a socket in its folder.
#[derive(Debug)]
pub struct Postgres {
    addr: SocketAddr,
    /// Whether a commit is on the disk before it is answered.
    durable: bool,
    bin: PathBuf,
    process: ProcessGroup,
    folder: TempDir, // Last: it goes when nobody writes to it any more.
}

impl Postgres {
    /// Makes a cluster, starts a server on it, and returns when it answers queries.
    ///
    /// It does not flush to disk (`fsync = off`): the cluster is thrown away, so no crash need be survived.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// The same with PostgreSQL's own defaults: a commit that was answered is on the disk.
    #[must_use]
    pub fn durable() -> Self {
        Self::start_with(true)
    }

    /// Starts a server on a copy of the cluster in `data`, as a restore leaves it.
    #[must_use]
    pub fn start_on(data: &Path) -> Self {
        Self::restored(|into| copy_folder(data, into))
    }

    /// Starts a server with PostgreSQL's own defaults on a cluster that `fill` puts into an empty folder: a backup that was restored. It
    /// returns when the server answers queries, which it does while it still recovers, too.
    #[must_use]
    pub fn restored(fill: impl FnOnce(&Path)) -> Self {
        let bin = programs();
        let folder = tempfile::tempdir().expect("temporary folder");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("our own folder");
        fill(&data);
        Owner::of(folder.path()).take(&data);
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).expect("our own folder");
        let addr = free_addr();
        let process = serve(&bin, addr, true, folder.path());
        Self { addr, durable: true, bin, process, folder }
    }

    /// The folder of PostgreSQL's programs: `pg_restore`, `pgbench` and the others.
    #[must_use]
    pub fn programs(&self) -> &Path {
        &self.bin
    }

    fn start_with(durable: bool) -> Self {
        let bin = programs();
        let folder = tempfile::tempdir().expect("temporary folder");
        let owner = Owner::of(folder.path());
        let data = folder.path().join("data");

        let initdb = owner
            .command(&bin.join("initdb"))
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg("--pgdata")
            .arg(&data)
            .output()
            .unwrap_or_else(|error| panic!("{} did not start: {error}", bin.join("initdb").display()));
        assert!(
            initdb.status.success(),
            "initdb failed with {}:\n{}",
            initdb.status,
            String::from_utf8_lossy(&initdb.stderr)
        );

        let addr = free_addr();
        let process = serve(&bin, addr, durable, folder.path());
        Self { addr, durable, bin, process, folder }
    }

    /// `kill -9`, and a new start at the same address with what is on the disk.
    pub fn crash(&mut self) {
        self.process.kill();
        self.process = serve(&self.bin, self.addr, self.durable, self.folder.path());
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The folder of the cluster's Unix socket, for clients that take one as a host.
    #[must_use]
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// The address of the database `postgres` as clients want it.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The address of `database` as clients want it.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}", self.addr)
    }

    /// Makes an empty database and returns its address: one server serves many tests this way.
    #[must_use]
    pub fn create_database(&self, name: &str) -> String {
        self.query("postgres", &format!("CREATE DATABASE \"{name}\"")).expect("a new name");
        self.url_of(name)
    }

    /// Runs one statement with `psql` and returns its rows, columns separated by `|`.
    ///
    /// # Errors
    ///
    /// What `psql` printed to standard error.
    pub fn query(&self, database: &str, sql: &str) -> Result<String, String> {
        psql(&self.bin, self.addr, database, sql)
    }

    /// The server's process, for tests that stop or kill it.
    pub fn process(&mut self) -> &mut ProcessGroup {
        &mut self.process
    }
}

/// The folder of PostgreSQL's programs.
fn programs() -> PathBuf {
    let server = Program::POSTGRES.path();
    // Debian links single programs into /usr/bin; the others lie beside the real file.
    let server = server.canonicalize().unwrap_or(server);
    server.parent().map(Path::to_owned).unwrap_or_default()
}

/// Copies what is in a folder.
fn copy_folder(from: &Path, to: &Path) {
    for entry in from.read_dir().expect("a folder").flatten() {
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            std::fs::create_dir(&copy).expect("the temporary folder takes a folder");
            // The server refuses folders that others can read.
            std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o700)).expect("our own folder");
            copy_folder(&path, &copy);
        } else {
            std::fs::copy(&path, &copy).expect("the temporary folder takes a file");
        }
    }
}

fn serve(bin: &Path, addr: SocketAddr, durable: bool, folder: &Path) -> ProcessGroup {
    let unsafe_but_quick = ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off"];
    let log = folder.join("postgres.log");
    let spawn = || {
        let mut command = Owner::of(folder).command(&bin.join("postgres"));
        command
            .arg("-D")
            .arg(folder.join("data"))
            .args(["-h", "127.0.0.1", "-p", &addr.port().to_string()])
            .args(if durable { &[] } else { &unsafe_but_quick[..] })
            .args(["-c", "max_connections=200", "-k"])
            .arg(folder);
        ProcessGroup::spawn(&mut command, &log)
    };
    let mut process = spawn();
    wait_until("postgres to answer a query", READY_WITHIN, || {
        // The children of a server that was killed have groups of their own, and end a little later.
        if process.exited().is_some() && process.output().contains("pre-existing shared memory block") {
            process = spawn();
        }
        process.expect_running();
        psql(bin, addr, "postgres", "SELECT 1").ok().filter(|answer| answer == "1")
    });
    process
}

fn psql(bin: &Path, addr: SocketAddr, database: &str, sql: &str) -> Result<String, String> {
    let output = Command::new(bin.join("psql"))
        .args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet", "--username=postgres"])
        .args([
            "--host=127.0.0.1",
            &format!("--port={}", addr.port()),
            "--dbname",
            database,
            "--command",
            sql,
        ])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Who runs the server: PostgreSQL refuses to be root, so root hands it to another user.
#[derive(Debug, Clone, Copy)]
struct Owner(Option<(u32, u32)>);

impl Owner {
    /// Ourselves; or, for root, the user `postgres` or `nobody`, to whom the folder is given.
    fn of(folder: &Path) -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self(None);
        }
        let passwd = std::fs::read_to_string("/etc/passwd").expect("the list of users is readable");
        let ids = ["postgres", "nobody"]
            .iter()
            .find_map(|name| ids_of(&passwd, name))
            .expect("root needs a user `postgres` or `nobody`, since PostgreSQL refuses to run as root");
        std::os::unix::fs::chown(folder, Some(ids.0), Some(ids.1)).expect("root may give folders away");
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("our own folder");
        Self(Some(ids))
    }

    /// Gives away a folder with all that is in it.
    fn take(self, path: &Path) {
        let Some((user, group)) = self.0 else { return };
        std::os::unix::fs::lchown(path, Some(user), Some(group)).expect("root may give folders away");
        if path.is_dir() && !path.is_symlink() {
            for entry in path.read_dir().expect("our own folder") {
                self.take(&entry.expect("our own folder").path());
            }
        }
    }

    fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some((user, group)) = self.0 {
            // The working folder may be one that the other user cannot enter.
            command.uid(user).gid(group).current_dir("/");
        }
        command
    }
}

/// User and group id of `name` in a passwd file.
fn ids_of(passwd: &str, name: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let _password = fields.next()?;
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::ids_of;

    #[test]
    fn a_user_is_found_by_the_whole_name() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\npostgresql:x:7:7::/:/bin/sh\npostgres:x:101:104:,,,:/:/bin/sh\n";
        assert_eq!(ids_of(passwd, "postgres"), Some((101, 104)));
        assert_eq!(ids_of(passwd, "nobody"), None);
    }
}
