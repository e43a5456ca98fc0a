//! Checking a whole log, from its files alone.
//!
//! What is found depends on what is known from elsewhere:
//!
//! | what was done to the log | without anything | with the [seed](crate::FssSeed) | with a checkpoint from elsewhere |
//! |---|---|---|---|
//! | an entry edited, taken out, put in, moved; segments swapped or missing | found | found | found |
//! | all of it rewritten by who holds the keys of now | not found | found, as far as it was sealed | found, up to the checkpoint |
//! | its end cut off where nothing was sealed or signed | not found | not found | found, up to the checkpoint |
//! | its end cut off with its seals and checkpoints | found where `seal.key` is there and was left as it was | found where `seal.key` is there | found, up to the checkpoint |
//!
//! So what an intruder can change unnoticed is what came after the last seal (see `checkpoint_every`), and with the seed in good hands
//! nothing of before.

mod files;
mod walk;

use std::path::Path;

use crate::layout::Layout;
use crate::{Error, FssSeed, Hash, NoteVerifier, SignedCheckpoint};

/// So many findings are kept; more are counted.
const MOST_FINDINGS: usize = 1_000;

/// What a log is held against.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    seed: Option<FssSeed>,
    verifier: Option<NoteVerifier>,
    checkpoints: Vec<SignedCheckpoint>,
}

/// How a log was found to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Report {
    /// How many entries the log has, those that retention dropped included.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
    /// The sequence of the first entry that is there. What is before it was dropped by retention, as an entry says.
    pub first: u64,
    /// How many segments are there.
    pub segments: u64,
    /// How many entries are sealed, and the seals' MACs hold; nothing without the seed.
    pub sealed: Option<u64>,
    /// Whether the key file has the key that follows the last seal: then no seal is missing at the end. Nothing without both.
    pub end_of_seals: Option<bool>,
    /// How many entries are in the log's own last checkpoint.
    pub signed: u64,
    /// How many entries are in the last of the checkpoints from elsewhere; nothing without one.
    pub witnessed: Option<u64>,
    /// Bytes at the end that a crash has torn, or that are being written. They are no entries.
    pub torn: u64,
    /// Everything that is wrong, in the order of the log; at most a thousand.
    pub findings: Vec<Finding>,
    /// How many findings there are.
    pub found: u64,
}

/// One thing wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// The name of the file.
    pub file: String,
    /// The entry at which it is, where that is known.
    pub sequence: Option<u64>,
    /// What is wrong.
    pub problem: String,
}

/// Kinds of [`Finding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// A file does not read as what it should be.
    Malformed,
    /// A segment is not there.
    MissingSegment,
    /// A segment does not follow on the one before it.
    Link,
    /// A frame or an entry does not hold: edited, put in, moved or damaged.
    Frame,
    /// Entries are missing at the end of a segment.
    Truncated,
    /// Bytes were put behind the end of a segment.
    Appended,
    /// The stored hashes are not those of the entries.
    Tree,
    /// A seal does not hold, or does not fit the entries.
    Seal,
    /// A checkpoint does not hold, or does not fit the entries.
    Checkpoint,
    /// A checkpoint from elsewhere does not fit the entries.
    Witness,
}

impl VerifyOptions {
    /// Against nothing but itself.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also against the seed from which all sealing keys follow.
    #[must_use]
    pub fn seed(mut self, seed: FssSeed) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Also against the verifier key, as it was kept elsewhere.
    #[must_use]
    pub fn verifier(mut self, verifier: NoteVerifier) -> Self {
        self.verifier = Some(verifier);
        self
    }

    /// Also against a checkpoint that was kept elsewhere. Its signature is checked too.
    #[must_use]
    pub fn checkpoint(mut self, checkpoint: SignedCheckpoint) -> Self {
        self.checkpoints.push(checkpoint);
        self
    }
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.found == 0
    }

    fn find(&mut self, kind: FindingKind, file: &str, sequence: Option<u64>, problem: impl Into<String>) {
        self.found += 1;
        if self.findings.len() < MOST_FINDINGS {
            let (file, problem) = (file.to_owned(), problem.into());
            self.findings.push(Finding { kind, file, sequence, problem });
        }
    }
}

/// Reads and checks the whole log in a folder. It may be written to meanwhile; it blocks, and takes about as long as hashing all of it.
///
/// # Errors
///
/// [`Error::Missing`] and [`Error::Disk`] when it cannot be read at all. What is wrong with it is in the report.
pub fn verify(folder: impl AsRef<Path>, options: &VerifyOptions) -> Result<Report, Error> {
    verify_with(folder, options, |_| ())
}

/// The same, and tells `progress` the number of entries read, after each group.
///
/// # Errors
///
/// As [`verify`].
pub fn verify_with(
    folder: impl AsRef<Path>,
    options: &VerifyOptions,
    mut progress: impl FnMut(u64),
) -> Result<Report, Error> {
    let layout = Layout::new(folder.as_ref());
    let mut report = Report::default();
    let meta = match layout.read_meta() {
        Ok(meta) => meta,
        Err(Error::Damaged { problem, .. }) => {
            report.find(FindingKind::Malformed, "log", None, problem);
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    // What was promised is read before the entries: the log may grow meanwhile.
    let promises = files::promises(&layout, &meta, options, &mut report)?;
    walk::walk(&layout, &meta, promises, &mut report, &mut progress)?;
    Ok(report)
}
