//! Everything that the service keeps, of one moment.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use buttress_backup::source::{Collected, Consistency, Source, Sqlite, SqliteConfig};
use buttress_backup::{Error, Root};
use buttress_core::Ctx;
use rusqlite::{Connection, OpenFlags};

use super::SOURCE;
use crate::config::DocprocConfig;

/// How often a moment is looked for at which each waiting document has its bytes.
const ATTEMPTS: usize = 5;

/// A database: what its facts begin with, and its place in the service's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Database {
    pub(super) name: &'static str,
    pub(super) place: &'static str,
}

/// What the service has accepted and read.
pub(super) const DOCUMENTS: Database = Database { name: "documents", place: "docproc.db" };
/// What `docproc submit` has put into the queue.
const QUEUE: Database = Database { name: "queue", place: "queue.db" };
/// API keys.
const KEYS: Database = Database { name: "keys", place: "security/keys.db" };

/// All of them.
pub(super) const DATABASES: [Database; 3] = [DOCUMENTS, QUEUE, KEYS];

/// Bytes of documents that wait.
pub(super) const ACCEPTED: &str = "accepted";

/// The service's folder, of one moment: its databases as their transactions left them, and the bytes of each document that they say is waiting.
///
/// No writer is held up for it, in whichever process. The bytes of a document lie there before its row does, and go after; so they are
/// linked before the database is copied, and what came meanwhile after that. If a row of the copy has no bytes then, they have gone, and the
/// copy is made anew. Documents and results of the fleet are only added, before the queue names them: they are read after it.
pub(super) struct Data {
    accepted: PathBuf,
    documents: Sqlite,
    /// Others that may be there.
    databases: Vec<(Database, PathBuf, Sqlite)>,
    /// Documents and results of the fleet, if they are in a folder.
    blobs: Option<PathBuf>,
    /// Secrets, the audit log, and the database of API keys, which is copied as such.
    security: PathBuf,
}

impl Data {
    pub(super) fn new(config: &DocprocConfig, ctx: &Ctx) -> Result<Self, Error> {
        let folder = &config.store.folder;
        let copy = |path: &Path| {
            let mut sqlite = SqliteConfig::default();
            SOURCE.clone_into(&mut sqlite.name);
            path.clone_into(&mut sqlite.path);
            Sqlite::new(sqlite, ctx)
        };
        let mut databases = Vec::new();
        let keys = config.security.folder.join("keys.db");
        for (database, path) in [(QUEUE, config.queue.url.path()), (KEYS, Some(keys))] {
            if let Some(path) = path {
                databases.push((database, path.clone(), copy(&path)?));
            }
        }
        Ok(Self {
            accepted: folder.join(ACCEPTED),
            documents: copy(&folder.join(DOCUMENTS.place))?,
            databases,
            blobs: (!config.blobs.url.contains("://")).then(|| PathBuf::from(&config.blobs.url)),
            security: config.security.folder.clone(),
        })
    }

    /// The documents and the bytes of those that wait, which agree.
    async fn documents(&self, scratch: &Path) -> Result<Collected, Error> {
        let mut lost_before = None;
        for attempt in 0..ATTEMPTS {
            let own = scratch.join(format!("documents-{attempt}"));
            let (database, bytes) = (own.join("database"), own.join(ACCEPTED));
            make_folder(&database).await?;
            make_folder(&bytes).await?;
            self.link(&bytes).await?;
            let copy = self.documents.collect(&database).await?;
            self.link(&bytes).await?;
            let path = database.join(DOCUMENTS.place);
            let lost = lost(path.clone(), bytes.clone()).await?;
            // Those that are lost twice did not go with their rows: their bytes are gone, which the proof of the backup tells.
            if lost.is_empty() || lost_before.as_ref() == Some(&lost) {
                let mut all = Collected::new(Vec::new(), Consistency::Application, copy.taken);
                add(&mut all, DOCUMENTS, copy, path);
                all.roots.push(Root { on_disk: bytes, in_snapshot: in_snapshot(ACCEPTED) });
                return Ok(all);
            }
            lost_before = Some(lost);
        }
        Err(Error::Source {
            of: SOURCE.to_owned(),
            problem: format!("documents were read faster than they could be copied, {ATTEMPTS} times"),
            source: None,
        })
    }

