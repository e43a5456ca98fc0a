//! An object in use.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::manager::Manager;
use crate::pool::Inner;
use crate::status::Closed;
use crate::verdict::Lent;

/// An object of a pool, for one user. It goes back when this is dropped.
pub struct Guard<M: Manager> {
    pub(crate) inner: Arc<Inner<M>>,
    pub(crate) slot: usize,
    object: Option<M::Object>,
    fate: Fate,
}

/// What becomes of an object after use.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    Return,
    /// It is checked first.
    Check,
    Close(Closed),
}

impl<M: Manager> Guard<M> {
    pub(crate) fn new(inner: Arc<Inner<M>>, slot: usize, object: M::Object) -> Self {
        Self { inner, slot, object: Some(object), fate: Fate::Return }
    }

    pub(crate) fn lent(inner: Arc<Inner<M>>, lent: Lent<M::Object>) -> Self {
        Self::new(inner, lent.slot, lent.object)
    }

    pub(crate) fn set_fate(&mut self, fate: Fate) {
        self.fate = fate;
    }

    /// Says that the object may be broken: it is checked before anybody else gets it, and closed if it does not pass.
    pub fn suspect(&mut self) {
        self.fate = Fate::Check;
    }

    /// Closes the object instead of giving it back.
    pub fn invalidate(mut self) {
        self.fate = Fate::Close(Closed::Invalidated);
    }

    /// Takes the object out of the pool, which may then create another.
    #[must_use]
    pub fn detach(mut self) -> M::Object {
        let Some(object) = self.object.take() else { unreachable!("{THERE}") };
        self.inner.lost(self.slot, Closed::Detached);
        object
    }

    pub(crate) fn take(&mut self) -> Option<M::Object> {
        self.object.take()
    }
}

const THERE: &str = "an object is there until its guard is consumed";

impl<M: Manager> Deref for Guard<M> {
    type Target = M::Object;

    fn deref(&self) -> &M::Object {
        match &self.object {
            Some(object) => object,
            None => unreachable!("{THERE}"),
        }
    }
}

impl<M: Manager> DerefMut for Guard<M> {
    fn deref_mut(&mut self) -> &mut M::Object {
        match &mut self.object {
            Some(object) => object,
            None => unreachable!("{THERE}"),
        }
    }
}

impl<M: Manager> Drop for Guard<M> {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            self.inner.returned(self.slot, object, self.fate);
        }
    }
}

impl<M: Manager<Object: std::fmt::Debug>> std::fmt::Debug for Guard<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Guard").field(&self.object).finish()
    }
}
