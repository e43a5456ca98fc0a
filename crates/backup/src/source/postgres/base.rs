//! A whole cluster, file by file.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use buttress_core::Ctx;
use serde::Deserialize;

use super::{PostgresConfig, Server, blocking, folder};
use crate::Error;
use crate::source::{Collected, Consistency, Source, failed, refused, root};

/// All databases of a cluster as files, by `pg_basebackup`
/// (<https://www.postgresql.org/docs/current/app-pgbasebackup.html>), with the log that makes them consistent.
///
/// A server of the same major version starts on the restored `/NAME/data`; with the log that was archived since, it goes on to any later
/// moment. The copy counts when `pg_verifybackup` has compared each file with its SHA-256 and has read the log. `taken` is when the copy
/// began; what was committed until its end is there too. The user needs the right to replicate.
///
/// Facts: `start_lsn`, `end_lsn`, `timeline`, `start_segment` (the first file of the log that a recovery reads), `files`, `bytes`,
/// `system_identifier`, `server_version`.
///
/// A cluster with tablespaces is refused, as their files would be written outside the scratch folder.
#[derive(Debug, Clone)]
pub struct PostgresBase(Server);

impl PostgresBase {
    /// The source that `config` describes.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when something is wrong with it.
    pub fn new(config: PostgresConfig, ctx: &Ctx) -> Result<Self, Error> {
        Server::new(config, ctx).map(Self)
    }
}

impl Source for PostgresBase {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn collect(&self, scratch: &Path) -> Result<Collected, Error> {
        let server = &self.0;
        let login = server.login(scratch)?;
        let cluster = self.cluster(&login).await?;
        let data = folder(scratch, "data")?;

        let taken = server.ctx.clock.wall();
        let mut copy = server.program("pg_basebackup", &login)?;
        copy.args(["--format=plain", "--wal-method=stream", "--checkpoint=fast", "--no-sync"])
            .args(["--manifest-checksums=SHA256", "--label=buttress", "--pgdata"])
            .arg(&data);
        server.run(copy).await?;
        drop(login);

        let mut verify = server.tool("pg_verifybackup")?;
        verify.args(["--exit-on-error", "--quiet"]).arg(&data);
        server.run(verify).await?;

        let (name, at) = (server.name().to_owned(), data.clone());
        let facts = blocking(server.name(), move || Facts::read(&name, &at)).await?;
        let position = format!("{}:{}", facts.timeline, facts.end_lsn);
        let copy = root(data, server.name(), "data");
        Ok(Collected::new(vec![copy], Consistency::PointInTime(position), taken)
            .fact("start_lsn", &facts.start_lsn)
            .fact("end_lsn", &facts.end_lsn)
            .fact("timeline", &facts.timeline)
            .fact("start_segment", &facts.start_segment)
            .fact("files", &facts.files)
            .fact("bytes", &facts.bytes)
            .fact("system_identifier", &cluster.system_identifier)
            .fact("server_version", &cluster.version))
    }
}

struct Cluster {
    system_identifier: String,
    version: String,
}

impl PostgresBase {
    /// What the server says of itself.
    async fn cluster(&self, login: &super::Login) -> Result<Cluster, Error> {
        let sql = "SELECT system_identifier FROM pg_control_system(); \
                   SELECT current_setting('server_version'); \
                   SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE pg_tablespace_location(oid) <> ''";
        let mut lines = self.0.query(sql, login).await?.into_iter();
        let (Some(system_identifier), Some(version)) = (lines.next(), lines.next()) else {
            return Err(refused(self.name(), "the server does not say which cluster it is"));
        };
        let tablespaces: Vec<String> = lines.collect();
        if tablespaces.is_empty() {
            return Ok(Cluster { system_identifier, version });
        }
        let places = tablespaces.join(", ");
        Err(refused(
            self.name(),
            format!(
                "the cluster has tablespaces ({places}), which a base backup cannot hold; dump its databases"
            ),
        ))
    }
}

/// What the copy says of itself.
struct Facts {
    start_lsn: String,
    end_lsn: String,
    timeline: u32,
    start_segment: String,
    files: usize,
    bytes: u64,
}

/// The part of `backup_manifest` that is needed
/// (<https://www.postgresql.org/docs/current/backup-manifest-format.html>).
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    files: Vec<Listed>,
    #[serde(rename = "WAL-Ranges")]
    ranges: Vec<Range>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Range {
    timeline: u32,
    #[serde(rename = "Start-LSN")]
    start: String,
    #[serde(rename = "End-LSN")]
    end: String,
}

impl Facts {
    fn read(of: &str, data: &Path) -> Result<Self, Error> {
        let path = data.join("backup_manifest");
        let file = File::open(&path).map_err(|error| Error::file("read", &path, error))?;
        let manifest: Manifest = serde_json::from_reader(BufReader::new(file))
            .map_err(|error| failed(of, "its `backup_manifest` cannot be read", error))?;
        let (Some(first), Some(last)) = (
            manifest.ranges.iter().min_by_key(|range| range.timeline),
            manifest.ranges.iter().max_by_key(|range| range.timeline),
        ) else {
            return Err(refused(of, "its `backup_manifest` names no part of the log"));
        };
        let path = data.join("backup_label");
        let label = std::fs::read_to_string(&path).map_err(|error| Error::file("read", &path, error))?;
        // START WAL LOCATION: 0/2000028 (file 000000010000000000000002)
        let segment = label.lines().find_map(|line| {
            line.strip_prefix("START WAL LOCATION: ")?.split_once("(file ")?.1.strip_suffix(')')
        });
        let segment =
            segment.ok_or_else(|| refused(of, "its `backup_label` does not say where the log begins"))?;
        Ok(Self {
            start_lsn: first.start.clone(),
            end_lsn: last.end.clone(),
            timeline: last.timeline,
            start_segment: segment.to_owned(),
            files: manifest.files.len(),
            bytes: manifest.files.iter().map(|file| file.size).fold(0, u64::saturating_add),
        })
    }
}
