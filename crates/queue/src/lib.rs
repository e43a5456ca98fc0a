//! A durable work queue: jobs are pushed by some processes, claimed by others, and each is done.
//!
//! ```
//! use buttress_core::{Ctx, Key};
//! use buttress_queue::{Pushed, QueueConfig, WorkQueue};
//!
//! # #[cfg(feature = "sqlite")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let url = format!("sqlite:{}", folder.path().join("queue.db").display());
//! let mut config = QueueConfig::default();
//! config.url = url.parse()?; // or postgres://…, redis://…, nats://…
//! let queue = WorkQueue::open(&config, &Ctx::default()).await?;
//!
//! let key = Key::new("invoice-17")?;
//! assert_eq!(queue.push(&key, "send it".into()).await?, Pushed::New);
//! assert_eq!(queue.push(&key, "send it".into()).await?, Pushed::Known); // the same job
//!
//! for mut job in queue.claim(10).await? {
//!     let done = queue.hold(&mut job, async { /* the work; the lease is extended meanwhile */ }).await;
//!     match done {
//!         Ok(()) => queue.complete(&job).await?,
//!         Err(lost) => println!("{lost}"),
//!     }
//! }
//! assert_eq!(queue.stats().await?.unfinished(), 0);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "sqlite"))]
//! # fn main() {}
//! ```
//!
//! # What it promises
//!
//! - A job whose push was acknowledged is given out until it is done or dead, whoever is killed meanwhile.
//! - Two workers never hold a job at once, unless one has outstayed its lease; then what it says of the job is refused
//!   with [`Error::LeaseLost`].
//! - A job is known by its key from its push until it is done. Pushed again meanwhile, it stays one job.
//! - A failure that may pass is tried again, later each time. One that will not, or one too many, makes a dead
//!   letter, also when workers crash on the job and say nothing. Dead letters keep payload and reason until somebody
//!   [revives](WorkQueue::revive) them.
//! - Everything is bounded: jobs, dead letters, payloads. Past the bound a push is refused with [`Error::Full`].
//!
//! It does not promise that a job is done only once: a worker may be killed between doing it and saying so. What a job
//! does has to bear being done twice.
//!
//! # Back ends
//!
//! | | jobs are kept in | a lease is | the bound `depth` |
//! |---|---|---|---|
//! | SQLite | a table; one machine | a column | exact |
//! | PostgreSQL | a table; `FOR UPDATE SKIP LOCKED` | a column | may be passed by as many as push at that moment |
//! | Redis | a stream, a sorted set, hashes; `XAUTOCLAIM` | idle time in the consumer group | exact |
//! | NATS | a work-queue stream, dead letters in another | `ack_wait` | exact; delayed jobs are counted as leased |
//!
//! How safe an acknowledgement is, is the server's to say: Redis needs `appendonly yes` and `appendfsync always`;
//! PostgreSQL its defaults; NATS has `sync_interval: always` from 2.10 on, against loss of power.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `nats` | no | `nats://…`, `tls://…` |
//! | `postgres` | no | `postgres://…` |
//! | `redis` | no | `redis://…`, `rediss://…` |
//! | `sqlite` | no | `sqlite:…`, compiled in |
//! | `test-util` | no | `contract`: the promises above as tests, for a back end of your own |

mod backend;
mod config;
#[cfg(feature = "test-util")]
pub mod contract;
mod error;
mod job;
pub mod metrics;
mod policy;
mod queue;
mod work_queue;

pub use config::QueueConfig;
pub use error::Error;
pub use job::{DeadLetter, Job, Pushed, Stats, Verdict};
pub use queue::{AnyQueue, DeadLetters, Queue};
pub use work_queue::{Failed, WorkQueue};
