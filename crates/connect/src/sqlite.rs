//! SQLite, compiled in: a file of this machine that several processes may share.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use buttress_core::{ErrorClass, Probe, Vitality};
pub use rusqlite as client;
use rusqlite::{Connection, ErrorCode};

use crate::{Address, ConnectionConfig, Error};

/// An open database. Cheap to clone: clones share the one connection, so this process writes one thing at a time.
///
/// The journal is a write-ahead log, and a commit is on the disk when it returns (`synchronous = FULL`). Another
/// process that writes is waited for, as long as [`ConnectionConfig::timeout`] says.
#[derive(Clone)]
pub struct Sqlite {
    connection: Arc<Mutex<Connection>>,
    path: Arc<Path>,
}

impl std::fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sqlite({})", self.path.display())
    }
}

impl Sqlite {
    /// Opens the file at `address`; it and its folder are made if they are not there.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] when it cannot be opened or made.
    pub async fn open(address: &Address, config: &ConnectionConfig) -> Result<Self, Error> {
        let path = address.path().unwrap_or_else(|| PathBuf::from(address.expose()));
        let (at, patience) = (path.clone(), config.timeout);
        let opened = tokio::task::spawn_blocking(move || open(&at, patience));
        let connection = opened.await.map_err(|gone| cancelled(&path, gone))??;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), path: path.into() })
    }

    /// Runs `work` on the connection, away from the threads that serve.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] when `work` fails.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let connection = Arc::clone(&self.connection);
        let outcome = tokio::task::spawn_blocking(move || {
            // A panic in the middle of a transaction has rolled it back.
            work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
        });
        let outcome = outcome.await.map_err(|gone| cancelled(&self.path, gone))?;
        outcome.map_err(|error| failed(&self.path, error))
    }
}

impl Probe for Sqlite {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    async fn check(&self) -> Vitality {
        match self.run(|connection| connection.query_row("SELECT 1", (), |_| Ok(()))).await {
            Ok(()) => Vitality::Pass,
            Err(error) => Vitality::Fail(error.to_string()),
        }
    }
}

fn open(path: &Path, patience: Duration) -> Result<Connection, Error> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| Error::File {
            path: folder.display().to_string(),
            problem: format!("the folder cannot be made: {error}"),
        })?;
    }
    let connect = || {
        let connection = Connection::open(path)?;
        connection.busy_timeout(patience)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(connection)
    };
    connect().map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: rusqlite::Error) -> Error {
    let class = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => ErrorClass::Timeout,
        Some(ErrorCode::DiskFull | ErrorCode::CannotOpen | ErrorCode::SystemIoFailure) => {
            ErrorClass::Unavailable
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => ErrorClass::Corrupt,
        _ => ErrorClass::Internal,
    };
    Error::Failed { backend: "SQLite", place: path.display().to_string(), class, source: error.into() }
}

/// The runtime is ending, or `work` panicked.
fn cancelled(path: &Path, gone: tokio::task::JoinError) -> Error {
    let class = if gone.is_panic() { ErrorClass::Internal } else { ErrorClass::Cancelled };
    Error::Failed { backend: "SQLite", place: path.display().to_string(), class, source: gone.into() }
}
