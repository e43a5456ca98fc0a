//! What a probe answers.

use std::time::SystemTime;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// How it is, in the words of `draft-inadarei-api-health-check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It works.
    Pass,
    /// It works, but somebody should look.
    Warn,
    /// It does not work.
    Fail,
}

impl Status {
    /// The status as text: `"pass"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// How a group of checks is. Serialises as `application/health+json` (draft-inadarei-api-health-check-06).
///
/// ```json
/// {"status":"warn","checks":{"sqlite":[{"status":"warn","time":"2026-01-01T00:00:00Z","output":"slow"}]}}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The worst that counts: an optional check is never worse than [`Status::Warn`].
    pub status: Status,
    /// Why, where it is not a check that says so: `"draining"`.
    pub output: Option<String>,
    /// Each check, in the order of registration.
    pub checks: Vec<CheckReport>,
}

/// How one check is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// The probe's name.
    pub name: String,
    /// What it counts for.
    pub status: Status,
    /// When it last answered, if it has.
    pub time: Option<SystemTime>,
    /// Why it is not [`Status::Pass`].
    pub output: Option<String>,
}

impl Report {
    /// The media type of the serialised report.
    pub const MEDIA_TYPE: &'static str = "application/health+json";

    /// Whether an HTTP probe is answered with a success: a warning is one.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status != Status::Fail
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("status", &self.status)?;
        if let Some(output) = &self.output {
            map.serialize_entry("output", output)?;
        }
        if !self.checks.is_empty() {
            map.serialize_entry("checks", &Checks(&self.checks))?;
        }
        map.end()
    }
}

/// The draft keys checks by component and gives each an array, for components of many nodes.
struct Checks<'a>(&'a [CheckReport]);

impl Serialize for Checks<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|check| (&check.name, [check])))
    }
}

impl Serialize for CheckReport {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("status", &self.status)?;
        if let Some(time) = self.time {
            map.serialize_entry("time", &format_args!("{}", humantime::format_rfc3339_seconds(time)))?;
        }
        if let Some(output) = &self.output {
            map.serialize_entry("output", output)?;
        }
        map.end()
    }
}
