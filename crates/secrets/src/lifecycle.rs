//! The versions of a secret, and when each took its place.

use std::fmt;
use std::time::SystemTime;

use crate::Secret;

/// The place of a version in the life of its secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The version to use.
    Current,
    /// The one before, which is accepted for a while.
    Previous,
    /// The one to come, which is accepted already and used by nobody.
    Next,
}

impl Stage {
    /// The stage as a label and for people: `"current"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
            Self::Next => "next",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A version in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The version's number. A store that counts begins at 1 and gives no number twice; another makes up a number by which two
    /// versions differ, in this process only.
    pub version: u64,
    /// Since when it has its place. `None` where the store does not know, or somebody else decides how long it stays.
    pub since: Option<SystemTime>,
}

/// Which versions a secret has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifecycle {
    /// The version to use.
    pub current: Standing,
    /// The one before.
    pub previous: Option<Standing>,
    /// The one to come.
    pub next: Option<Standing>,
}

/// A version with its value.
#[derive(Debug, Clone)]
pub struct Versioned {
    /// Which version, and since when.
    pub standing: Standing,
    /// Its value.
    pub secret: Secret,
}

/// All versions of a secret with their values, as of one moment.
#[derive(Debug, Clone)]
pub struct Versions {
    /// The version to use.
    pub current: Versioned,
    /// The one before.
    pub previous: Option<Versioned>,
    /// The one to come.
    pub next: Option<Versioned>,
}

impl Versions {
    /// Which versions there are, without their values.
    #[must_use]
    pub fn lifecycle(&self) -> Lifecycle {
        Lifecycle {
            current: self.current.standing,
            previous: self.previous.as_ref().map(|version| version.standing),
            next: self.next.as_ref().map(|version| version.standing),
        }
    }

    /// The version in a place.
    #[must_use]
    pub fn at(&self, stage: Stage) -> Option<&Versioned> {
        match stage {
            Stage::Current => Some(&self.current),
            Stage::Previous => self.previous.as_ref(),
            Stage::Next => self.next.as_ref(),
        }
    }

    /// The version of a number.
    #[must_use]
    pub fn number(&self, version: u64) -> Option<&Versioned> {
        let all = [Some(&self.current), self.previous.as_ref(), self.next.as_ref()];
        all.into_iter().flatten().find(|found| found.standing.version == version)
    }
}
