//! One database as statements.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use buttress_core::Ctx;

use super::{PostgresConfig, Server, blocking};
use crate::Error;
use crate::source::{Collected, Consistency, Source, refused, root};

/// One database as `pg_dump` writes it (<https://www.postgresql.org/docs/current/app-pgdump.html>), in a transaction of its own, and the
/// roles and settings of its cluster.
///
/// `pg_restore --dbname=… DUMP` makes it again from `/NAME/dump`, on this or a later version, after `psql --file=globals.sql` has made the
/// roles. It is not compressed, so that the next snapshot costs only what changed. The dump counts when `pg_restore` reads its table of
/// contents and each table's data is there to its end.
///
/// Facts: `tables`, `rows.SCHEMA.TABLE` of the first 1,000 tables (counted in the dump), `bytes`, `server_version`.
#[derive(Debug, Clone)]
pub struct PostgresDump(Server);

/// How many tables have a fact of their own.
const MOST_COUNTED: usize = 1000;

impl PostgresDump {
    /// The source that `config` describes.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when something is wrong with it.
    pub fn new(config: PostgresConfig, ctx: &Ctx) -> Result<Self, Error> {
        Server::new(config, ctx).map(Self)
    }
}

impl Source for PostgresDump {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn collect(&self, scratch: &Path) -> Result<Collected, Error> {
        let server = &self.0;
        let login = server.login(scratch)?;
        let version = server.query("SELECT current_setting('server_version')", &login).await?.concat();
        let (dump, globals, contents) =
            (scratch.join("dump"), scratch.join("globals.sql"), scratch.join("contents"));

        let mut roles = server.program("pg_dumpall", &login)?;
        roles.args(["--globals-only", "--no-sync", "--file"]).arg(&globals);
        if !server.config.role_passwords {
            roles.arg("--no-role-passwords");
        }
        server.run(roles).await?;

        let taken = server.ctx.clock.wall();
        let mut write = server.program("pg_dump", &login)?;
        write.args(["--format=directory", "--compress=0", "--no-sync", "--file"]).arg(&dump);
        server.run(write).await?;
        drop(login);

        let mut list = server.tool("pg_restore")?;
        list.args(["--list", "--file"]).arg(&contents).arg(&dump);
        server.run(list).await?;

        let (name, at) = (server.name().to_owned(), dump.clone());
        let tables = blocking(server.name(), move || count(&name, &at, &contents)).await?;
        let roots = vec![root(dump, server.name(), "dump"), root(globals, server.name(), "globals.sql")];
        let mut collected = Collected::new(roots, Consistency::Application, taken)
            .fact("server_version", &version)
            .fact("tables", &tables.len())
            .fact("bytes", &tables.iter().map(|table| table.bytes).fold(0, u64::saturating_add));
        for table in tables.into_iter().take(MOST_COUNTED) {
            collected = collected.fact(format!("rows.{}", table.name), &table.rows);
        }
        Ok(collected)
    }
}

struct Table {
    name: String,
    rows: u64,
    bytes: u64,
}

/// The tables of a dump whose table of contents `pg_restore` has listed in `contents`.
fn count(of: &str, dump: &Path, contents: &Path) -> Result<Vec<Table>, Error> {
    let listed = std::fs::read_to_string(contents).map_err(|error| Error::file("read", contents, error))?;
    let mut tables = Vec::new();
    for (id, name) in listed.lines().filter_map(table_data) {
        let path = dump.join(format!("{id}.dat"));
        let (rows, bytes) = rows(&path).map_err(|error| Error::file("read", &path, error))?;
        let rows =
            rows.ok_or_else(|| refused(of, format!("the data of `{name}` is cut off after {bytes} bytes")))?;
        tables.push(Table { name, rows, bytes });
    }
    Ok(tables)
}

/// The number and the name of a table, of a line like `3345; 0 16385 TABLE DATA public accounts postgres`.
fn table_data(line: &str) -> Option<(u64, String)> {
    let (id, rest) = line.split_once("; ")?;
    let (_, rest) = rest.split_once(" TABLE DATA ")?;
    let (name, _owner) = rest.rsplit_once(' ')?;
    Some((id.parse().ok()?, name.replacen(' ', ".", 1)))
}

/// The lines before the one that ends the data of a `COPY`, none if there is no such line; and the length of all.
fn rows(path: &Path) -> std::io::Result<(Option<u64>, u64)> {
    let mut file = BufReader::with_capacity(256 << 10, File::open(path)?);
    let bytes = file.get_ref().metadata()?.len();
    let (mut rows, mut line) = (0_u64, Vec::new());
    loop {
        line.clear();
        if file.read_until(b'\n', &mut line)? == 0 {
            return Ok((None, bytes));
        }
        if line == b"\\.\n" {
            return Ok((Some(rows), bytes));
        }
        rows = rows.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]
    use super::*;

    #[test]
    fn tables_are_found_in_the_table_of_contents() {
        let line = "3345; 0 16385 TABLE DATA public accounts postgres";
        assert_eq!(table_data(line), Some((3345, "public.accounts".to_owned())));
        for other in ["; Archive created at", "215; 1259 16385 TABLE public accounts postgres", ""] {
            assert_eq!(table_data(other), None);
        }
    }

    #[test]
    fn data_without_its_end_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.dat");
        for (data, expected) in
            [("a\tb\n\\\\.\n\n\\.\n\n\n", Some(3)), ("\\.\n\n", Some(0)), ("a\nb\n", None), ("a\n\\.", None)]
        {
            std::fs::write(&path, data).unwrap();
            assert_eq!(rows(&path).unwrap().0, expected, "{data:?}");
        }
    }
}
