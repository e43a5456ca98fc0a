//! Times of a cache: ticks of 8.4 ms on the coarse clock, in four bytes of every entry.

use std::time::Duration;

/// A moment, or [`Tick::NEVER`].
///
/// Moments go round after a year; two that are less than half of that apart are told apart rightly. A lifetime is at most
/// [`Tick::LONGEST`], and the sweep visits every entry much more often than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tick(u32);

/// A tick is `2^23` nanoseconds, so that a shift makes ticks of the clock's nanoseconds.
const SHIFT: u32 = 23;

impl Tick {
    /// What never comes.
    pub(crate) const NEVER: Self = Self(u32::MAX);
    /// The longest lifetime.
    pub(crate) const LONGEST: Duration = Duration::from_hours(24 * 180);

    /// A coarse time in nanoseconds.
    #[inline]
    pub(crate) fn of(nanos: u64) -> Self {
        Self::new(nanos >> SHIFT)
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "moments go round")]
    pub(crate) fn new(ticks: u64) -> Self {
        Self::stepping_over(ticks as u32)
    }

    /// The one value that is taken is stepped over.
    #[inline]
    const fn stepping_over(tick: u32) -> Self {
        Self(if tick == u32::MAX { 0 } else { tick })
    }

    /// Whether this is still to come at `now`.
    #[inline]
    pub(crate) fn is_after(self, now: Self) -> bool {
        self.0.wrapping_sub(now.0).cast_signed() > 0 || self == Self::NEVER
    }

    /// The moment after `wait`, never later than that; [`Tick::LONGEST`] at most.
    pub(crate) fn after(self, wait: Duration) -> Self {
        self.plus(ticks(wait))
    }

    pub(crate) fn plus(self, ticks: u32) -> Self {
        if self == Self::NEVER { self } else { Self::new(u64::from(self.0) + u64::from(ticks)) }
    }

    /// The moment `ticks` before this one.
    #[inline]
    pub(crate) fn minus(self, ticks: u16) -> Self {
        if self == Self::NEVER { self } else { Self::stepping_over(self.0.wrapping_sub(u32::from(ticks))) }
    }

    /// The ticks from `earlier` to this moment; none if it is earlier itself.
    pub(crate) fn since(self, earlier: Self) -> u32 {
        let ticks = self.0.wrapping_sub(earlier.0);
        if ticks.cast_signed() < 0 { 0 } else { ticks }
    }

    /// The earlier of both.
    pub(crate) fn min(self, other: Self) -> Self {
        if other == Self::NEVER || (self != Self::NEVER && other.is_after(self)) { self } else { other }
    }

    pub(crate) fn to_bits(self) -> u32 {
        self.0
    }

    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

/// Whole ticks in `wait`, as many as a lifetime may have.
pub(crate) fn ticks(wait: Duration) -> u32 {
    u32::try_from(wait.min(Tick::LONGEST).as_nanos() >> SHIFT).unwrap_or(u32::MAX >> 1)
}

/// The time that `ticks` take.
#[cfg(any(feature = "codec", test))]
pub(crate) fn duration(ticks: u32) -> Duration {
    Duration::from_nanos(u64::from(ticks) << SHIFT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn moments_are_told_apart_also_where_they_go_round(now: u64, wait in 0_u64..Tick::LONGEST.as_secs()) {
            let now = Tick::new(now % (1 << 40));
            let later = now.after(Duration::from_secs(wait));
            prop_assert_eq!(later.is_after(now), wait > 0);
            prop_assert!(!now.is_after(later));
            // The value that is stepped over makes one tick of difference.
            prop_assert!(u64::from(later.since(now)).abs_diff((wait * 1_000_000_000) >> SHIFT) <= 1);
            prop_assert_eq!(now.since(later), 0);
            prop_assert!(now.min(later) == now && later.min(now) == now);
            prop_assert!(Tick::NEVER.min(now) == now && now.min(Tick::NEVER) == now);
            prop_assert!(Tick::NEVER.is_after(later));
        }

        #[test]
        fn a_lifetime_is_never_lengthened(wait: Duration) {
            prop_assert!(duration(ticks(wait)) <= wait);
            prop_assert!(wait > Tick::LONGEST || wait < duration(ticks(wait) + 1));
        }
    }
}
