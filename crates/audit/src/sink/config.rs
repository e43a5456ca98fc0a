//! Which sink, and how it is fed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use buttress_connect::blobs::S3Config;
use buttress_connect::{Address, ConnectionConfig};
use buttress_core::{ByteSize, Validate, Violations, units};
use serde::{Deserialize, Serialize};

/// Where a copy of the log goes.
///
/// | written as | |
/// |---|---|
/// | `"stdout"` | JSON Lines on standard output |
/// | `"lines:PATH"` | JSON Lines in a file |
/// | `"folder:PATH"` | objects in a folder |
/// | `"s3://BUCKET/PREFIX"` | objects in S3 (feature `s3`) |
/// | `"sqlite:PATH"` | a table of SQLite (feature `sqlite`) |
/// | `"postgres://…"` | a table of PostgreSQL (feature `postgres`) |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Place {
    /// Standard output.
    Stdout,
    /// A file of lines.
    Lines(PathBuf),
    /// A folder of objects.
    Folder(PathBuf),
    /// A bucket, as `BUCKET/PREFIX`.
    S3(String),
    /// A database.
    Database(Address),
}

impl TryFrom<String> for Place {
    type Error = buttress_connect::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Ok(match text.split_once(':') {
            None if text == "stdout" => Self::Stdout,
            Some(("lines", path)) => Self::Lines(path.into()),
            Some(("folder", path)) => Self::Folder(path.into()),
            Some(("s3", rest)) => Self::S3(rest.trim_start_matches('/').to_owned()),
            _ => Self::Database(text.parse()?),
        })
    }
}

impl std::str::FromStr for Place {
    type Err = buttress_connect::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        match place {
            Place::Database(address) => address.expose().to_owned(),
            other => other.to_string(),
        }
    }
}

/// Without passwords.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::Lines(path) => write!(f, "lines:{}", path.display()),
            Self::Folder(path) => write!(f, "folder:{}", path.display()),
            Self::S3(rest) => write!(f, "s3://{rest}"),
            Self::Database(address) => address.fmt(f),
        }
    }
}

/// One sink.
///
/// | field | default | |
/// |---|---|---|
/// | `to` | `"stdout"` | see [`Place`] |
/// | `log` | `"audit"` | the log's name there: several logs may share a database or a bucket; at most 200 letters, digits, `.`, `_`, `-` |
/// | `connection` | | see [`ConnectionConfig`] |
/// | `s3` | | see [`S3Config`]; only for `s3://…` |
/// | `follower` | | see [`FollowerConfig`] |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SinkConfig {
    /// Where the copy goes.
    pub to: Place,
    /// The log's name there.
    pub log: String,
    /// How a server is spoken to.
    pub connection: ConnectionConfig,
    /// What S3 needs beside.
    pub s3: S3Config,
    /// How it is fed.
    pub follower: FollowerConfig,
}

impl Default for SinkConfig {
    fn default() -> Self {
        Self {
            to: Place::Stdout,
            log: "audit".to_owned(),
            connection: ConnectionConfig::default(),
            s3: S3Config::default(),
            follower: FollowerConfig::default(),
        }
    }
}

impl Validate for SinkConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let sign = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '.' | '_' | '-');
        let named =
            (1..=200).contains(&self.log.len()) && !self.log.starts_with('.') && self.log.chars().all(sign);
        wrong.require(
            named,
            "log",
            &self.log,
            "must be 1 to 200 letters, digits, `.`, `_`, `-`, and begin without a dot",
        );
        wrong.nest("connection", &self.connection);
        wrong.nest("follower", &self.follower);
        wrong.into_result()
    }
}

/// How a sink is fed.
///
/// | field | default | |
/// |---|---|---|
/// | `batch` | 500 | entries in a batch at most |
/// | `batch_bytes` | 4MiB | canonical bytes in a batch, about; one entry may be more |
/// | `poll` | `"1s"` | how long to wait when there is nothing new |
/// | `pause` | `"1s"` | how long to wait after a failure; twice as long after each more in a row |
/// | `longest_pause` | `"1m"` | and no longer |
/// | `limit` | `"30s"` | how long a batch may take |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FollowerConfig {
    /// Entries in a batch.
    pub batch: usize,
    /// Bytes in a batch.
    pub batch_bytes: ByteSize,
    /// The wait for something new.
    #[serde(with = "units::duration")]
    pub poll: Duration,
    /// The wait after a failure.
    #[serde(with = "units::duration")]
    pub pause: Duration,
    /// The longest wait after failures.
    #[serde(with = "units::duration")]
    pub longest_pause: Duration,
    /// How long a batch may take.
    #[serde(with = "units::duration")]
    pub limit: Duration,
}

impl Default for FollowerConfig {
    fn default() -> Self {
        Self {
            batch: 500,
            batch_bytes: ByteSize::mib(4),
            poll: Duration::from_secs(1),
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(1),
            limit: Duration::from_secs(30),
        }
    }
}

impl Validate for FollowerConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let batch = (1..=10_000).contains(&self.batch);
        wrong.require(batch, "batch", self.batch, "must be 1 to 10000; 500 is usual");
        let bytes = (1..=64 << 20).contains(&self.batch_bytes.bytes());
        wrong.require(bytes, "batch_bytes", self.batch_bytes, "must be at most 64MiB; 4MiB is usual");
        for (field, value) in [("poll", self.poll), ("pause", self.pause), ("limit", self.limit)] {
            let shown = units::format_duration(value);
            wrong.require(value >= Duration::from_millis(1), field, shown, "must be at least `1ms`");
        }
        let shown = units::format_duration(self.longest_pause);
        wrong.require(
            self.longest_pause >= self.pause,
            "longest_pause",
            shown,
            "must be no less than `pause`",
        );
        wrong.into_result()
    }
}
