//! `documents.jsonl`: the results, and the memory of what is done, in one file.
//!
//! A document is done when its line is in the file, whole. There is no second record that could disagree with it, so
//! a run that is killed at any point is taken up again by reading the file: a last line without its end is cut off,
//! and its document done once more.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use buttress_docpipeline::{JsonLines, Record};
use serde::Deserialize;

/// The results of a folder's documents.
pub(crate) struct Journal {
    path: PathBuf,
    lines: JsonLines<File>,
    length: u64,
    /// The documents that are done, by [`identity`].
    done: HashSet<[u8; 16]>,
    /// Where the first record of a content and configuration stands.
    records: HashMap<(String, String), (u64, u64)>,
    configs: HashSet<String>,
}

/// As much of a [`Record`] as is needed to know what is done.
#[derive(Deserialize)]
struct Entry {
    name: String,
    content: String,
    config: String,
}

/// What makes a document the same one in the next run: its path and its content.
fn identity(name: &str, content: &str) -> [u8; 16] {
    let digest = buttress_docpipeline::Fingerprint::of_bytes(format!("{content}\0{name}").as_bytes());
    let mut id = [0; 16];
    for (slot, byte) in id.iter_mut().zip(digest.bytes()) {
        *slot = byte;
    }
    id
}

impl Journal {
    /// Opens or begins the journal in `folder`, for this process alone.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("documents.jsonl");
        let file = OpenOptions::new().create(true).read(true).append(true).open(&path);
        let file = file.with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "another docproc is writing to {}; wait for it, or choose another --out",
                    folder.display()
                )
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        let mut journal = Self {
            lines: JsonLines::new(file.try_clone()?),
            path,
            length: 0,
            done: HashSet::new(),
            records: HashMap::new(),
            configs: HashSet::new(),
        };
        journal.read(file)?;
        Ok(journal)
    }

    fn read(&mut self, file: File) -> Result<()> {
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let bytes = reader.read_until(b'\n', &mut line)? as u64;
            if bytes == 0 {
                return Ok(());
            }
            if line.last() != Some(&b'\n') {
                // The run that wrote this was killed in the middle of it.
                reader.get_ref().set_len(self.length)?;
                return Ok(());
            }
            let number = self.done.len() + 1;
            let entry: Entry = serde_json::from_slice(&line).with_context(|| {
                format!("line {number} of {} is not a record of docproc", self.path.display())
            })?;
            self.note(&entry.name, &entry.content, &entry.config, bytes);
        }
    }

    fn note(&mut self, name: &str, content: &str, config: &str, bytes: u64) {
        self.done.insert(identity(name, content));
        let place = (self.length, bytes);
        self.records.entry((content.to_owned(), config.to_owned())).or_insert(place);
        self.configs.insert(config.to_owned());
        self.length += bytes;
    }

    /// Whether there are results, and all of them come from other configurations.
    pub(crate) fn is_foreign_to(&self, config: &str) -> bool {
        !self.configs.is_empty() && !self.configs.contains(config)
    }

    /// Whether the document of this name and content is done.
    pub(crate) fn is_done(&self, name: &str, content: &str) -> bool {
        self.done.contains(&identity(name, content))
    }

    /// The record of a document with the same content, read with the same configuration.
    pub(crate) fn record_of(&self, content: &str, config: &str) -> Result<Option<Record>> {
        let Some((offset, bytes)) = self.records.get(&(content.to_owned(), config.to_owned())) else {
            return Ok(None);
        };
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(*offset))?;
        let record = serde_json::from_reader(file.take(*bytes));
        Ok(Some(record.with_context(|| format!("{} does not read back", self.path.display()))?))
    }

    /// Writes one record. When this returns, the document is done, whatever becomes of this process.
    pub(crate) fn append(&mut self, record: &Record) -> Result<()> {
        self.lines.write(record).with_context(|| format!("cannot write to {}", self.path.display()))?;
        let end = self.lines.get_mut().stream_position()?;
        self.note(&record.name, &record.content, &record.config, end - self.length);
        Ok(())
    }

    /// Brings everything to the disk, so that it outlives the machine too.
    pub(crate) fn sync(&mut self) -> Result<()> {
        self.lines.get_mut().sync_data().with_context(|| format!("cannot sync {}", self.path.display()))
    }
}
