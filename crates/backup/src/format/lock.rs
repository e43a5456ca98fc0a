//! A lock: somebody works on the repository.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A lock that was not renewed for so long holds nobody up: its process is gone.
pub(crate) const STALE_AFTER: Duration = Duration::from_mins(30);
/// How often a lock is renewed.
pub(crate) const RENEW_EVERY: Duration = Duration::from_mins(5);

/// A lock object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockFile {
    pub(crate) time: Timestamp,
    #[serde(default)]
    pub(crate) exclusive: bool,
    #[serde(default)]
    pub(crate) hostname: String,
    #[serde(default)]
    pub(crate) username: String,
    #[serde(default)]
    pub(crate) pid: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) uid: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) gid: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
pub(super) fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl LockFile {
    /// Whether it was not renewed for half an hour, if the clocks of its writer and of the reader agree.
    pub(crate) fn is_old(&self, now: Timestamp) -> bool {
        now.duration_since(self.time) > SignedDuration::try_from(STALE_AFTER).unwrap_or(SignedDuration::MAX)
    }

    /// Whether its process was one of this host that `is_running` does not find.
    pub(crate) fn is_of_the_dead(&self, hostname: &str, is_running: impl FnOnce(i64) -> bool) -> bool {
        self.hostname == hostname && !hostname.is_empty() && !is_running(self.pid)
    }
}

impl std::fmt::Display for LockFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.exclusive { "exclusively, " } else { "" };
        write!(
            f,
            "process {} of {}@{} ({kind}since {:.0})",
            self.pid, self.username, self.hostname, self.time
        )
    }
}
