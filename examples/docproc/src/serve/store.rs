//! What the service knows, in one SQLite file and a folder of accepted documents.
//!
//! A document is accepted in two steps: its bytes are brought to the disk under their hash, then its row is committed.
//! Only then is it acknowledged. A crash between the two leaves bytes that nobody was told of; they are removed at
//! the next start.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use buttress_core::{Classify, ErrorClass};
use buttress_docpipeline::{Document, Error as DocumentError, Fingerprint, Processed};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::records::{Accepted, Counts, DocumentSummary, Hit, Near, Piece, Queued, Refusal, Status};

/// Why the store cannot do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database refuses.
    #[error("the database cannot be used")]
    Database(#[from] rusqlite::Error),
    /// A file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// What is stored does not read back.
    #[error("the stored result of document {id} does not read back")]
    Corrupt {
        /// The document.
        id: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The task that used the store was stopped.
    #[error("the store's task was stopped")]
    Stopped,
}

impl Classify for StoreError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Database(_) | Self::File { .. } | Self::Stopped => ErrorClass::Unavailable,
            Self::Corrupt { .. } => ErrorClass::Corrupt,
        }
    }
}

type Result<T, E = StoreError> = std::result::Result<T, E>;

#[derive(Serialize, Deserialize)]
struct StoredResult {
    document: Document,
    timings: Vec<(String, u64)>,
}

/// The store. Cheap to clone; every method may wait for the disk, so call it through [`Store::run`].
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    connection: Mutex<Connection>,
    folder: PathBuf,
}

const COLUMNS: &str = "seq, id, name, bytes, status, format, title, language, pages, words, accepted_at, finished_at, \
     microseconds, error";

/// Marks around hits in a snippet: characters that no normalised text holds.
const HIT_START: char = '\u{1}';
const HIT_END: char = '\u{2}';

impl Store {
    /// Opens the store in `folder`, makes it if it is not there, and clears up what a crash left.
    ///
    /// # Errors
    ///
    /// When the folder or the database cannot be used.
    pub fn open(folder: &Path) -> Result<Self> {
        for folder in [folder.join("accepted"), folder.join("incoming")] {
            fs::create_dir_all(&folder).map_err(file_error("make the folder", &folder))?;
        }
        let connection = Connection::open(folder.join("docproc.db"))?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // An acknowledged document outlives the machine's power, not just this process.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        // What is removed is overwritten, in the index too.
        connection.pragma_update(None, "secure_delete", "ON")?;
        connection.execute_batch(include_str!("schema.sql"))?;
        let store = Self(Arc::new(Inner { connection: Mutex::new(connection), folder: folder.to_owned() }));
        store.clear_orphans()?;
        Ok(store)
    }

