//! A restored snapshot of Redis.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use buttress_core::{Ctx, Validate, Violations, units};
use serde::{Deserialize, Serialize};

use super::query::fresh;
use super::{Verdict, Verifier, require_inside};
use crate::Error;
use crate::source::redis::check;
use crate::source::{Record, require_name};

/// Which snapshot, and what it must hold.
///
/// | field | default | |
/// |---|---|---|
/// | `name` | – | the verifier's name |
/// | `path` | – | the restored snapshot, `cache/dump.rdb` |
/// | `at_least_keys` | 1 | how many keys it must hold |
/// | `newest_within` | none | how long before the backup the server may have written it, by the time in it |
/// | `programs` | none | the folder of `redis-check-rdb`; none: the search path |
/// | `timeout` | `"1h"` | how long that may run |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisConfig {
    /// The verifier's name.
    pub name: String,
    /// The restored snapshot.
    pub path: PathBuf,
    /// How many keys it must hold.
    pub at_least_keys: u64,
    /// How long ago it may have been written.
    #[serde(with = "units::optional_duration")]
    pub newest_within: Option<Duration>,
    /// The folder of `redis-check-rdb`.
    pub programs: Option<PathBuf>,
    /// How long that may run.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            path: PathBuf::new(),
            at_least_keys: 1,
            newest_within: None,
            programs: None,
            timeout: Duration::from_hours(1),
        }
    }
}

impl Validate for RedisConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        require_name(&self.name, &mut wrong);
        require_inside(&self.path, &mut wrong);
        wrong.require(!self.timeout.is_zero(), "timeout", "0s", "must be more than 0; \"1h\" is usual");
        wrong.into_result()
    }
}

/// Reads a restored snapshot with `redis-check-rdb`, to its checksum.
#[derive(Debug, Clone)]
pub struct Redis {
    config: RedisConfig,
    record: Option<Record>,
    ctx: Ctx,
}

impl Redis {
    /// The verifier that `config` describes.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when something is wrong with it.
    pub fn new(config: RedisConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        Ok(Self { config, record: None, ctx: ctx.clone() })
    }

    /// It must hold as many keys as were recorded, and be of the same server.
    #[must_use]
    pub fn against(mut self, record: Record) -> Self {
        self.record = Some(record);
        self
    }
}

impl Verifier for Redis {
    fn name(&self) -> &str {
        &self.config.name
    }

    async fn verify(&self, restored: &Path, made: SystemTime) -> Result<Verdict, Error> {
        let Self { config, record, ctx } = self;
        let mut verdict = Verdict::new();
        let path = restored.join(&config.path);
        if !path.is_file() {
            verdict.add(format!("the snapshot {}", config.path.display()), "a file", "no file", false);
            return Ok(verdict);
        }
        let whole = "what `redis-check-rdb` finds";
        let contents = match check(&config.name, &path, config.programs.as_deref(), config.timeout, ctx).await
        {
            Ok(contents) => contents,
            Err(Error::Source { problem, source: None, .. }) if path.is_file() => {
                verdict.add(whole, "a whole snapshot", problem, false);
                return Ok(verdict);
            }
            Err(error) => return Err(error),
        };
        verdict.add(whole, "a whole snapshot", "a whole snapshot", true);
        let keys = contents.keys;
        verdict.add(
            "keys",
            format!("at least {}", config.at_least_keys),
            keys.to_string(),
            keys >= config.at_least_keys,
        );
        if let Some(within) = config.newest_within {
            let written = contents.written.map(Duration::from_secs);
            let written = written.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
            fresh("when it was written", written, within, made, &mut verdict);
        }
        let found = [("keys", keys.to_string()), ("replication", contents.replication)];
        for (fact, found) in found {
            if let Some(expected) = record.as_ref().and_then(|record| record.facts.get(fact)) {
                verdict.same(format!("{fact}, as recorded"), expected, &found);
            }
        }
        Ok(verdict)
    }
}
