//! Locks as restic has them: many may add at a time, one may take away.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use buttress_core::{Classify, ErrorClass};
use rustix::process::{Pid, getgid, getpid, getuid, test_kill_process};

use super::objects::Objects;
use super::people;
use crate::format::lock::{LockFile, RENEW_EVERY, STALE_AFTER};
use crate::{Error, Id, Object, ObjectKind};

/// A lock that is held, and let go when dropped. For threads that may wait.
///
/// It is renewed by those who work under it, so that a process that hangs loses it, as one that is dead.
pub(crate) struct Lock {
    objects: Objects,
    exclusive: bool,
    held: Mutex<Held>,
}

struct Held {
    id: Id,
    /// What else may be in the store, as it could not be removed at once.
    left: Vec<Id>,
    renewed: Instant,
    renewed_at: SystemTime,
    lost: bool,
}

impl Lock {
    /// Takes a lock, shared with others who add, or exclusive: waits for others as long as the repository does.
    pub(crate) fn take(objects: &Objects, exclusive: bool) -> Result<Self, Error> {
        let clock = &objects.ctx.clock;
        let begun = clock.now();
        loop {
            match Self::try_take(objects, exclusive) {
                Err(Error::Locked { .. })
                    if clock.now().saturating_duration_since(begun) < objects.patience =>
                {
                    // Not all at the same time: of those who come together all may give way.
                    let pause = Duration::from_millis(500 + buttress_core::unique_number() % 1000);
                    objects.runtime.block_on(clock.sleep(pause));
                    objects.go_on()?;
                }
                taken => return taken,
            }
        }
    }

    /// Whoever writes a lock looks afterwards for those of others, so of two who come together both may give way, and never
    /// do both go on. He looks before too, so that one who waits for others does not hold them up.
    fn try_take(objects: &Objects, exclusive: bool) -> Result<Self, Error> {
        let wall = Some(objects.ctx.clock.wall());
        for other in Other::all(objects)? {
            // Whether it is stale for sure shows when the store has told its time.
            let perhaps_stale = other.is_stale(objects, wall) || other.is_stale(objects, None);
            if other.excludes(exclusive) && !perhaps_stale {
                return Err(other.holds(objects));
            }
        }
        let held = write(objects, exclusive)?;
        let id = held.id;
        let lock = Self { objects: objects.clone(), exclusive, held: Mutex::new(held) };
        let mut others = lock.look_around(id)?;
        let own = others.extract_if(.., |other| other.object.id() == id).next();
        let now = own.and_then(|own| own.modified);
        for other in others {
            if other.is_stale(objects, now) {
                let removed = objects.delete(other.object);
                // One that keeps nobody out may stay where nothing may be removed, or every later backup would fail after one that was killed.
                if other.excludes(exclusive) {
                    removed?;
                }
            } else if other.excludes(exclusive) {
                return Err(other.holds(objects));
            }
        }
        Ok(lock)
    }

    /// All locks, the own one among them: without it, those of others may not be shown either.
    fn look_around(&self, own: Id) -> Result<Vec<Other>, Error> {
        for _ in 0..LOOKS {
            let all = Other::all(&self.objects)?;
            if all.iter().any(|lock| lock.object.id() == own) {
                return Ok(all);
            }
        }
        Err(self.lost("the store does not list it"))
    }

    /// Renews the lock when it is time. Work calls this wherever it comes by: cheap, mostly.
    pub(crate) fn keep(&self) -> Result<(), Error> {
        self.objects.go_on()?;
        // Whoever is at it already does it for all.
        let Ok(mut held) = self.held.try_lock() else { return Ok(()) };
        if held.lost {
            return Err(self.lost(GONE));
        }
        if self.is_due(&held) { self.renew(&mut held) } else { Ok(()) }
    }

