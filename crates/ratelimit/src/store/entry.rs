//! What is remembered of one key.

use super::slot::{Logs, Slot};
use crate::algorithm::Nanos;
use crate::fingerprint::Fingerprint;
use crate::penalty::PenaltyState;
use crate::plan::{Part, Shape, Shapes};

/// What is remembered of one key.
pub(crate) trait Entry: Copy + Default {
    /// That of a key which nothing is known of.
    fn new(print: Fingerprint) -> Self;
    /// Whether it is that of a key.
    fn is_of(&self, print: Fingerprint) -> bool;
    /// Where in the table it is.
    fn place(&self) -> u64;
    /// Which kind of state the slots hold.
    fn shape(&self) -> Shape;
    fn set_shape(&mut self, shape: Shape);
    fn slots(&mut self) -> &mut [Slot];
    /// The first of the slots.
    fn first(&mut self) -> &mut Slot;
    fn penalty(&self) -> PenaltyState;
    fn set_penalty(&mut self, state: PenaltyState);

    /// Makes the slots hold what `part` counts. What another kind of limit has counted is of no use.
    #[inline]
    fn reshape(&mut self, part: &Part, logs: &mut Logs, shapes: &Shapes) {
        if self.shape() != part.shape {
            self.close(logs, shapes);
            self.set_shape(part.shape);
        }
    }

    /// Makes a copy look as [`reshape`](Entry::reshape) would make the entry.
    fn pretend(&mut self, part: &Part) {
        if self.shape() != part.shape {
            self.slots().fill(Slot::default());
        }
    }

    /// Gives up what the slots keep elsewhere.
    #[cold]
    fn close(&mut self, logs: &mut Logs, shapes: &Shapes) {
        let rules = shapes.rules(self.shape());
        for (slot, rule) in self.slots().iter_mut().zip(rules) {
            slot.close(rule, logs);
        }
    }

    /// When the limits are as if nothing had been asked for.
    fn reset_after(&mut self, now: Nanos, logs: &mut Logs, shapes: &Shapes) -> Nanos {
        let rules = shapes.rules(self.shape());
        let slots = self.slots().iter_mut().zip(rules);
        slots
            .map(|(slot, rule)| rule.map_or(0, |rule| slot.peek(rule, logs, now, 0).reset_after))
            .max()
            .unwrap_or(0)
    }
}

/// Two limits and what is held against the caller: 64 bytes, a cache line.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
pub(crate) struct Wide {
    print: Fingerprint,
    slots: [Slot; 2],
    violations_until: u32,
    failures_until: u32,
    banned_until: u32,
    shape: Shape,
    bans: u8,
}

const _: () = assert!(size_of::<Wide>() == 64, "an entry is a cache line");

impl Entry for Wide {
    fn new(print: Fingerprint) -> Self {
        Self { print, ..Self::default() }
    }

    #[inline]
    fn is_of(&self, print: Fingerprint) -> bool {
        self.print == print
    }

    #[inline]
    fn place(&self) -> u64 {
        self.print.place
    }

    #[inline]
    fn shape(&self) -> Shape {
        self.shape
    }

    fn set_shape(&mut self, shape: Shape) {
        self.shape = shape;
    }

    #[inline]
    fn slots(&mut self) -> &mut [Slot] {
        &mut self.slots
    }

    #[inline]
    fn first(&mut self) -> &mut Slot {
        let [first, ..] = &mut self.slots;
        first
    }

    #[inline]
    fn penalty(&self) -> PenaltyState {
        PenaltyState {
            violations_until: self.violations_until,
            failures_until: self.failures_until,
            banned_until: self.banned_until,
            bans: self.bans,
        }
    }

    fn set_penalty(&mut self, state: PenaltyState) {
        self.violations_until = state.violations_until;
        self.failures_until = state.failures_until;
        self.banned_until = state.banned_until;
        self.bans = state.bans;
    }
}

/// One limit, and no penalties: 32 bytes, half a cache line.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(32))]
pub(crate) struct Narrow {
    place: u64,
    /// That of the fingerprint, but for the lowest 16 bits, in which the shape is. So keys are told apart by 112 bits.
    rest: u64,
    slots: [Slot; 1],
}

const _: () = assert!(size_of::<Narrow>() == 32, "two entries are a cache line");

/// The bits of [`Narrow::rest`] in which the shape is.
const SHAPE: u64 = 0xffff;

impl Entry for Narrow {
    fn new(print: Fingerprint) -> Self {
        Self { place: print.place, rest: print.rest & !SHAPE, ..Self::default() }
    }

    #[inline]
    fn is_of(&self, print: Fingerprint) -> bool {
        self.place == print.place && (self.rest ^ print.rest) & !SHAPE == 0
    }

    #[inline]
    fn place(&self) -> u64 {
        self.place
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the bits that are wanted")]
    fn shape(&self) -> Shape {
        Shape(self.rest as u16)
    }

    fn set_shape(&mut self, shape: Shape) {
        self.rest = (self.rest & !SHAPE) | u64::from(shape.0);
    }

    #[inline]
    fn slots(&mut self) -> &mut [Slot] {
        &mut self.slots
    }

    #[inline]
    fn first(&mut self) -> &mut Slot {
        let [first, ..] = &mut self.slots;
        first
    }

    #[inline]
    fn penalty(&self) -> PenaltyState {
        PenaltyState::default()
    }

    /// There are none.
    fn set_penalty(&mut self, _: PenaltyState) {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_entry_is_of_its_key_whatever_its_shape(place: u64, rest: u64, shape: u16, bit in 16..64_u32) {
            let print = Fingerprint { place, rest };
            let mut entry = Narrow::new(print);
            prop_assert_eq!(entry.shape(), Shape::default());
            entry.set_shape(Shape(shape));
            prop_assert!(entry.is_of(print) && entry.shape() == Shape(shape));
            let others = [Fingerprint { rest: rest ^ (1 << bit), ..print }, Fingerprint { place: !place, ..print }];
            prop_assert!(!others.into_iter().any(|other| entry.is_of(other)));
        }
    }
}
