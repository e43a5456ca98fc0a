//! JSON Lines on a writer: standard output, a pipe, a file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::{Committed, Replica};
use crate::{Error, json};

/// One line of JSON an entry: the fields of [`json::record`] and `leaf`, the hash of the entry's leaf in hexadecimal.
///
/// Only what goes to a file can be asked where it stands. Standard output cannot: it begins where it is told to, and a
/// restart may say the last lines again.
#[derive(Clone)]
pub struct LineSink(Arc<Mutex<Lines>>);

struct Lines {
    out: Out,
    next: u64,
    /// After a failed write nobody knows what is there: the file is read again.
    broken: bool,
}

enum Out {
    File(File, PathBuf),
    Other(Box<dyn Write + Send>),
}

impl std::fmt::Debug for LineSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LineSink(next {})", self.lines().next)
    }
}

impl LineSink {
    /// Writes the entries from sequence `first` on to `out`.
    #[must_use]
    pub fn to(out: impl Write + Send + 'static, first: u64) -> Self {
        Self(Arc::new(Mutex::new(Lines { out: Out::Other(Box::new(out)), next: first, broken: false })))
    }

    /// Appends to a file, after its last whole line.
    ///
    /// # Errors
    ///
    /// [`Error::Disk`]; [`Error::Damaged`] when its last line is not one of ours.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let (file, next) = resume(path)?;
        let out = Out::File(file, path.to_owned());
        Ok(Self(Arc::new(Mutex::new(Lines { out, next, broken: false }))))
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Lines) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || work(&mut this.lines())).await.map_err(|_| Error::Closed)?
    }
}

impl Replica for LineSink {
    async fn next(&self) -> Result<u64, Error> {
        self.blocking(|lines| {
            if lines.broken
                && let Out::File(file, path) = &mut lines.out
            {
                (*file, lines.next) = resume(path)?;
                lines.broken = false;
            }
            Ok(lines.next)
        })
        .await
    }

    async fn put(&self, batch: &[Committed]) -> Result<(), Error> {
        let mut text = Vec::new();
        let mut starts = Vec::with_capacity(batch.len());
        for committed in batch {
            starts.push((committed.sequence(), text.len()));
            line(committed, &mut text);
        }
        self.blocking(move |lines| {
            let Some(&(_, from)) = starts.iter().find(|(sequence, _)| *sequence >= lines.next) else {
                return Ok(());
            };
            let end = starts.last().map_or(lines.next, |(last, _)| last + 1);
            let rest = text.get(from..).unwrap_or_default();
            if lines.broken {
                return Err(Error::SinkBroken);
            }
            let (written, path) = match &mut lines.out {
                Out::File(file, path) => {
                    (file.write_all(rest).and_then(|()| file.sync_data()), path.as_path())
                }
                Out::Other(out) => (out.write_all(rest).and_then(|()| out.flush()), Path::new("the output")),
            };
            written.map_err(Error::disk("write entries to", path)).inspect_err(|_| lines.broken = true)?;
            lines.next = end;
            Ok(())
        })
        .await
    }
}

/// One line, with its end.
pub(super) fn line(committed: &Committed, to: &mut Vec<u8>) {
    let mut fields = json::record(&committed.record);
    fields.insert("leaf".to_owned(), json!(data_encoding::HEXLOWER.encode(&committed.leaf.0)));
    to.extend_from_slice(serde_json::Value::Object(fields).to_string().as_bytes());
    to.push(b'\n');
}

/// Opens the file after its last whole line; a line that was cut short is taken away.
fn resume(path: &Path) -> Result<(File, u64), Error> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(Error::disk("make the folder of", path))?;
    }
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    let file = options.open(path).map_err(Error::disk("open", path))?;
    let (whole, last) = last_line(&file).map_err(Error::disk("read", path))?;
    file.set_len(whole).and_then(|()| file.sync_all()).map_err(Error::disk("cut the last line of", path))?;
    let next = if last.is_empty() {
        0
    } else {
        let fields: Option<serde_json::Value> = serde_json::from_slice(&last).ok();
        let sequence = fields.and_then(|fields| fields.get("sequence")?.as_u64());
        sequence.ok_or_else(|| Error::damaged(path, "its last line is no entry"))? + 1
    };
    Ok((file, next))
}

/// How many bytes are whole lines, and the last of these.
fn last_line(file: &File) -> io::Result<(u64, Vec<u8>)> {
    let mut reader = BufReader::new(file);
    let (mut whole, mut last, mut line) = (0, Vec::new(), Vec::new());
    while reader.read_until(b'\n', &mut line)? > 0 {
        if line.ends_with(b"\n") {
            whole += line.len() as u64;
            std::mem::swap(&mut last, &mut line);
        }
        line.clear();
    }
    Ok((whole, last))
}
