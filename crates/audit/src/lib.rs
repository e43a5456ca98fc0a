//! A log that cannot be rewritten unnoticed.

mod config;
mod disk;
mod emit;
mod entry;
mod error;
pub mod export;
mod folder;
mod guard;
pub mod json;
mod layout;
mod log;
pub mod merkle;
pub mod metrics;
pub mod note;
mod options;
mod proof;
pub mod query;
mod queue;
mod reader;
mod recover;
pub mod redact;
mod retain;
mod seal;
#[doc(hidden)]
pub mod segment;
pub mod sink;
mod spill;
mod store;
pub mod subject;
mod tick;
mod time;
mod tree;
pub mod verify;
mod wire;
mod witness;
mod writer;

pub use config::{AuditConfig, OnFull};
pub use disk::{Disk, DiskFile, RealDisk};
pub use emit::{AuditSink, LogProbe};
pub use entry::{DEEPEST_VALUE, Entry, LONGEST_ENTRY, Record, Value};
pub use error::Error;
pub use folder::{LogTree, checkpoints};
pub use guard::{ERASE, Guard};
pub use log::{Log, Receipt};
pub use merkle::Hash;
pub use note::{Checkpoint, NoteSigner, NoteVerifier, SignedCheckpoint};
pub use options::LogOptions;
pub use proof::{ConsistencyProof, InclusionProof};
pub use reader::{Entries, LogReader, SegmentInfo};
pub use retain::{RETAIN, Retained};
pub use seal::FssSeed;
pub use witness::{FileWitness, Witness};

/// Fills `bytes` from the system's generator.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), Error> {
    use ring::rand::SecureRandom;
    ring::rand::SystemRandom::new().fill(bytes).map_err(|_| Error::Random)
}
