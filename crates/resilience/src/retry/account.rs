//! How many retries there may be beside how many calls. Without it a callee that is overloaded gets three times the load
//! from callers that try three times, and stays overloaded.
//!
//! The idea is Finagle's: each call pays a share of a retry in, each retry takes a whole one out, and a least rate lets a
//! quiet client retry at all.

use crate::sync::{AtomicU64, Ordering};
use crate::time::Time;

/// What is counted in: thousandths of a retry.
const RETRY: u64 = 1000;

/// The account of one budget, without a clock. Threads share it, and take no lock.
///
/// In any time the retries are at most `most`, the calls' shares, and the least rate for that time.
#[derive(Debug)]
pub(crate) struct Account {
    balance: AtomicU64,
    /// Up to when the least rate has been paid in.
    paid: AtomicU64,
    share: u64,
    per_second: u64,
    most: u64,
}

impl Account {
    /// A full account: `share` in thousandths of a call, `most` and `per_second` in retries.
    pub(crate) fn new(share: u64, per_second: u32, most: u32) -> Self {
        let most = u64::from(most) * RETRY;
        Self {
            balance: AtomicU64::new(most),
            paid: AtomicU64::new(0),
            share,
            per_second: u64::from(per_second),
            most,
        }
    }

    /// Notes a call. While nothing is retried the account is full, and this only reads.
    #[inline]
    pub(crate) fn deposit(&self) {
        if self.balance.load(Ordering::Relaxed) < self.most {
            self.balance.fetch_add(self.share, Ordering::Relaxed);
        }
    }

    /// Pays for a retry, or does not.
    pub(crate) fn withdraw(&self, now: Time) -> bool {
        self.pay_rate(now);
        // What threads paid in beyond the most at the same time is lost here.
        let pay = |balance: u64| balance.min(self.most).checked_sub(RETRY);
        self.balance.fetch_update(Ordering::AcqRel, Ordering::Acquire, pay).is_ok()
    }

    /// Retries that could be paid for now.
    pub(crate) fn retries(&self, now: Time) -> u64 {
        self.pay_rate(now);
        self.balance.load(Ordering::Relaxed).min(self.most) / RETRY
    }

    /// Pays in what the least rate has come to. Of several threads one does it.
    fn pay_rate(&self, now: Time) {
        if self.per_second == 0 {
            return;
        }
        // A thousandth of a retry at a time.
        let step = (1_000_000_000 / RETRY).div_ceil(self.per_second);
        let paid = self.paid.load(Ordering::Acquire);
        let steps = now.0.saturating_sub(paid) / step;
        let upto = paid + steps * step;
        let mine = self.paid.compare_exchange(paid, upto, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if steps > 0 && mine {
            self.balance.fetch_add(steps.min(self.most), Ordering::AcqRel);
        }
    }
}
