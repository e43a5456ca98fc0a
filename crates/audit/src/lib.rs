//! A log that cannot be rewritten unnoticed.

mod disk;
mod entry;
mod error;
pub mod merkle;
pub mod note;
mod seal;
#[doc(hidden)]
pub mod segment;
mod wire;

pub use disk::{Disk, DiskFile, RealDisk};
pub use entry::{DEEPEST_VALUE, Entry, LONGEST_ENTRY, Record, Value};
pub use error::Error;
pub use merkle::Hash;
pub use note::{Checkpoint, NoteSigner, NoteVerifier, SignedCheckpoint};
pub use seal::FssSeed;

/// Fills `bytes` from the system's generator.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), Error> {
    use ring::rand::SecureRandom;
    ring::rand::SystemRandom::new().fill(bytes).map_err(|_| Error::Random)
}