    /// That nobody has taken the repository since the lock was taken. For the moment before something is removed, and for the one after
    /// something was written that others have to respect.
    pub(crate) fn confirm(&self) -> Result<(), Error> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.lost {
            return Err(self.lost(GONE));
        }
        if self.is_due(&held) { self.renew(&mut held) } else { self.require(&mut held, None) }
    }

    /// The monotonic time stands still while a machine sleeps, the time of day does not; one that was set costs a renewal.
    fn is_due(&self, held: &Held) -> bool {
        let clock = &self.objects.ctx.clock;
        let by_day = clock.wall().duration_since(held.renewed_at).unwrap_or_else(|back| back.duration());
        clock.now().saturating_duration_since(held.renewed).max(by_day) >= RENEW_EVERY
    }

    /// Writes a new lock. Only if the old one is there still, there was one at all times.
    fn renew(&self, held: &mut Held) -> Result<(), Error> {
        let new = write(&self.objects, self.exclusive)?;
        let old = std::mem::replace(held, new);
        held.left = old.left;
        held.left.push(old.id);
        self.require(held, Some(old.id))?;
        while let Some(left) = held.left.last() {
            self.objects.delete(Object::new(ObjectKind::Lock, *left))?;
            held.left.pop();
        }
        Ok(())
    }

    /// That the lock is in the store: the one that is held, or the one before it.
    fn require(&self, held: &mut Held, before: Option<Id>) -> Result<(), Error> {
        match load(&self.objects, Object::new(ObjectKind::Lock, before.unwrap_or(held.id))) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => {
                held.lost = true;
                Err(self.lost(GONE))
            }
            Err(error) => Err(error),
        }
    }

    fn lost(&self, problem: &str) -> Error {
        Error::LockLost { place: self.objects.place(), problem: problem.to_owned() }
    }
}

const GONE: &str = "somebody has removed it";
/// How often a store is asked to list a lock that it has.
const LOOKS: usize = 10;

impl Drop for Lock {
    fn drop(&mut self) {
        let held = self.held.get_mut().unwrap_or_else(PoisonError::into_inner);
        for id in held.left.iter().chain([&held.id]) {
            // One that cannot be deleted is removed as stale, by whoever comes next.
            if let Err(error) = self.objects.delete(Object::new(ObjectKind::Lock, *id)) {
                tracing::warn!(
                    target: "buttress::backup",
                    error = buttress_core::chain(&error),
                    "a lock could not be removed"
                );
            }
        }
    }
}

/// What those hold who only read: a shared lock. Where none can be written, as the disk is full or read-only or the credentials are for reading
/// alone, they go on without one. Nobody is kept from a prune then, which costs them what it removes and nobody else anything.
pub(crate) struct ReadLock {
    objects: Objects,
    lock: Option<Lock>,
    /// Why there is none, or none any more.
    without: OnceLock<String>,
}

impl ReadLock {
    /// Takes a lock if one can be written. That of somebody who keeps others out is respected all the same.
    pub(crate) fn take(objects: &Objects) -> Result<Self, Error> {
        let with = |lock| Self { objects: objects.clone(), lock, without: OnceLock::new() };
        match Lock::take(objects, false) {
            Err(error) if cannot_be_written(&error) => {
                let reading = with(None);
                reading.go_without(&error);
                Ok(reading)
            }
            taken => Ok(with(Some(taken?))),
        }
    }

    /// Renews the lock when it is time, as [`Lock::keep`] does.
    pub(crate) fn keep(&self) -> Result<(), Error> {
        let Some(lock) = self.lock.as_ref().filter(|_| self.without.get().is_none()) else {
            return self.objects.go_on();
        };
        match lock.keep() {
            Err(error) if cannot_be_written(&error) => {
                self.go_without(&error);
                Ok(())
            }
            kept => kept,
        }
    }

    /// Why it was read without a lock, if it was.
    pub(crate) fn without(&self) -> Option<String> {
        self.without.get().cloned()
    }

    fn go_without(&self, error: &Error) {
        let why = buttress_core::chain(error);
        tracing::warn!(
            target: "buttress::backup",
            error = why,
            "no lock could be written, so nothing keeps others from removing what is being read"
        );
        // Of two threads that come upon it one tells.
        let _ = self.without.set(why);
    }
}

