//! The shards that one request needs, all of them locked.

use super::Store;
use super::entry::Entry;
use super::shard::{Rulebook, Shard};
use super::slot::Logs;
use super::targets::{MOST, Target, Targets};
use crate::algorithm::Nanos;
use crate::sync::MutexGuard;

/// Shards under their locks, with their indices.
pub(super) struct Held<'s, E>([Option<(usize, MutexGuard<'s, Shard<E>>)>; MOST]);

impl<E: Entry> Held<'_, E> {
    pub(super) fn shard(&mut self, index: usize) -> Option<&mut Shard<E>> {
        self.0.iter_mut().flatten().find(|(held, _)| *held == index).map(|(_, shard)| &mut **shard)
    }

    pub(super) fn first(&mut self) -> Option<&mut Shard<E>> {
        self.0.iter_mut().flatten().next().map(|(_, shard)| &mut **shard)
    }

    /// The time as all of them go by.
    pub(super) fn at(&mut self, now: Nanos) -> Nanos {
        let latest = self.0.iter_mut().flatten().map(|(_, shard)| shard.at(now)).max().unwrap_or(now);
        for (_, shard) in self.0.iter_mut().flatten() {
            shard.at(latest);
        }
        latest
    }

    pub(super) fn touch<T: Default>(
        &mut self,
        store: &Store<E>,
        target: &Target<'_>,
        now: Nanos,
        book: Rulebook<'_>,
        make: bool,
        work: impl FnOnce(&mut E, &mut Logs) -> T,
    ) -> T {
        let shard = self.shard(store.index(target.print.place));
        shard.map(|shard| shard.touch(target.print, now, book, make, work)).unwrap_or_default()
    }
}

impl<E: Entry> Store<E> {
    /// Locks all shards that the request needs, in their order, so that no two requests wait for each other.
    pub(super) fn lock_all(&self, targets: &Targets<'_>) -> Held<'_, E> {
        let mut indices = [usize::MAX; MOST];
        for (place, target) in indices.iter_mut().zip(targets.iter()) {
            *place = self.index(target.print.place);
        }
        indices.sort_unstable();
        let mut held = Held(std::array::from_fn(|_| None));
        let mut last = usize::MAX;
        for (place, index) in held.0.iter_mut().zip(indices) {
            if index != last {
                *place = self.lock(index).map(|guard| (index, guard));
                last = index;
            }
        }
        held
    }
}
