//! What several limits say together.

use crate::algorithm::Verdict;
use crate::decision::Quota;
use crate::plan::Window;

impl Quota {
    /// What one limit says.
    #[inline]
    pub(crate) fn of(window: &Window, verdict: &Verdict) -> Self {
        Self {
            limit: window.quota,
            remaining: verdict.remaining,
            window: window.length,
            retry_after: verdict.retry_after,
            reset_after: verdict.reset_after,
        }
    }
}

/// What several limits say together, and the one that allows least.
pub(crate) struct View {
    pub(crate) allowed: bool,
    pub(crate) quota: Quota,
}

impl View {
    pub(crate) const FREE: Self = Self { allowed: true, quota: Quota::UNLIMITED };

    #[inline]
    pub(crate) fn add(&mut self, window: &Window, verdict: &Verdict) {
        let tighter = match (self.allowed, verdict.allowed) {
            (true, true) => verdict.remaining < self.quota.remaining,
            (false, false) => verdict.retry_after > self.quota.retry_after,
            (_, allowed) => !allowed,
        };
        if tighter {
            self.quota = Quota::of(window, verdict);
            self.allowed = verdict.allowed;
        }
    }
}
