//! A restored SQLite database.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use buttress_connect::sqlite::client as rusqlite;
use buttress_core::{Ctx, Validate, Violations, timeout, units};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _};
use serde::{Deserialize, Serialize};

use super::{Query, Verdict, Verifier, require_inside};
use crate::Error;
use crate::source::sqlite::{Stop, Stopping, open_copy, rows, schema};
use crate::source::{Record, SqliteCheck, failed, require_name};

/// Which database, and what it must answer.
///
/// | field | default | |
/// |---|---|---|
/// | `name` | – | the verifier's name |
/// | `path` | – | the restored database, `jobs/queue.db` |
/// | `check` | `"full"` | SQLite's own check: `full`, `quick` |
/// | `queries` | none | what it must answer: [`Query`] |
/// | `timeout` | `"1h"` | how long all of it may take |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SqliteConfig {
    /// The verifier's name.
    pub name: String,
    /// The restored database.
    pub path: PathBuf,
    /// SQLite's own check.
    pub check: SqliteCheck,
    /// What it must answer.
    pub queries: Vec<Query>,
    /// How long all of it may take.
    #[serde(with = "units::duration")]
    pub timeout: Duration,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            path: PathBuf::new(),
            check: SqliteCheck::Full,
            queries: Vec::new(),
            timeout: Duration::from_hours(1),
        }
    }
}

impl Validate for SqliteConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        require_name(&self.name, &mut wrong);
        require_inside(&self.path, &mut wrong);
        self.queries.iter().for_each(|query| query.check(&mut wrong));
        wrong.require(!self.timeout.is_zero(), "timeout", "0s", "must be more than 0; \"1h\" is usual");
        wrong.into_result()
    }
}

/// Opens a restored database, for reading alone, and asks it.
#[derive(Debug, Clone)]
pub struct Sqlite {
    config: SqliteConfig,
    record: Option<Record>,
    ctx: Ctx,
}

impl Sqlite {
    /// The verifier that `config` describes.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when something is wrong with it.
    pub fn new(config: SqliteConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        Ok(Self { config, record: None, ctx: ctx.clone() })
    }

    /// Its schema and row counts must be those that were recorded.
    #[must_use]
    pub fn against(mut self, record: Record) -> Self {
        self.record = Some(record);
        self
    }

    fn look(&self, path: &Path, made: SystemTime, stop: &Stopping) -> Result<Verdict, Error> {
        let mut verdict = Verdict::new();
        if !path.is_file() {
            verdict.add(format!("the database {}", self.config.path.display()), "a file", "no file", false);
            return Ok(verdict);
        }
        let checked = open_copy(path).and_then(|database| {
            stop.watch(&database);
            self.config.check.run(&database).map(|found| (database, found))
        });
        stop.go_on()?;
        let (database, found) = match checked {
            Ok(checked) => checked,
            Err(error) => {
                verdict.add("SQLite's check", "ok", error.to_string(), false);
                return Ok(verdict);
            }
        };
        verdict.same("SQLite's check", "ok", &found);
        for (fact, expected) in self.record.iter().flat_map(|record| &record.facts) {
            stop.go_on()?;
            let found = match fact.strip_prefix("rows.") {
                Some(table) => rows(&database, table).map(|rows| rows.to_string()),
                None if fact == "schema" => schema(&database),
                None => continue,
            };
            verdict.same(format!("{fact}, as recorded"), expected, &told(found));
        }
        for query in &self.config.queries {
            stop.go_on()?;
            match value(&database, &query.sql) {
                Ok(found) => query.judge(found.as_deref(), made, &mut verdict),
                Err(error) => verdict.add(&query.sql, "an answer", error.to_string(), false),
            }
        }
        stop.go_on()?;
        Ok(verdict)
    }
}

fn told(found: rusqlite::Result<String>) -> String {
    found.unwrap_or_else(|error| error.to_string())
}

/// The first value that a query answers, as text.
fn value(database: &Connection, sql: &str) -> rusqlite::Result<Option<String>> {
    let found = database.query_row(sql, (), |row| {
        Ok(match row.get_ref(0)? {
            ValueRef::Null => None,
            ValueRef::Integer(number) => Some(number.to_string()),
            ValueRef::Real(number) => Some(number.to_string()),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                Some(String::from_utf8_lossy(bytes).into_owned())
            }
        })
    });
    found.optional().map(Option::flatten)
}

impl Verifier for Sqlite {
    fn name(&self) -> &str {
        &self.config.name
    }

    async fn verify(&self, restored: &Path, made: SystemTime) -> Result<Verdict, Error> {
        // Dropped with this future, it ends what the thread does.
        let stop = Stop::default();
        let (looking, path, stopping) =
            (self.clone(), restored.join(&self.config.path), std::sync::Arc::clone(&stop.0));
        let look = tokio::task::spawn_blocking(move || looking.look(&path, made, &stopping));
        let limit = self.config.timeout;
        tokio::select! {
            () = self.ctx.shutdown.stopped() => Err(Error::Stopped),
            looked = timeout(&*self.ctx.clock, limit, look) => match looked {
                Ok(Ok(verdict)) => verdict,
                Ok(Err(gone)) => Err(failed(&self.config.name, "the look was given up", gone)),
                Err(_) => Err(Error::Timeout { what: format!("{}: to look at the database", self.config.name), limit }),
            },
        }
    }
}