/// Whether a lock cannot be written or replaced because nothing can. A store that is away, or busy, is another matter.
fn cannot_be_written(error: &Error) -> bool {
    matches!(error, Error::Store { doing: "write" | "delete" | "replace", .. })
        && matches!(error.class(), ErrorClass::Forbidden | ErrorClass::Overloaded)
}

fn write(objects: &Objects, exclusive: bool) -> Result<Held, Error> {
    let (renewed, renewed_at) = (objects.ctx.clock.now(), objects.ctx.clock.wall());
    let (id, bytes) = objects.sealed(&own(objects, exclusive))?;
    let object = Object::new(ObjectKind::Lock, id);
    if let Err(error) = objects.put(object, bytes) {
        // It may be there all the same, and would hold up others until it is stale.
        let _ = objects.delete(object);
        return Err(error);
    }
    Ok(Held { id, left: Vec::new(), renewed, renewed_at, lost: false })
}

/// Removes all locks of those who are gone; with `all`, those of the living too. How many.
pub(crate) fn remove_locks(objects: &Objects, all: bool) -> Result<usize, Error> {
    let mut removed = 0;
    for other in Other::all(objects)? {
        // What cannot be read would stand in the way until it is old.
        if all || other.lock.is_none() || other.is_stale(objects, None) {
            objects.delete(other.object)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// A lock as it lies in the store.
struct Other {
    object: Object,
    modified: Option<SystemTime>,
    /// None if it cannot be read. Its writer may live all the same.
    lock: Option<LockFile>,
}

impl Other {
    fn all(objects: &Objects) -> Result<Vec<Self>, Error> {
        let mut all = Vec::new();
        for listed in objects.list(ObjectKind::Lock)? {
            let lock = match load(objects, listed.object) {
                Ok(Some(lock)) => Some(lock),
                Err(Error::Damaged { .. }) => None,
                // Let go meanwhile.
                Ok(None) => continue,
                Err(error) => return Err(error),
            };
            all.push(Self { object: listed.object, modified: listed.modified, lock });
        }
        Ok(all)
    }

    /// Whether its process is gone for sure: it was one of this host that is not found, or the lock was not renewed for half an hour. `now` is
    /// the store's time, whose clock both locks were written by; without it, the two processes' own clocks have to do.
    fn is_stale(&self, objects: &Objects, now: Option<SystemTime>) -> bool {
        let of_the_dead = |lock: &LockFile| lock.is_of_the_dead(&people::hostname(), is_running);
        let old = match (now, self.modified) {
            (Some(now), Some(modified)) => now.duration_since(modified).is_ok_and(|age| age > STALE_AFTER),
            _ => self.lock.as_ref().is_some_and(|lock| lock.is_old(objects.now())),
        };
        old || self.lock.as_ref().is_some_and(of_the_dead)
    }

    /// Whether the two keep each other out.
    fn excludes(&self, exclusive: bool) -> bool {
        self.lock.as_ref().is_none_or(|lock| lock.exclusive || exclusive)
    }

    /// What whoever it keeps out is told.
    fn holds(&self, objects: &Objects) -> Error {
        let unreadable = || format!("somebody whose lock `{}` cannot be read", self.object);
        let holder = self.lock.as_ref().map_or_else(unreadable, ToString::to_string);
        Error::Locked { place: objects.place(), holder }
    }
}

/// A lock; none if it was let go meanwhile.
fn load(objects: &Objects, object: Object) -> Result<Option<LockFile>, Error> {
    match objects.load(object) {
        Err(Error::Missing { .. }) => Ok(None),
        loaded => loaded.map(Some),
    }
}

fn is_running(pid: i64) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    // One that may not be asked, as it is another's, is there.
    pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

fn own(objects: &Objects, exclusive: bool) -> LockFile {
    LockFile {
        time: objects.now(),
        exclusive,
        hostname: people::hostname(),
        username: people::username(),
        pid: getpid().as_raw_nonzero().get().into(),
        uid: getuid().as_raw(),
        gid: getgid().as_raw(),
    }
}
