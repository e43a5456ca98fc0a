//! `dead-letter/`: the documents that could not be read, each with its reason beside it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use buttress_docpipeline::{Error, Fingerprint};
use serde::{Deserialize, Serialize};

/// Why a document is here; stored as `<id>.reason.json` beside the document itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reason {
    /// The path that the document came from.
    pub(crate) name: String,
    /// BLAKE3 of its bytes; for a document that was too large to read, of its path and size.
    pub(crate) content: String,
    /// Digest of the configuration that it failed with.
    pub(crate) config: String,
    pub(crate) bytes: u64,
    /// One line for people.
    pub(crate) message: String,
    /// The same for programs.
    pub(crate) error: Error,
    pub(crate) attempts: u32,
    /// The copy beside this file; `None` when the document was too large to copy and only its path is kept.
    pub(crate) copy: Option<String>,
}

/// The folder of failed documents.
pub(crate) struct DeadLetters {
    folder: PathBuf,
    reasons: HashMap<String, Reason>,
}

/// The same document fails under the same id each time.
fn id(name: &str, content: &str) -> String {
    Fingerprint::of_bytes(format!("{content}\0{name}").as_bytes()).chars().take(16).collect()
}

impl DeadLetters {
    /// Opens the folder below `out`; it is made when the first document fails.
    pub(crate) fn open(out: &Path) -> Result<Self> {
        let folder = out.join("dead-letter");
        let mut reasons = HashMap::new();
        let entries = fs::read_dir(&folder).into_iter().flatten();
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(id) = name.strip_suffix(".reason.json") {
                let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let reason = serde_json::from_slice(&text)
                    .with_context(|| format!("{} is not a reason of docproc; remove it", path.display()))?;
                reasons.insert(id.to_owned(), reason);
            }
        }
        Ok(Self { folder, reasons })
    }

    /// The reason of this document, if it failed with this configuration before.
    pub(crate) fn reason(&self, name: &str, content: &str, config: &str) -> Option<&Reason> {
        self.reasons.get(&id(name, content)).filter(|reason| reason.config == config)
    }

    /// All reasons, in the order of their documents' paths.
    pub(crate) fn all(&self) -> Vec<Reason> {
        let mut all: Vec<_> = self.reasons.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Where the document of a reason can be read: its copy, or else the path that it came from.
    pub(crate) fn document(&self, reason: &Reason) -> PathBuf {
        reason.copy.as_ref().map_or_else(|| PathBuf::from(&reason.name), |copy| self.folder.join(copy))
    }

    /// Keeps a document and why it failed. The reason is written last and at once, so that a document is either here
    /// with its reason or not here.
    pub(crate) fn put(&mut self, mut reason: Reason, document: Option<&[u8]>) -> Result<()> {
        fs::create_dir_all(&self.folder).with_context(|| format!("cannot make {}", self.folder.display()))?;
        let id = id(&reason.name, &reason.content);
        if let Some(bytes) = document {
            let copy = format!("{id}-{}", file_name(&reason.name));
            self.write(&copy, bytes)?;
            reason.copy = Some(copy);
        }
        self.write(&format!("{id}.reason.json"), &serde_json::to_vec_pretty(&reason)?)?;
        self.reasons.insert(id, reason);
        Ok(())
    }

    /// Forgets a document that has been read after all.
    pub(crate) fn remove(&mut self, name: &str, content: &str) -> Result<()> {
        let id = id(name, content);
        let Some(reason) = self.reasons.remove(&id) else { return Ok(()) };
        // The reason goes first: a copy without one is only a file too many.
        fs::remove_file(self.folder.join(format!("{id}.reason.json")))
            .with_context(|| format!("cannot clear {}", self.folder.display()))?;
        if let Some(copy) = reason.copy {
            let copy = self.folder.join(copy);
            fs::remove_file(&copy).with_context(|| format!("cannot remove {}", copy.display()))?;
        }
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let (path, part) = (self.folder.join(name), self.folder.join(format!("{name}.part")));
        fs::write(&part, bytes)
            .and_then(|()| fs::rename(&part, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The file name of a path, with nothing in it that a file system or a shell minds, and not too long.
fn file_name(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = name.chars().map(safe).collect();
    name.get(name.ceil_char_boundary(name.len().saturating_sub(100))..).unwrap_or_default().to_owned()
}