    /// Runs `work` on a thread that may wait for the disk.
    ///
    /// # Errors
    ///
    /// What `work` fails with, or [`StoreError::Stopped`].
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(&store)).await.map_err(|_| StoreError::Stopped)?
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic in the middle of a transaction rolled it back.
        self.0.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where uploads are written while they come in.
    #[must_use]
    pub fn incoming(&self) -> PathBuf {
        self.0.folder.join("incoming")
    }

    /// Where the bytes of an accepted document are.
    #[must_use]
    pub fn accepted(&self, content: &str) -> PathBuf {
        self.0.folder.join("accepted").join(content)
    }

    fn clear_orphans(&self) -> Result<()> {
        let wanted: HashSet<String> = {
            let connection = self.connection();
            let mut select =
                connection.prepare("SELECT content FROM documents WHERE status IN ('queued', 'failed')")?;
            select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?
        };
        let accepted = self.0.folder.join("accepted");
        for (folder, keep) in [(self.incoming(), None), (accepted, Some(&wanted))] {
            let entries = fs::read_dir(&folder).map_err(file_error("list", &folder))?;
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if !keep.is_some_and(|keep| keep.contains(&*name)) {
                    fs::remove_file(&path).map_err(file_error("remove", &path))?;
                }
            }
        }
        Ok(())
    }

    /// Accepts the document whose bytes are in `upload`, which is moved or removed. When this returns, the document
    /// is on the disk.
    ///
    /// A document of the same content and configuration is not taken a second time.
    ///
    /// # Errors
    ///
    /// When the document cannot be kept; it is not accepted then.
    pub fn accept(
        &self,
        upload: &Path,
        name: &str,
        content: &str,
        config: &str,
        bytes: u64,
        now: SystemTime,
    ) -> Result<Accepted> {
        let id = id(content, config);
        if let Some(document) = self.summary(&id)? {
            fs::remove_file(upload).map_err(file_error("remove", upload))?;
            return Ok(Accepted { document, seen_before: true });
        }
        fs::File::open(upload).and_then(|file| file.sync_all()).map_err(file_error("sync", upload))?;
        let kept = self.accepted(content);
        let inserted = {
            // Under the lock: `let_go` looks whether anybody needs the bytes, and removes them, under it too.
            let connection = self.connection();
            fs::rename(upload, &kept)
                .and_then(|()| fs::File::open(self.0.folder.join("accepted"))?.sync_all())
                .map_err(file_error("keep", &kept))?;
            connection.execute(
                "INSERT INTO documents (id, content, config, name, bytes, status, accepted_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6) ON CONFLICT (id) DO NOTHING",
                params![id, content, config, name, signed(bytes), millis(now)],
            )?
        };
        // Two uploads of the same document at the same moment: the second finds the row of the first.
        let document = self.summary(&id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok(Accepted { document, seen_before: inserted == 0 })
    }

    /// The documents that wait for a worker, in the order of their acceptance.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn queued(&self, limit: u32) -> Result<Vec<Queued>> {
        let connection = self.connection();
        let mut select = connection.prepare_cached(
            "SELECT id, name, content FROM documents WHERE status = 'queued' ORDER BY seq LIMIT ?1",
        )?;
        let rows = select.query_map([limit], |row| {
            Ok(Queued { id: row.get(0)?, name: row.get(1)?, content: row.get(2)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Notes that a document is taken up, and gives how often that has happened now; `None` when it does not wait any
    /// more.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn take_up(&self, id: &str) -> Result<Option<u32>> {
        let connection = self.connection();
        let mut update = connection.prepare_cached(
            "UPDATE documents SET attempts = attempts + 1 WHERE id = ?1 AND status = 'queued' RETURNING attempts",
        )?;
        Ok(update.query_row([id], |row| row.get(0)).optional()?)
    }

    /// Takes back a [`take_up`](Store::take_up) that came to nothing, because the service stops.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn hand_back(&self, id: &str) -> Result<()> {
        self.connection()
            .execute("UPDATE documents SET attempts = attempts - 1 WHERE id = ?1 AND attempts > 0", [id])?;
        Ok(())
    }

    /// Keeps the result of a document, and lets go of its bytes.
    ///
    /// # Errors
    ///
    /// When the result cannot be written; the document stays queued.
    pub fn done(
        &self,
        id: &str,
        processed: Processed,
        took: Duration,
        now: SystemTime,
    ) -> Result<DocumentSummary> {
        let Processed { mut document, timings } = processed;
        let text = std::mem::take(&mut document.text);
        let bands = document.fingerprint.bands();
        let stored = StoredResult { document, timings };
        let json = serde_json::to_string(&stored)
            .map_err(|source| StoreError::Corrupt { id: id.to_owned(), source })?;
        let document = &stored.document;
        let content: String = {
            let mut connection = self.connection();
            let transaction = connection.transaction()?;
            let (seq, content): (i64, String) = transaction.query_row(
                "UPDATE documents SET status = 'done', finished_at = ?2, microseconds = ?3, format = ?4, title = ?5,
                    language = ?6, pages = ?7, words = ?8, result = ?9, text = ?10, error = NULL
                 WHERE id = ?1 RETURNING seq, content",
                params![
                    id,
                    millis(now),
                    i64::try_from(took.as_micros()).unwrap_or(i64::MAX),
                    document.format.as_str(),
                    document.metadata.title,
                    document.metadata.language.as_ref().map(|language| &language.code),
                    document.metadata.pages,
                    signed(document.statistics.words as u64),
                    json,
                    text,
                ],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            {
                let mut insert =
                    transaction.prepare_cached("INSERT OR IGNORE INTO bands (band, seq) VALUES (?1, ?2)")?;
                for band in bands {
                    insert.execute(params![band.cast_signed(), seq])?;
                }
            }
            transaction.commit()?;
            content
        };
        self.let_go(&content)?;
        self.summary(id)?.ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
    }

    /// Keeps why a document was refused. Its bytes stay, for [`retry`](Store::retry).
    ///
    /// # Errors
    ///
    /// When the reason cannot be written; the document stays queued.
    pub fn failed(
        &self,
        id: &str,
        error: &DocumentError,
        took: Duration,
        now: SystemTime,
    ) -> Result<DocumentSummary> {
        let json = serde_json::to_string(error)
            .map_err(|source| StoreError::Corrupt { id: id.to_owned(), source })?;
        self.connection().execute(
            "UPDATE documents SET status = 'failed', finished_at = ?2, microseconds = ?3, error = ?4 WHERE id = ?1",
            params![id, millis(now), i64::try_from(took.as_micros()).unwrap_or(i64::MAX), json],
        )?;
        self.summary(id)?.ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
    }

    /// Queues a failed document again. `None` when there is none of this id; other documents stay as they are.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn retry(&self, id: &str) -> Result<Option<DocumentSummary>> {
        self.connection().execute(
            "UPDATE documents SET status = 'queued', attempts = 0, error = NULL, finished_at = NULL
             WHERE id = ?1 AND status = 'failed'",
            [id],
        )?;
        self.summary(id)
    }

    /// Removes a document and all that is known of it, also from the free room in the store's files. Whether there was one.
    ///
    /// # Errors
    ///
    /// When the database cannot be written.
    pub fn remove(&self, id: &str) -> Result<bool> {
        let content: Option<String> = self
            .connection()
            .query_row("DELETE FROM documents WHERE id = ?1 RETURNING content", [id], |row| row.get(0))
            .optional()?;
        if let Some(content) = &content {
            self.let_go(content)?;
            // The log of what was written still has it.
            self.connection().query_row("PRAGMA wal_checkpoint (TRUNCATE)", [], |_| Ok(()))?;
        }
        Ok(content.is_some())
    }

    /// Removes the bytes of a document, unless another configuration still needs them.
    fn let_go(&self, content: &str) -> Result<()> {
        // Under the lock: `accept` moves bytes in and commits their row under it too.
        let connection = self.connection();
        let needed: bool = connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM documents WHERE content = ?1 AND status IN ('queued', 'failed'))",
            [content],
            |row| row.get(0),
        )?;
        if needed {
            return Ok(());
        }
        let path = self.accepted(content);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(file_error("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// One document, without its result.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn summary(&self, id: &str) -> Result<Option<DocumentSummary>> {
        let connection = self.connection();
        let mut select =
            connection.prepare_cached(&format!("SELECT {COLUMNS} FROM documents WHERE id = ?1"))?;
        Ok(select.query_row([id], summary_of).optional()?)
    }

    /// The result of a document that is done.
    ///
    /// # Errors
    ///
    /// When the database cannot be read, or what it holds does not read back.
    pub fn result(&self, id: &str) -> Result<Option<Processed>> {
        let row: Option<(String, String)> = self
            .connection()
            .prepare_cached("SELECT result, text FROM documents WHERE id = ?1 AND status = 'done'")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((json, text)) = row else { return Ok(None) };
        let stored: StoredResult = serde_json::from_str(&json)
            .map_err(|source| StoreError::Corrupt { id: id.to_owned(), source })?;
        let mut document = stored.document;
        document.text = text;
        Ok(Some(Processed { document, timings: stored.timings }))
    }

    /// The latest documents accepted before `before`, newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn list(&self, before: Option<i64>, limit: u32) -> Result<Vec<DocumentSummary>> {
        let connection = self.connection();
        let mut select = connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM documents WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2"
        ))?;
        let rows = select.query_map(params![before.unwrap_or(i64::MAX), limit], summary_of)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How many documents are where.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn counts(&self) -> Result<Counts> {
        let connection = self.connection();
        let mut select = connection
            .prepare_cached("SELECT status, count(*), sum(bytes) FROM documents GROUP BY status")?;
        let mut counts = Counts::default();
        let rows = select.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, unsigned(row.get(1)?), unsigned(row.get(2)?)))
        })?;
        for row in rows {
            let (status, count, bytes) = row?;
            match status.as_str() {
                "queued" => (counts.queued, counts.queued_bytes) = (count, bytes),
                "done" => counts.done = count,
                _ => counts.failed = count,
            }
        }
        Ok(counts)
    }

    /// The documents that hold all words of `query`, best first.
    ///
    /// # Errors
    ///
    /// When the database cannot be read.
    pub fn search(&self, query: &str, limit: u32) -> Result<Vec<Hit>> {
        let Some(expression) = match_expression(query) else { return Ok(Vec::new()) };
        let connection = self.connection();
        let mut select = connection.prepare_cached(
            "SELECT d.id, d.name, d.title, snippet(document_text, 2, char(1), char(2), '…', 40)
             FROM document_text JOIN documents d ON d.seq = document_text.rowid
             WHERE document_text MATCH ?1 AND d.status = 'done' ORDER BY bm25(document_text, 4.0, 4.0, 1.0) LIMIT ?2",
        )?;
        let rows = select.query_map(params![expression, limit], |row| {
            let snippet: String = row.get(3)?;
            Ok(Hit { id: row.get(0)?, name: row.get(1)?, title: row.get(2)?, snippet: pieces(&snippet) })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The documents most like `id`, of at least `least` similarity. `None` when there is no such document that is
    /// done.
    ///
    /// # Errors
    ///
    /// When the database cannot be read, or what it holds does not read back.
    pub fn near(&self, id: &str, least: f64, limit: usize) -> Result<Option<Vec<Near>>> {
        let Some(document) = self.result(id)? else { return Ok(None) };
        let candidates: Vec<(String, String, String)> = {
            let connection = self.connection();
            // Ordered by how many bands are shared, so that the most alike are among the first thousand.
            let mut select = connection.prepare_cached(
                "SELECT d.id, d.name, json_extract(d.result, '$.document.fingerprint')
                 FROM bands mine
                 JOIN bands theirs ON theirs.band = mine.band AND theirs.seq <> mine.seq
                 JOIN documents d ON d.seq = theirs.seq
                 WHERE mine.seq = (SELECT seq FROM documents WHERE id = ?1) AND d.status = 'done'
                 GROUP BY theirs.seq ORDER BY count(*) DESC LIMIT 1000",
            )?;
            select
                .query_map([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<rusqlite::Result<_>>()?
        };
        let mut near = Vec::new();
        for (id, name, fingerprint) in candidates {
            let fingerprint: Fingerprint = serde_json::from_str(&fingerprint)
                .map_err(|source| StoreError::Corrupt { id: id.clone(), source })?;
            let similarity = document.document.fingerprint.similarity(&fingerprint);
            if similarity >= least {
                near.push(Near { id, name, similarity });
            }
        }
        near.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        near.truncate(limit);
        Ok(Some(near))
    }

    /// Whether the database answers.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn ping(&self) -> Result<()> {
        Ok(self.connection().query_row("SELECT 1", [], |_| Ok(()))?)
    }
}

/// What stands for a content read with a configuration.
#[must_use]
pub fn id(content: &str, config: &str) -> String {
    Fingerprint::of_bytes(format!("{content}\0{config}").as_bytes()).chars().take(32).collect()
}

fn summary_of(row: &Row<'_>) -> rusqlite::Result<DocumentSummary> {
    let status: String = row.get(4)?;
    let error: Option<String> = row.get(13)?;
    let error = error.and_then(|json| serde_json::from_str::<DocumentError>(&json).ok());
    Ok(DocumentSummary {
        seq: row.get(0)?,
        id: row.get(1)?,
        name: row.get(2)?,
        bytes: unsigned(row.get(3)?),
        status: match status.as_str() {
            "done" => Status::Done,
            "failed" => Status::Failed,
            _ => Status::Queued,
        },
        format: row.get(5)?,
        title: row.get(6)?,
        language: row.get(7)?,
        pages: row.get(8)?,
        words: row.get::<_, Option<i64>>(9)?.map(unsigned),
        accepted_at: rfc3339(row.get(10)?),
        finished_at: row.get::<_, Option<i64>>(11)?.map(rfc3339),
        milliseconds: row.get::<_, Option<i64>>(12)?.map(|micros| micros as f64 / 1000.0),
        error: error.map(|error| Refusal { cause: error.cause().to_owned(), message: error.to_string() }),
    })
}

/// A query of FTS5 for all words of a text: each is quoted, so no operator of the query language gets through; the last
/// is a prefix, because people search while they type. `None` for a text with no words.
fn match_expression(query: &str) -> Option<String> {
    const MOST_WORDS: usize = 16;
    let words = query.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let quoted: Vec<String> = words.take(MOST_WORDS).map(|word| format!("\"{word}\"")).collect();
    (!quoted.is_empty()).then(|| format!("{}*", quoted.join(" ")))
}

fn pieces(snippet: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (i, run) in snippet.split([HIT_START, HIT_END]).enumerate() {
        if !run.is_empty() {
            pieces.push(Piece { text: run.to_owned(), hit: i % 2 == 1 });
        }
    }
    pieces
}

fn file_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::File { action, path, source }
}

/// Milliseconds since 1970.
fn millis(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The point in time of [`millis`], as RFC 3339 writes it.
fn rfc3339(millis: i64) -> String {
    /// The end of the year 9999, the last that RFC 3339 can write.
    const LAST: u64 = 253_402_300_799_999;
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(unsigned(millis).min(LAST));
    humantime::format_rfc3339_millis(at).to_string()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
