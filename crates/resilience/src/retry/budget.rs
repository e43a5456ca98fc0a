//! A retry budget as clients share it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use buttress_core::{Ctx, Event, Outcome, Validate};

use super::account::Account;
use super::config::BudgetConfig;
use crate::error::Error;
use crate::time::Time;

/// How many retries (and hedges) there may be beside how many calls. Cheap to clone: clones are handles of one budget, and
/// all that speak to one callee should share one.
///
/// In any time the retries are at most `burst`, the `share` of the calls, and `least` for each second, whatever the
/// threads.
#[derive(Clone)]
pub struct RetryBudget(Arc<Inner>);

struct Inner {
    account: Account,
    start: Instant,
    ctx: Ctx,
    dry: AtomicBool,
}

impl RetryBudget {
    /// A full budget.
    ///
    /// # Errors
    ///
    /// [`Error::Config`].
    pub fn new(config: &BudgetConfig, ctx: &Ctx) -> Result<Self, Error> {
        config.validate().map_err(Error::Config)?;
        let (account, start) = (config.account(), ctx.clock.now());
        Ok(Self(Arc::new(Inner { account, start, ctx: ctx.clone(), dry: AtomicBool::new(false) })))
    }

    /// Notes a call.
    #[inline]
    pub fn deposit(&self) {
        self.0.account.deposit();
    }

    /// Takes a retry out; `false` where there is none.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        let paid = self.0.account.withdraw(self.0.now());
        if self.0.dry.swap(!paid, Ordering::Relaxed) == paid {
            self.0.tell(paid);
        }
        paid
    }

    /// Retries that could be paid for now.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.0.account.retries(self.0.now())
    }
}

impl RetryBudget {
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Inner {
    fn now(&self) -> Time {
        Time::of(self.ctx.clock.now(), self.start)
    }

    /// Once for each time that it runs dry, and once when it does not any more.
    #[cold]
    fn tell(&self, paid: bool) {
        let outcome = if paid { Outcome::Success } else { Outcome::Failure };
        let detail = if paid { "retries again" } else { "used up; failures are not retried" };
        let event = Event::new(self.ctx.clock.wall(), "retry_budget.change", outcome);
        self.ctx.events.emit(event.detail(detail));
    }
}

impl std::fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RetryBudget").field("retries", &self.retries()).finish()
    }
}
