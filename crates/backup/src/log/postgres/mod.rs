//! PostgreSQL's write-ahead log, second by second, and recovery to any moment of it.
//!
//! [`PostgresWal`] runs PostgreSQL's own `pg_receivewal` beside us, on a replication slot, so that the server keeps what was not received yet.
//! What it has received is shipped every second, also the file that is not full. `pg_receivewal` is started again when it ends, and ends with us, also
//! when we are killed.
//!
//! # What has to be there
//!
//! - A login that may replicate, let in by `pg_hba.conf` (`host replication …`); `wal_level = replica` and a free sender and slot, as PostgreSQL
//!   has by default. To tell how far behind the log is, the login also connects to the database of the address.
//! - The shipper is started *before* the base backup, or the log does not reach back to it. Recovery finds that and says so.
//! - `max_slot_wal_keep_size` on the server, so that a shipper that is away for days does not fill its disk; what is lost by this is an error here
//!   ("requested WAL segment … has already been removed"), and needs a new base backup and a log of another name.
//!
//! # To recover, step by step
//!
//! 1. Have a machine with the same major version of PostgreSQL, the repository, and the log's password or its escrow file.
//! 2. Restore the newest base backup whose end is before the moment wanted, into an empty folder. Tablespaces where they were.
//! 3. Call [`prepare`] with that folder, a folder for the log's files, and the moment (or [`Target::End`]). It checks all segments that are needed, from the
//!    base backup's begin on, writes them out as PostgreSQL names them, adds `restore_command` and the target to `postgresql.auto.conf`, and makes
//!    `recovery.signal`. It starts nothing.
//! 4. Give both folders to the user who runs the server (`chown -R postgres`), the data folder with mode 0700.
//! 5. Start the server. It reads the log up to the target, and opens for writing on a new timeline; its own log says where it stopped. `SELECT
//!    pg_is_in_recovery()` is false then. A target after the last transaction in the log is refused by PostgreSQL ("recovery ended before configured
//!    recovery target was reached"): recover to the end instead.
//! 6. Check the data. Remove what [`prepare`] added to `postgresql.auto.conf`, and the folder with the log's files.
//! 7. Ship again, with an empty working folder; the same log may go on, with the new timeline as its next epoch. Make a base backup at once.

mod receiver;
mod recover;
mod source;
mod wal;

pub use receiver::RESTARTS;
pub use recover::{Prepared, Target, prepare};
pub use source::{LAG, PostgresWal, PostgresWalConfig};
