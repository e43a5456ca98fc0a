//! Secrets in memory: for tests, and for what a program is told when it starts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use buttress_core::{BoxFuture, SharedClock};

use super::{Expect, SecretStore, Step, within_limits};
use crate::lifecycle::{Lifecycle, Versioned, Versions};
use crate::slots::{Slot, Slots};
use crate::{Error, Name, Secret};

/// Secrets that are gone with the process.
pub struct MemoryStore {
    secrets: Mutex<BTreeMap<Name, Slots<Secret>>>,
    clock: SharedClock,
}

impl MemoryStore {
    /// How many secrets there may be.
    pub const MOST: usize = 4096;

    /// No secrets yet.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self { secrets: Mutex::default(), clock }
    }

    fn secrets(&self) -> MutexGuard<'_, BTreeMap<Name, Slots<Secret>>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStore({} secrets)", self.secrets().len())
    }
}

impl SecretStore for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn load<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Option<Versions>, Error>> {
        let found = self.secrets().get(name).map(versions);
        Box::pin(async { Ok(found) })
    }

    fn list(&self, most: usize) -> BoxFuture<'_, Result<Vec<Name>, Error>> {
        let names: Vec<Name> = self.secrets().keys().cloned().collect();
        Box::pin(async move { at_most(names, most) })
    }

    fn put<'a>(
        &'a self,
        name: &'a Name,
        secret: &'a Secret,
        expect: Expect,
    ) -> BoxFuture<'a, Result<Lifecycle, Error>> {
        Box::pin(async move {
            within_limits(secret)?;
            put(&mut self.secrets(), name, secret.clone(), expect, self.clock.wall(), Self::MOST)
        })
    }

    fn rotate<'a>(
        &'a self,
        name: &'a Name,
        seen: &'a Lifecycle,
        step: Step,
    ) -> BoxFuture<'a, Result<Lifecycle, Error>> {
        Box::pin(async move {
            if let Step::Create(secret) = &step {
                within_limits(secret)?;
            }
            let step = match step {
                Step::Create(secret) => Change::Create(secret),
                Step::Switch => Change::Switch,
                Step::Retire => Change::Retire,
            };
            rotate(&mut self.secrets(), name, seen, step, self.clock.wall())
        })
    }

    fn remove<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<bool, Error>> {
        let removed = self.secrets().remove(name).is_some();
        Box::pin(async move { Ok(removed) })
    }
}

fn versions(slots: &Slots<Secret>) -> Versions {
    let of = |slot: &Slot<Secret>| Versioned { standing: slot.standing, secret: slot.value.clone() };
    Versions {
        current: of(&slots.current),
        previous: slots.previous.as_ref().map(of),
        next: slots.next.as_ref().map(of),
    }
}

pub(crate) fn at_most(names: Vec<Name>, most: usize) -> Result<Vec<Name>, Error> {
    if names.len() > most {
        return Err(Error::TooLarge { what: "the number of secrets", limit: most.to_string() });
    }
    Ok(names)
}

/// A step, with its value as the store keeps it.
pub(crate) enum Change<T> {
    Create(T),
    Switch,
    Retire,
}

/// Puts a value among those that a store keeps.
pub(crate) fn put<T>(
    all: &mut BTreeMap<Name, Slots<T>>,
    name: &Name,
    value: T,
    expect: Expect,
    now: SystemTime,
    most: usize,
) -> Result<Lifecycle, Error> {
    let changed = |problem| Error::Changed { name: name.clone(), problem };
    match (all.get(name), expect) {
        (Some(_), Expect::Nothing) => return Err(changed("there is a secret of that name already")),
        (None, Expect::Version(_)) => return Err(Error::not_found(name)),
        (Some(slots), Expect::Version(version)) if slots.current.standing.version != version => {
            return Err(changed("its current version is another than the one expected"));
        }
        (None, _) if all.len() >= most => {
            return Err(Error::TooLarge { what: "the number of secrets", limit: most.to_string() });
        }
        _ => {}
    }
    if let Some(slots) = all.get_mut(name) {
        slots.put(value, now);
        return Ok(slots.lifecycle());
    }
    let slots = Slots::new(value, now);
    let lifecycle = slots.lifecycle();
    all.insert(name.clone(), slots);
    Ok(lifecycle)
}

/// Makes one step of a rotation among the secrets that a store keeps.
pub(crate) fn rotate<T>(
    all: &mut BTreeMap<Name, Slots<T>>,
    name: &Name,
    seen: &Lifecycle,
    step: Change<T>,
    now: SystemTime,
) -> Result<Lifecycle, Error> {
    let slots = all.get_mut(name).ok_or_else(|| Error::not_found(name))?;
    let changed = |problem| Err(Error::Changed { name: name.clone(), problem });
    if slots.lifecycle() != *seen {
        return changed("somebody else changed it; look again");
    }
    let (made, problem) = match step {
        Change::Create(value) => (slots.create(value, now), "there is a version to come already"),
        Change::Switch => {
            (slots.switch(now), "there is no version to come, or the previous one has to be retired before")
        }
        Change::Retire => (slots.retire(), "there is no previous version"),
    };
    if made { Ok(slots.lifecycle()) } else { changed(problem) }
}
