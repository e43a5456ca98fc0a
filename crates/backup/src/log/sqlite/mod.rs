//! SQLite, state by state: what changed between one consistent read and the next.
//!
//! Every interval, [`SqlitePages`] asks the database whether anything was committed (`PRAGMA data_version`, one page of shared memory). If so, it copies
//! the database by SQLite's own online backup in one step, which is one read transaction, compares the copy with the one before, and ships the pages
//! that differ.
//!
//! The write-ahead log is not looked at. So nothing that happens to it can be missed: checkpoints by anybody, a log that is reset, truncated or
//! deleted, `VACUUM`, another page size, another journal mode, a database file that was replaced. The cost is in reading: after a
//! commit, the next round reads the whole database once and its former copy once, writes a copy and hashes it, and needs room for two copies in
//! `folder`. What is shipped is small. That is right for databases up to a gigabyte or so; for larger ones give
//! [`LogConfig::interval`](crate::log::LogConfig::interval) more time. Writers in WAL mode are not held up; in a rollback journal they wait while the copy is made.
//!
//! The grain is the interval: recovery gives the state of the last copy that was made at or before the moment wanted, never a state that
//! the database did not have. Each copy says since when it holds everything, and after when it holds nothing.
//!
//! The shipper stays connected, and SQLite changes the journal's mode only where nobody else is: stop it for that time.
//!
//! The database must not be opened as a plain file by the process that ships: closing it would drop the locks of SQLite in this process.
//!
//! # To recover, step by step
//!
//! 1. Have the log's store, and its password or escrow file. There is no other base backup: the log holds whole states too.
//! 2. Stop what uses the database. Move the damaged database aside, together with `-wal` and `-shm`: a `-wal` that stays would be taken for the recovered file's.
//! 3. Call [`recover`] with a path at which nothing is, and the moment (or none, for the newest state). It checks all segments, puts the state
//!    together, compares its hash with that of the copy that was shipped, and answers which moment it is.
//! 4. Run `PRAGMA integrity_check` and the application's own checks, put the file in place, start.
//! 5. Ship again. The same log goes on; the first round ships what differs, or the whole state if the shipper's folder was lost.

mod recover;
mod source;
mod state;

pub use recover::{Recovered, base_before, recover};
pub use source::{SqlitePages, SqlitePagesConfig};
