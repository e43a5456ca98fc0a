//! A log that cannot be rewritten unnoticed: who did what to what, how it ended, and when, on the disk before it is acknowledged.
//!
//! ```
//! use buttress_audit::verify::{VerifyOptions, verify};
//! use buttress_audit::{AuditConfig, Entry, Log};
//! use buttress_core::{Ctx, Outcome};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let ctx = Ctx::default();
//! // The seed is for the offline keeping: print it once, and check the log with it.
//! let (log, seed) = Log::create(&AuditConfig::new(folder), &ctx).await?;
//!
//! let entry = Entry::new(ctx.clock.wall(), "invoice.delete", Outcome::Denied).actor("user-7").target("invoice-42");
//! let receipt = log.append(&entry).await?; // after the fsync
//!
//! // Anybody can check that the entry is in the log, without the log.
//! let checkpoint = log.checkpoint().await?;
//! let checkpoint = checkpoint.verify(log.verifier())?;
//! let proof = log.prove_inclusion(receipt.sequence, checkpoint.size)?;
//! proof.verify(&receipt.leaf_hash, checkpoint)?;
//!
//! log.close().await?;
//! assert!(verify(folder, &VerifyOptions::new().seed(seed))?.is_clean());
//! # Ok(())
//! # }
//! ```
//!
//! Other components log by their events: `Ctx { events: Events::to(Arc::new(log.sink())), .. }`, see [`AuditSink`].
//!
//! # What it promises
//!
//! - What [`append`](Log::append) has answered is on the disk, whatever happens to the process, and keeps its number and its hash.
//! - Many who wait share one fsync. After a failed one the file is given up, and what was not acknowledged is written to another: a
//!   second fsync on the same file proves nothing.
//! - A torn end of a crash is cut when the log is opened. A hole is not: [`Error::Damaged`] says where.
//! - Nothing is dropped silently: without room, `append` waits, and an [`AuditSink`] blocks or spills, as configured.
//! - Any change to entries of before is found by [`verify`](verify::verify), as far as its table says: by itself, with the [seed](FssSeed),
//!   or with a checkpoint that a [`Witness`] keeps.
//! - One writer at a time, by a lock of the system that a dead process does not hold. Readers need no lock.
//! - What is parsed is bounded before memory is asked for; entries have one encoding. The format is in `docs/formats/audit.md`, byte by byte.
//!
//! # How it is protected
//!
//! | by | against | cost |
//! |---|---|---|
//! | a hash chain through all frames and headers | edits, moves, holes, seen where they are | 32 bytes more to hash for each entry, 64 bytes for each group |
//! | the Merkle tree of RFC 6962 | any change, by proofs that need no log | two hashes and 64 bytes an entry |
//! | checkpoints, signed (C2SP tlog-checkpoint) | all of that by who holds every key, where they are kept elsewhere | a signature and a sync for each |
//! | forward-secure seals | rewriting what was sealed, by who steals the key of now | a MAC and three syncs for each |
//!
//! Keys are overwritten in place when they are replaced. A disk that writes copies (a flash translation layer, btrfs, a snapshot) may keep the
//! old bytes; so may a swap file. There the seal is as strong as the erasure.
//!
//! # What is around it
//!
//! - [`Guard`]: the way in for what may hold secrets or is about people. [`redact`] takes keys, tokens and card numbers out before anything is
//!   written; [`subject`] seals what is personal under a key of the person's own, so that destroying the key forgets the person and
//!   every proof still holds.
//! - [`query`]: one filter, which the log and the databases that follow it answer alike.
//! - [`sink`]: copies elsewhere (SQLite, PostgreSQL, folders and S3, lines), fed from the log, so that a copy that was away for a day misses
//!   nothing.
//! - [`export`]: JSON Lines, CSV that no spreadsheet runs, OCSF.
//! - The program `audit` (feature `cli`): tail, search, verify, prove, export, checkpoints.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `cli` | no | the program `audit` |
//! | `postgres` | no | `sink::PostgresSink`, a copy in a table of PostgreSQL |
//! | `s3` | no | `s3://…` in [`sink`], a copy as objects |
//! | `sqlite` | no | `sink::SqliteSink`, a copy in a table of SQLite, compiled in |
//! | `test-util` | no | `sink::contract`, what every sink keeps, as tests |
//!
//! # State on the disk
//!
//! Segments of `segment` bytes each; 64 bytes an entry in `tree`, which retention does not drop; some 200 bytes for each seal and checkpoint. In memory: the queue, one group, and the 64 bytes an entry of the segment that is written to.

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
