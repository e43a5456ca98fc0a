//! What may be done with a value of a certain age: one decision, without clock and dice.

use crate::tick::Tick;

/// How an entry stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Freshness {
    /// Serve it.
    Fresh,
    /// Serve it, and load it anew in the background: it will not be fresh for long.
    Early,
    /// Serve it, and load it anew in the background: it is past its time.
    Stale,
    /// Load it anew; serve it only if that fails.
    Fallback,
    /// It is gone.
    Expired,
}

/// The times of one entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    /// Until then it is fresh.
    pub(crate) fresh: Tick,
    /// Until then it may be served at all.
    pub(crate) expires: Tick,
    /// For so many ticks before the end of its freshness it may be loaded early: [`SPAN`] times what a load takes.
    pub(crate) early: u16,
    /// The generation of the cache that it belongs to.
    pub(crate) generation: u16,
}

/// How many times the duration of a load before the end of freshness the dice are thrown first. The chance is `e^-16`
/// there.
pub(crate) const SPAN: u16 = 16;

impl Stamp {
    /// Whether nothing needs to be decided: what nearly every call finds.
    #[inline]
    pub(crate) fn is_plainly_fresh(&self, now: Tick) -> bool {
        self.fresh.minus(self.early).is_after(now)
    }
}

/// How an entry stands `now`. It is served stale before `stale_until`. `luck` is called at most once, and draws evenly from
/// above 0 up to 1.
///
/// Early refresh is `XFetch` (Vattani, Chierichetti and Lowenstein, VLDB 2015): with a chance that grows as the end of
/// freshness comes nearer, exponentially on the scale of what a load takes, one caller loads before all callers miss.
pub(crate) fn judge(stamp: &Stamp, stale_until: Tick, now: Tick, luck: impl FnOnce() -> f64) -> Freshness {
    if !stamp.expires.is_after(now) {
        Freshness::Expired
    } else if stamp.is_plainly_fresh(now) {
        Freshness::Fresh
    } else if stamp.fresh.is_after(now) {
        let left = f64::from(stamp.fresh.since(now));
        let scale = f64::from(stamp.early) / f64::from(SPAN);
        if left <= -luck().ln() * scale { Freshness::Early } else { Freshness::Fresh }
    } else if stale_until.is_after(now) {
        Freshness::Stale
    } else {
        Freshness::Fallback
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stamp(born: u64, fresh: u32, rest: u32, early: u16) -> (Stamp, Tick) {
        let born = Tick::new(born);
        let fresh = born.plus(fresh);
        (Stamp { fresh, expires: fresh.plus(rest), early, generation: 0 }, born)
    }

    prop_compose! {
        fn times()(
            born in 0_u64..1 << 40, fresh in 1_u32..1 << 20, rest in 0_u32..1 << 20, stale in 0_u32..1 << 20,
            early in 0_u16..2048, age in 0_u32..1 << 21, luck in 1e-9_f64..=1.0,
        ) -> (u64, u32, u32, u32, u16, u32, f64) {
            (born, fresh, rest, stale.min(rest), early.min(u16::try_from(fresh / 2).unwrap_or(u16::MAX)), age, luck)
        }
    }

    proptest! {
        /// In plain numbers, without wrapping: age against the ends of the four stretches.
        #[test]
        fn it_says_what_plain_numbers_say((born, fresh, rest, stale, early, age, luck) in times()) {
            let (stamp, start) = stamp(born, fresh, rest, early);
            // Where moments go round one tick is stepped over; the model does not know of that.
            prop_assume!(start.plus(fresh + rest).since(start) == fresh + rest);
            prop_assume!(start.plus(age).since(start) == age);
            let found = judge(&stamp, stamp.fresh.plus(stale), start.plus(age), || luck);
            let expected = if age >= fresh + rest {
                Freshness::Expired
            } else if age >= fresh + stale {
                Freshness::Fallback
            } else if age >= fresh {
                Freshness::Stale
            } else if f64::from(fresh - age) <= f64::from(early) / 16.0 * -luck.ln() && age + u32::from(early) >= fresh {
                Freshness::Early
            } else {
                Freshness::Fresh
            };
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn time_only_makes_it_worse((born, fresh, rest, stale, early, age, luck) in times(), more in 0_u32..1000) {
            let (stamp, start) = stamp(born, fresh, rest, early);
            let at = |age| judge(&stamp, stamp.fresh.plus(stale), start.plus(age), || luck) as u8;
            prop_assert!(at(age) <= at(age + more));
        }

        #[test]
        fn what_never_expires_is_fresh(now: u32, early: u16) {
            let stamp = Stamp { fresh: Tick::NEVER, expires: Tick::NEVER, early, generation: 0 };
            let found = judge(&stamp, Tick::NEVER, Tick::new(u64::from(now)), || 0.5);
            prop_assert_eq!(found, Freshness::Fresh);
        }
    }

    #[test]
    fn the_chance_of_an_early_refresh_is_that_of_the_paper() {
        let random = buttress_core::Random::new(7);
        let (stamp, start) = stamp(1000, 10_000, 0, 100 * SPAN);
        for (left, expected) in [(200_u32, 0.1353), (100, 0.3679), (50, 0.6065)] {
            let now = start.plus(10_000 - left);
            let draw = || judge(&stamp, stamp.fresh, now, || 1.0 - random.fraction());
            let early = (0..100_000).filter(|_| draw() == Freshness::Early).count();
            let share = early as f64 / 100_000.0;
            assert!(
                (share - expected).abs() < 0.02,
                "{share} of the calls at {left} ticks, {expected} expected"
            );
        }
    }
}
