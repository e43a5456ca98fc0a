//! Proofs and checkpoints from the folder of a log, of this process or another: nothing is locked, nothing is written.

use std::path::Path;

use crate::layout::Layout;
use crate::merkle::{CompactRange, Nodes, consistency, inclusion, nodes_below, root_at};
use crate::tree::StoredTree;
use crate::{ConsistencyProof, Error, Hash, InclusionProof, LogReader, NoteVerifier, SignedCheckpoint};

/// The tree of a log as it was when this was made.
#[derive(Debug)]
pub struct LogTree {
    stored: StoredTree,
    /// The hashes from here on are in memory.
    known: u64,
    pending: Vec<Hash>,
    size: u64,
}

impl LogTree {
    /// Reads the last segment; what is before it is read from the file of the tree as proofs need it.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], [`Error::Damaged`], [`Error::Disk`].
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let (folder, reader) = (folder.as_ref(), LogReader::open(&folder)?);
        let before = reader.segments()?.last().map_or(0, |last| last.first);
        let stored = StoredTree::open(&Layout::new(folder).tree(), before)?;
        let mut range = stored.range(before)?;
        let mut pending = Vec::new();
        for found in reader.read(before)? {
            range.push_into(found?.1, |hash| pending.push(*hash));
        }
        Ok(Self { stored, known: nodes_below(before), pending, size: CompactRange::size(&range) })
    }

    /// How many entries it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the first `size` entries.
    ///
    /// # Errors
    ///
    /// [`Error::NotThere`], [`Error::Damaged`].
    pub fn root_at(&self, size: u64) -> Result<Hash, Error> {
        self.has(size)?;
        root_at(self, size)
    }

    /// As [`Log::prove_inclusion`](crate::Log::prove_inclusion).
    ///
    /// # Errors
    ///
    /// [`Error::NotThere`], [`Error::Damaged`].
    pub fn prove_inclusion(&self, sequence: u64, size: u64) -> Result<InclusionProof, Error> {
        self.has(size)?;
        if sequence >= size {
            return Err(Error::NotThere { sequence, size });
        }
        InclusionProof::of(self, sequence, size, inclusion(self, sequence, size)?)
    }

    /// As [`Log::prove_consistency`](crate::Log::prove_consistency).
    ///
    /// # Errors
    ///
    /// [`Error::NotThere`], [`Error::Damaged`].
    pub fn prove_consistency(&self, old: u64, size: u64) -> Result<ConsistencyProof, Error> {
        self.has(size)?;
        if old > size {
            return Err(Error::NotThere { sequence: old, size });
        }
        ConsistencyProof::of(self, old, size, consistency(self, old, size)?)
    }

    fn has(&self, size: u64) -> Result<(), Error> {
        if size > self.size { Err(Error::NotThere { sequence: size, size: self.size }) } else { Ok(()) }
    }
}

impl Nodes for LogTree {
    fn at(&self, position: u64) -> Result<Hash, Error> {
        match position.checked_sub(self.known) {
            None => self.stored.at(position),
            Some(place) => {
                usize::try_from(place).ok().and_then(|place| self.pending.get(place)).copied().ok_or_else(
                    || Error::malformed("a hash of the tree was asked for that no entry completes"),
                )
            }
        }
    }
}

/// The checkpoints in the folder of a log, from the first to the last, and the key that should have signed them. No signature
/// is checked. What is torn at the end is left out.
///
/// # Errors
///
/// [`Error::Missing`], [`Error::Damaged`], [`Error::Disk`].
pub fn checkpoints(folder: impl AsRef<Path>) -> Result<(Vec<SignedCheckpoint>, NoteVerifier), Error> {
    let layout = Layout::new(folder.as_ref());
    let verifier = layout.read_meta()?.verifier;
    let path = layout.checkpoints();
    let text = Layout::read_text(&path)?;
    // A note is a text, an empty line and signatures; an empty line follows it.
    let parts: Vec<&str> = text.split("\n\n").collect();
    let (notes, _torn) = parts.as_chunks::<2>();
    let whole = text.ends_with("\n\n");
    let count = if whole {
        notes.len()
    } else {
        notes.len() - usize::from(parts.len().is_multiple_of(2) && !notes.is_empty())
    };
    let read = notes.iter().take(count).map(|[body, signatures]| {
        let note = format!("{body}\n\n{signatures}\n").parse();
        note.map_err(|error: Error| Error::damaged(&path, error.to_string()))
    });
    Ok((read.collect::<Result<_, _>>()?, verifier))
}
