//! Locks as restic has them: many may add at a time, one may take away.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

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
    renewed: Instant,
}

impl Lock {
    /// Takes a lock: shared with others who add, or exclusive.
    ///
    /// Whoever writes a lock looks afterwards for those of others, so of two who come together both may give way, and never
    /// do both go on.
    pub(crate) fn take(objects: &Objects, exclusive: bool) -> Result<Self, Error> {
        if let Some(other) = find_other(objects, exclusive, None)? {
            return Err(locked(objects, &other));
        }
        let renewed = objects.ctx.clock.now();
        let id = objects.save(ObjectKind::Lock, &own(objects, exclusive))?;
        let lock = Self { objects: objects.clone(), exclusive, held: Mutex::new(Held { id, renewed }) };
        match find_other(objects, exclusive, Some(id))? {
            Some(other) => Err(locked(objects, &other)),
            None => Ok(lock),
        }
    }

    /// Renews the lock when it is time. Work calls this wherever it comes by: cheap, mostly.
    pub(crate) fn keep(&self) -> Result<(), Error> {
        self.objects.go_on()?;
        // Whoever is at it already does it for all.
        let Ok(mut held) = self.held.try_lock() else { return Ok(()) };
        let now = self.objects.ctx.clock.now();
        if now.saturating_duration_since(held.renewed) < RENEW_EVERY {
            return Ok(());
        }
        self.require_young(&held)?;
        let new = self.objects.save(ObjectKind::Lock, &own(&self.objects, self.exclusive))?;
        let old = std::mem::replace(&mut *held, Held { id: new, renewed: now });
        self.objects.delete(Object::new(ObjectKind::Lock, old.id))
    }

    /// That nobody can have taken the repository meanwhile. For the moment before something is written that others rely on.
    pub(crate) fn confirm(&self) -> Result<(), Error> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        self.require_young(&held)?;
        let there = self.objects.list(ObjectKind::Lock)?.into_iter().any(|lock| lock.object.id() == held.id);
        if there { Ok(()) } else { Err(self.lost("it is not there any more")) }
    }

    fn require_young(&self, held: &Held) -> Result<(), Error> {
        let age = self.objects.ctx.clock.now().saturating_duration_since(held.renewed);
        if age < STALE_AFTER { Ok(()) } else { Err(self.lost("it was not renewed for half an hour")) }
    }

    fn lost(&self, problem: &str) -> Error {
        Error::LockLost { place: self.objects.place(), problem: problem.to_owned() }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let held = self.held.get_mut().unwrap_or_else(PoisonError::into_inner);
        // One that cannot be deleted is removed as stale, by whoever comes next.
        if let Err(error) = self.objects.delete(Object::new(ObjectKind::Lock, held.id)) {
            tracing::warn!(
                target: "buttress::backup",
                error = buttress_core::chain(&error),
                "a lock could not be removed"
            );
        }
    }
}

/// Removes all locks of those who are gone; with `all`, those of the living too. How many.
pub(crate) fn remove_locks(objects: &Objects, all: bool) -> Result<usize, Error> {
    let mut removed = 0;
    for listed in objects.list(ObjectKind::Lock)? {
        let stale = match load(objects, listed.object) {
            Ok(Some(lock)) => is_stale(objects, &lock),
            Ok(None) => continue,
            // What cannot be read locks nobody out, and would stand in the way for ever.
            Err(Error::Damaged { .. }) => true,
            Err(error) => return Err(error),
        };
        if stale || all {
            objects.delete(listed.object)?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn find_other(objects: &Objects, exclusive: bool, but: Option<Id>) -> Result<Option<LockFile>, Error> {
    for listed in objects.list(ObjectKind::Lock)? {
        if Some(listed.object.id()) == but {
            continue;
        }
        let Some(lock) = load(objects, listed.object)? else { continue };
        if is_stale(objects, &lock) {
            objects.delete(listed.object)?;
        } else if lock.excludes(exclusive) {
            return Ok(Some(lock));
        }
    }
    Ok(None)
}

/// A lock; none if it was let go meanwhile.
fn load(objects: &Objects, object: Object) -> Result<Option<LockFile>, Error> {
    match objects.load(object) {
        Err(Error::Missing { .. }) => Ok(None),
        loaded => loaded.map(Some),
    }
}

fn is_stale(objects: &Objects, lock: &LockFile) -> bool {
    lock.is_stale(objects.now(), &people::hostname(), |pid| {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        // One that may not be asked, as it is another's, is there.
        pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
    })
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

fn locked(objects: &Objects, other: &LockFile) -> Error {
    Error::Locked { place: objects.place(), holder: other.to_string() }
}