    /// Links the bytes of all documents that wait into a folder.
    async fn link(&self, into: &Path) -> Result<(), Error> {
        let (from, into) = (self.accepted.clone(), into.to_owned());
        blocking(move || {
            for name in names(&from)? {
                let (bytes, link) = (from.join(&name), into.join(&name));
                match fs::hard_link(&bytes, &link) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    // Read meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    // On another disk, or one without links.
                    Err(_) => match fs::copy(&bytes, &link) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => {
                            return Err(file("copy", &bytes, error));
                        }
                        _ => {}
                    },
                }
            }
            Ok(())
        })
        .await
    }
}

impl Source for Data {
    fn name(&self) -> &'static str {
        SOURCE
    }

    async fn collect(&self, scratch: &Path) -> Result<Collected, Error> {
        let mut all = self.documents(scratch).await?;
        for (database, path, source) in &self.databases {
            if !tokio::fs::try_exists(path).await.map_err(|error| file("read", path, error))? {
                continue;
            }
            let own = scratch.join(database.name);
            make_folder(&own).await?;
            let copy = source.collect(&own).await?;
            let path = own.join(path.file_name().unwrap_or_default());
            add(&mut all, *database, copy, path);
        }
        if let Some(blobs) = self.blobs.clone().filter(|blobs| blobs.is_dir()) {
            all.roots.push(Root { on_disk: blobs, in_snapshot: in_snapshot("blobs") });
        }
        let security = self.security.clone();
        for name in blocking(move || names(&security)).await? {
            let copied = name.to_string_lossy().starts_with("keys.db");
            if !copied {
                let in_snapshot = in_snapshot("security").join(&name);
                all.roots.push(Root { on_disk: self.security.join(name), in_snapshot });
            }
        }
        Ok(all)
    }
}

/// The names in a folder; none, if there is none.
fn names(folder: &Path) -> Result<Vec<OsString>, Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file("list", folder, error)),
    };
    let names: io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.file_name())).collect();
    names.map_err(|error| file("list", folder, error))
}

/// Adds a database at its place.
fn add(all: &mut Collected, database: Database, copy: Collected, path: PathBuf) {
    all.roots.push(Root { on_disk: path, in_snapshot: in_snapshot(database.place) });
    let facts = copy.facts.into_iter();
    all.facts.extend(facts.map(|(fact, value)| (format!("{}.{fact}", database.name), value)));
}

fn in_snapshot(place: &str) -> PathBuf {
    Path::new("/").join(SOURCE).join(place)
}

/// The contents that wait, by the documents' database.
pub(super) fn waiting(database: &Path) -> rusqlite::Result<BTreeSet<String>> {
    // To be written, though nothing is: so no log is left beside it.
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mut select =
        connection.prepare("SELECT content FROM documents WHERE status IN ('queued', 'failed')")?;
    select.query_map((), |row| row.get(0))?.collect()
}

/// The contents that wait, and have no bytes.
async fn lost(database: PathBuf, bytes: PathBuf) -> Result<BTreeSet<String>, Error> {
    blocking(move || {
        let mut lost = waiting(&database).map_err(|error| Error::Source {
            of: SOURCE.to_owned(),
            problem: "the copy of its database cannot be read".to_owned(),
            source: Some(error.into()),
        })?;
        lost.retain(|content| !bytes.join(content).exists());
        Ok(lost)
    })
    .await
}

async fn make_folder(path: &Path) -> Result<(), Error> {
    tokio::fs::create_dir_all(path).await.map_err(|error| file("make", path, error))
}

pub(super) fn file(doing: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File { doing, path: path.to_owned(), source }
}

/// Does what waits for the disk.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Stopped))
}
