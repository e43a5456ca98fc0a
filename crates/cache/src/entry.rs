//! What an engine keeps for a key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::freshness::Stamp;
use crate::tags::Seen;
use crate::tick::Tick;

/// A value, or the knowledge that there is none, with its times. As small as may be: there are millions. Beside a value stand
/// eight bytes, if it lives as the cache's rules say; what is out of the ordinary is kept elsewhere.
#[derive(Debug, Clone)]
pub(crate) enum Entry<V> {
    /// A value, and from when on there is something to decide about it.
    Value { value: V, plain: Tick, early: Early, generation: u16 },
    /// There is none, until then.
    Nothing { fresh: Tick, generation: u16 },
    /// With an idle time, with tags, or with times of its own.
    Other(Arc<Other<V>>),
}

#[derive(Debug)]
pub(crate) struct Other<V> {
    value: Option<V>,
    stamp: Stamp,
    extra: Option<Arc<Extra>>,
}

impl<V> Entry<V> {
    /// `kept` is for how many ticks after its time the cache keeps a value.
    pub(crate) fn new(value: Option<V>, extra: Option<Arc<Extra>>, stamp: Stamp, kept: u32) -> Self {
        let Stamp { fresh, expires, early, generation } = stamp;
        let early = Early::of(early);
        let plain = fresh.minus(early.ticks());
        let usual = extra.is_none() && plain.plus(u32::from(early.ticks())) == fresh;
        match value {
            Some(value) if usual && expires == fresh.plus(kept) => {
                Self::Value { value, plain, early, generation }
            }
            None if usual && expires == fresh => Self::Nothing { fresh, generation },
            value => Self::Other(Arc::new(Other { value, stamp, extra })),
        }
    }

    /// A value that the cache's rules hold for, and that is not loaded early.
    #[inline]
    pub(crate) fn usual(value: V, fresh: Tick, generation: u16) -> Self {
        Self::Value { value, plain: fresh, early: Early(0), generation }
    }

    /// What was given to [`new`](Self::new), but that it may be loaded a little less early.
    pub(crate) fn stamp(&self, kept: u32) -> Stamp {
        match self {
            Self::Value { plain, early, generation, .. } => {
                let early = early.ticks();
                let fresh = plain.plus(u32::from(early));
                Stamp { fresh, expires: fresh.plus(kept), early, generation: *generation }
            }
            Self::Nothing { fresh, generation } => {
                Stamp { fresh: *fresh, expires: *fresh, early: 0, generation: *generation }
            }
            Self::Other(other) => other.stamp,
        }
    }

    pub(crate) fn value(&self) -> Option<&V> {
        match self {
            Self::Value { value, .. } => Some(value),
            Self::Nothing { .. } => None,
            Self::Other(other) => other.value.as_ref(),
        }
    }

    pub(crate) fn extra(&self) -> Option<&Arc<Extra>> {
        match self {
            Self::Other(other) => other.extra.as_ref(),
            _ => None,
        }
    }
}

impl<V: Clone> Entry<V> {
    pub(crate) fn into_value(self) -> Option<V> {
        match self {
            Self::Value { value, .. } => Some(value),
            other => other.value().cloned(),
        }
    }
}

/// A number of ticks in a byte: exact up to 32, and a sixteenth too small at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Early(u8);

impl Early {
    /// A float of four bits and a hidden one.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "16 bits have 12 exponents above the first 16 numbers"
    )]
    fn of(ticks: u16) -> Self {
        let exponent = (u16::BITS - ticks.leading_zeros()).saturating_sub(4);
        match exponent {
            0 => Self(ticks as u8),
            _ => Self((exponent as u8) << 4 | ((ticks >> (exponent - 1)) & 15) as u8),
        }
    }

    fn ticks(self) -> u16 {
        let (exponent, rest) = (self.0 >> 4, u16::from(self.0 & 15));
        match exponent {
            0 => rest,
            _ => (16 | rest) << (exponent - 1),
        }
    }
}

/// What only entries with an idle time or tags have.
#[derive(Debug)]
pub(crate) struct Extra {
    /// Gone when it was not used for so many ticks.
    pub(crate) idle: Option<u32>,
    /// When it was used last, as [`Tick::to_bits`].
    pub(crate) used: AtomicU32,
    pub(crate) tags: Seen,
}

impl Extra {
    /// `None` if there is nothing to keep.
    pub(crate) fn of(idle: Option<u32>, tags: Seen, now: Tick) -> Option<Arc<Self>> {
        let needed = idle.is_some() || !tags.is_empty();
        needed.then(|| Arc::new(Self { idle, used: AtomicU32::new(now.to_bits()), tags }))
    }

    pub(crate) fn use_at(&self, now: Tick) {
        self.used.store(now.to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn is_idle(&self, now: Tick) -> bool {
        let used = Tick::from_bits(self.used.load(Ordering::Relaxed));
        self.idle.is_some_and(|idle| now.since(used) >= idle)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_put_in_is_what_comes_out(
            value: Option<u64>, fresh: u32, rest in 0_u32..1 << 20, early: u16, generation: u16, kept in 0_u32..3,
            usual: bool,
        ) {
            let fresh = Tick::new(u64::from(fresh));
            let rest = if usual && value.is_some() { kept } else if usual { 0 } else { rest };
            let early = if value.is_some() { early } else { 0 };
            let stamp = Stamp { fresh, expires: fresh.plus(rest), early, generation };
            let entry = Entry::new(value, None, stamp, kept);
            let told = entry.stamp(kept);
            prop_assert_eq!((told.fresh, told.expires, told.generation), (fresh, fresh.plus(rest), generation));
            prop_assert!(told.early <= early && told.early >= early - early / 16);
            prop_assert_eq!(entry.value().copied(), value);
            prop_assert_eq!(entry.into_value(), value);
        }
    }

    #[test]
    fn a_value_takes_eight_bytes_more_than_itself() {
        assert_eq!(size_of::<Entry<u64>>(), 16);
        assert_eq!(size_of::<(u64, Entry<u64>)>(), size_of::<Option<(u64, Entry<u64>)>>());
    }
}
