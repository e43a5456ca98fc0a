//! A part of the table: entries, found by their fingerprints.

use hashbrown::HashTable;

use super::entry::Entry;
use super::slot::Logs;
use crate::algorithm::Nanos;
use crate::decision::Outcome;
use crate::fingerprint::Fingerprint;
use crate::metrics::Metrics;
use crate::penalty::{Penalties, second};
use crate::plan::Shapes;

/// How much it would matter to forget an entry: not at all, or by ban, then by what is held against it, then by how soon it would be
/// forgotten anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Nothing,
    Something { banned: bool, noted: bool, reset_after: Nanos },
}

/// A time in units of about a second, for which nothing needs to be divided.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "two times in turn differ, whatever is cut off")]
fn moment(now: Nanos) -> u32 {
    (now >> 30) as u32
}

/// Entries looked at for being forgotten with each that comes. More than one, so that the table shrinks to what is in use.
const SWEEP: usize = 4;
/// Entries of which the least worth goes when the table is full.
const SAMPLE: usize = 16;

/// A part of the table. What every check writes is on one cache line with the lock, because a line that another processor has written
/// costs more than the whole decision.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Shard<E> {
    table: HashTable<E>,
    /// The latest time that was seen here: two threads may come in another order than they read the clock.
    latest: Nanos,
    /// When the metrics were told last, in [moments](moment).
    told_at: u32,
    /// Requests admitted since then.
    admitted: u32,
    rest: Box<Rest>,
}

/// What few checks touch.
#[derive(Debug, Default)]
struct Rest {
    logs: Logs,
    /// Where sweeping goes on.
    cursor: usize,
    /// Decisions that the metrics were not told yet.
    untold: [u32; Outcome::ALL.len()],
    evicted: u64,
}

/// What the shard has to know of the rules.
#[derive(Clone, Copy)]
pub(crate) struct Rulebook<'p> {
    pub(crate) shapes: &'p Shapes,
    pub(crate) penalties: Option<&'p Penalties>,
    /// Entries that the shard may hold.
    pub(crate) most: usize,
}

impl<E> Default for Shard<E> {
    fn default() -> Self {
        Self { table: HashTable::new(), latest: 0, told_at: 0, admitted: 0, rest: Box::default() }
    }
}

