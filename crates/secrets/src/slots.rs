//! What a change makes of the versions of a secret: the same for every store that keeps them itself. Pure.

use std::time::SystemTime;

use crate::lifecycle::{Lifecycle, Standing};

/// A version, and where its value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot<T> {
    pub(crate) standing: Standing,
    pub(crate) value: T,
}

/// The versions of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slots<T> {
    pub(crate) current: Slot<T>,
    pub(crate) previous: Option<Slot<T>>,
    pub(crate) next: Option<Slot<T>>,
    /// The highest number given out, so that none is given twice.
    pub(crate) last: u64,
}

impl<T> Slots<T> {
    /// The first version.
    pub(crate) fn new(value: T, now: SystemTime) -> Self {
        let standing = Standing { version: 1, since: Some(now) };
        Self { current: Slot { standing, value }, previous: None, next: None, last: 1 }
    }

    pub(crate) fn lifecycle(&self) -> Lifecycle {
        let standing = |slot: &Option<Slot<T>>| slot.as_ref().map(|slot| slot.standing);
        Lifecycle {
            current: self.current.standing,
            previous: standing(&self.previous),
            next: standing(&self.next),
        }
    }

    /// The number of the version to come. 2^64 of them are never made.
    pub(crate) fn upcoming(&self) -> u64 {
        self.last.saturating_add(1)
    }

    fn number(&mut self, value: T, now: SystemTime) -> Slot<T> {
        self.last = self.upcoming();
        Slot { standing: Standing { version: self.last, since: Some(now) }, value }
    }

    /// Puts a version in the place of the current one, which becomes the previous. A version to come is dropped: nobody used it.
    pub(crate) fn put(&mut self, value: T, now: SystemTime) {
        let slot = self.number(value, now);
        let former = std::mem::replace(&mut self.current, slot);
        self.previous = Some(moved(former, now));
        self.next = None;
    }

    /// Adds the version to come. `false`: there is one.
    pub(crate) fn create(&mut self, value: T, now: SystemTime) -> bool {
        let free = self.next.is_none();
        if free {
            self.next = Some(self.number(value, now));
        }
        free
    }

    /// The version to come becomes the current one. `false`: there is none, or the previous one is still there.
    pub(crate) fn switch(&mut self, now: SystemTime) -> bool {
        if self.previous.is_some() {
            return false;
        }
        let Some(next) = self.next.take() else { return false };
        let former = std::mem::replace(&mut self.current, moved(next, now));
        self.previous = Some(moved(former, now));
        true
    }

    /// The previous version goes. `false`: there is none.
    pub(crate) fn retire(&mut self) -> bool {
        self.previous.take().is_some()
    }
}

fn moved<T>(slot: Slot<T>, now: SystemTime) -> Slot<T> {
    Slot { standing: Standing { since: Some(now), ..slot.standing }, ..slot }
}