impl<E: Entry> Shard<E> {
    /// The time as this shard goes by.
    #[inline]
    pub(crate) fn at(&mut self, now: Nanos) -> Nanos {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// Does something with the entry of a key, if it is there.
    #[inline]
    pub(crate) fn with<T>(
        &mut self,
        print: Fingerprint,
        work: impl FnOnce(&mut E, &mut Logs) -> T,
    ) -> Option<T> {
        let entry = self.table.find_mut(print.place, |entry| entry.is_of(print))?;
        Some(work(entry, &mut self.rest.logs))
    }

    /// Does something with the entry of a key, which is made if it is not there.
    #[inline]
    pub(crate) fn enter<T>(
        &mut self,
        print: Fingerprint,
        now: Nanos,
        book: Rulebook<'_>,
        work: impl FnOnce(&mut E, &mut Logs) -> T,
    ) -> T {
        // Once more when it has been made. So `work` is called in one place, and becomes a part of what calls this.
        loop {
            if let Some(entry) = self.table.find_mut(print.place, |entry| entry.is_of(print)) {
                return work(entry, &mut self.rest.logs);
            }
            self.make(print, now, book);
        }
    }

    /// Does something with the entry of a key; where it is not there, it is made, or what is done is forgotten.
    #[inline]
    pub(crate) fn touch<T>(
        &mut self,
        print: Fingerprint,
        now: Nanos,
        book: Rulebook<'_>,
        make: bool,
        work: impl FnOnce(&mut E, &mut Logs) -> T,
    ) -> T {
        if make || self.table.find(print.place, |entry| entry.is_of(print)).is_some() {
            return self.enter(print, now, book, work);
        }
        work(&mut E::default(), &mut self.rest.logs)
    }

    #[cold]
    fn make(&mut self, print: Fingerprint, now: Nanos, book: Rulebook<'_>) {
        self.make_room(now, book);
        self.table.insert_unique(print.place, E::new(print), Entry::place);
    }

    fn make_room(&mut self, now: Nanos, book: Rulebook<'_>) {
        self.sweep(now, SWEEP, book);
        if self.table.len() >= book.most {
            self.evict(now, book);
        }
    }

    /// Looks at some entries and forgets those that say nothing any more.
    pub(crate) fn sweep(&mut self, now: Nanos, buckets: usize, book: Rulebook<'_>) {
        for _ in 0..buckets.min(self.table.num_buckets()) {
            let bucket = self.next_bucket();
            if self.worth(bucket, now, book) == Some(Worth::Nothing) {
                self.remove(bucket, book);
            }
        }
    }

    /// Forgets one entry, the least worth of some.
    fn evict(&mut self, now: Nanos, book: Rulebook<'_>) {
        let mut least: Option<(Worth, usize)> = None;
        let (mut seen, buckets) = (0, self.table.num_buckets());
        for _ in 0..buckets {
            let bucket = self.next_bucket();
            let Some(worth) = self.worth(bucket, now, book) else { continue };
            if least.is_none_or(|(known, _)| worth < known) {
                least = Some((worth, bucket));
            }
            seen += 1;
            // Bans are looked past for longer, since they matter most.
            let banned = matches!(least, Some((Worth::Something { banned: true, .. }, _)));
            if seen >= if banned { SAMPLE * 16 } else { SAMPLE } {
                break;
            }
        }
        if let Some((worth, bucket)) = least {
            self.remove(bucket, book);
            self.rest.evicted += u64::from(worth != Worth::Nothing);
        }
    }

    fn next_bucket(&mut self) -> usize {
        let bucket = self.rest.cursor;
        self.rest.cursor = if bucket + 1 < self.table.num_buckets() { bucket + 1 } else { 0 };
        bucket
    }

    fn worth(&mut self, bucket: usize, now: Nanos, book: Rulebook<'_>) -> Option<Worth> {
        let entry = self.table.get_bucket_mut(bucket)?;
        let reset_after = entry.reset_after(now, &mut self.rest.logs, book.shapes);
        let penalty = entry.penalty();
        let noted = book.penalties.is_some_and(|penalties| !penalties.is_forgotten(now, &penalty));
        let banned = noted && penalty.banned_until > second(now);
        if reset_after == 0 && !noted {
            return Some(Worth::Nothing);
        }
        Some(Worth::Something { banned, noted, reset_after })
    }

    fn remove(&mut self, bucket: usize, book: Rulebook<'_>) {
        if let Ok(found) = self.table.get_bucket_entry(bucket) {
            let (mut entry, _) = found.remove();
            entry.close(&mut self.rest.logs, book.shapes);
        }
    }

    /// Counts a decision. The metrics are told of it within about a second or at the next check after that, since telling costs as much as
    /// deciding.
    #[inline]
    pub(crate) fn count(&mut self, outcome: Outcome, metrics: &Metrics, now: Nanos) {
        if outcome == Outcome::Admitted {
            self.admitted = self.admitted.saturating_add(1);
        } else if let Some(count) = self.rest.untold.get_mut(outcome as usize) {
            *count = count.saturating_add(1);
        }
        if moment(now) != self.told_at {
            self.tell(metrics, now);
        }
    }

    #[cold]
    pub(crate) fn tell(&mut self, metrics: &Metrics, now: Nanos) {
        self.told_at = moment(now);
        metrics.decided(Outcome::Admitted, std::mem::take(&mut self.admitted));
        for (outcome, count) in Outcome::ALL.into_iter().zip(&mut self.rest.untold) {
            metrics.decided(outcome, std::mem::take(count));
        }
        metrics.evicted.increment(std::mem::take(&mut self.rest.evicted));
    }

    pub(crate) fn banned(&self, second: u32) -> usize {
        self.table.iter().filter(|entry| entry.penalty().banned_until > second).count()
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// The memory of the table, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.table.allocation_size() + size_of::<Rest>() + self.rest.logs.heap_bytes()
    }
}
