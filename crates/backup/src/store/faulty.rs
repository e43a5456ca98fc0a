//! A store that fails by plan, the same way each time.
//!
//! ```
//! # use buttress_backup::store::faulty::{Faults, Faulty, Kill};
//! # use buttress_backup::store::Folder;
//! # use buttress_core::Ctx;
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! let faults = Faults { seed: 7, fails_before: 0.05, kill: Some(Kill::Before(12)), ..Faults::default() };
//! let store = Faulty::new(Folder::new(folder.path()), faults, &Ctx::default());
//! assert_eq!(store.operations(), 0);
//! ```

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use buttress_core::{Ctx, ErrorClass, Random};
use bytes::{Bytes, BytesMut};

use super::{Existing, Listed, Store};
use crate::error::class_of_io;
use crate::id::{Object, ObjectKind};
use crate::{Error, Id};

/// What goes wrong, as shares of the calls from 0 to 1. What happens to the n-th call follows from the seed and n alone.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Other seeds, other calls.
    pub seed: u64,
    /// Calls that fail and do nothing.
    pub fails_before: f64,
    /// Calls that do their work, and fail.
    pub fails_after: f64,
    /// Writes of which a part becomes visible (a prefix, nothing, or zeros at the end), and that fail.
    pub torn: f64,
    /// Writes of which a part becomes visible, and that succeed.
    pub torn_silently: f64,
    /// Writes that succeed, and leave nothing.
    pub lost: f64,
    /// Writes that listings do not show until they have been made [`stale_for`](Self::stale_for) times.
    pub stale: f64,
    /// How many listings a write hides from.
    pub stale_for: u32,
    /// Listings that show an object that is not there.
    pub junk: f64,
    /// Reads in which a bit is wrong, this time.
    pub flips: f64,
    /// Calls that take [`delay`](Self::delay).
    pub slow: f64,
    /// How long a slow call takes.
    pub delay: Duration,
    /// What the system does not let happen, as on a disk that is full or broken.
    pub refusal: Option<Refusal>,
    /// When the process dies, for all that the store hears of it.
    pub kill: Option<Kill>,
}

/// Calls that do nothing, and fail as those of a [`Folder`](super::Folder) fail when the system refuses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// Which calls: "read", "write", "list" or "delete", as [`Error::Store`] has them.
    pub doing: &'static str,
    /// The first of these calls that fails, counted from 0.
    pub first: u64,
    /// Whether those after it fail too: a disk stays full.
    pub lasts: bool,
    /// What the system says: 28 is ENOSPC, 122 EDQUOT, 5 EIO, 30 EROFS.
    pub errno: i32,
}

/// The moment of a kill -9: in the call of this number, counted from 0. That call and all after it fail with an error that [`is_kill`] knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// It does nothing.
    Before(u64),
    /// It does its work.
    After(u64),
    /// A write is torn; what does not write does nothing.
    During(u64),
}

/// Whether the error is the end of a process that [`Faults::kill`] planned.
#[must_use]
pub fn is_kill(error: &Error) -> bool {
    matches!(error, Error::Store { source, .. } if source.is::<Killed>())
}

#[derive(Debug, thiserror::Error)]
#[error("the process was killed, as planned")]
struct Killed;

#[derive(Debug, thiserror::Error)]
#[error("the call failed, as planned")]
struct Planned;

/// A store that fails by plan. Clones share the count.
#[derive(Debug, Clone)]
pub struct Faulty<S> {
    inner: S,
    faults: Arc<Faults>,
    ctx: Ctx,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    operations: AtomicU64,
    injected: AtomicU64,
    /// Calls that were or could have been refused.
    refusable: AtomicU64,
    calm: AtomicBool,
    /// How many more listings an object hides from.
    hidden: Mutex<HashMap<Object, u32>>,
}

/// A call: its number, and the chance that is its own.
struct Call {
    number: u64,
    doing: &'static str,
    of: String,
    chance: Random,
}

impl<S: Store> Faulty<S> {
    /// Fails as `faults` says, and else does what `inner` does. Slow calls wait on the clock of `ctx`.
    pub fn new(inner: S, faults: Faults, ctx: &Ctx) -> Self {
        Self { inner, faults: Arc::new(faults), ctx: ctx.clone(), state: Arc::default() }
    }

    /// How many calls there were: the moments at which a process could die.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.operations.load(Ordering::SeqCst)
    }

    /// How many faults there were.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.state.injected.load(Ordering::SeqCst)
    }

    /// From now on nothing fails. What is lost or torn stays so; listings are right.
    pub fn calm_down(&self) {
        self.state.calm.store(true, Ordering::SeqCst);
        self.hidden().clear();
    }

    /// The store that does the work.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Counts a call, and fails it if it is to fail before it does anything.
    async fn begin(&self, doing: &'static str, of: String) -> Result<Call, Error> {
        let number = self.state.operations.fetch_add(1, Ordering::SeqCst);
        // Another number each for neighbours of seed and call.
        let chance = Random::new(Random::new(self.faults.seed).number() ^ Random::new(!number).number());
        let call = Call { number, doing, of, chance };
        match self.kill() {
            Some(Kill::Before(last)) if number >= last => return Err(self.killed(&call)),
            Some(Kill::After(last) | Kill::During(last)) if number > last => return Err(self.killed(&call)),
            Some(Kill::During(last)) if number == last && doing != "write" => return Err(self.killed(&call)),
            _ => {}
        }
        if let Some(errno) = self.refused(doing) {
            let error = io::Error::from_raw_os_error(errno);
            return Err(self.error(&call, class_of_io(&error), error.into()));
        }
        if self.happens(&call, self.faults.slow) {
            self.ctx.clock.sleep(self.faults.delay).await;
        }
        if self.happens(&call, self.faults.fails_before) { Err(self.failed(&call)) } else { Ok(call) }
    }

    /// The answer to a call, unless it is to get lost.
    fn end<T>(&self, call: &Call, done: Result<T, Error>) -> Result<T, Error> {
        let answer = done?;
        if self.kill() == Some(Kill::After(call.number)) {
            return Err(self.killed(call));
        }
        if self.happens(call, self.faults.fails_after) { Err(self.failed(call)) } else { Ok(answer) }
    }

    fn kill(&self) -> Option<Kill> {
        self.faults.kill.filter(|_| !self.state.calm.load(Ordering::SeqCst))
    }

    /// What the system says to a call that it refuses.
    fn refused(&self, doing: &str) -> Option<i32> {
        let Refusal { first, lasts, errno, .. } = self.faults.refusal.filter(|one| one.doing == doing)?;
        let number = self.state.refusable.fetch_add(1, Ordering::SeqCst);
        let refused = number == first || lasts && number > first;
        if !refused || self.state.calm.load(Ordering::SeqCst) {
            return None;
        }
        self.state.injected.fetch_add(1, Ordering::SeqCst);
        Some(errno)
    }

    fn happens(&self, call: &Call, share: f64) -> bool {
        // Drawn also when calm, so that a call's chances do not depend on it.
        let happens = call.chance.fraction() < share && !self.state.calm.load(Ordering::SeqCst);
        if happens {
            self.state.injected.fetch_add(1, Ordering::SeqCst);
        }
        happens
    }

    fn failed(&self, call: &Call) -> Error {
        self.error(call, ErrorClass::Unavailable, Planned.into())
    }

    fn killed(&self, call: &Call) -> Error {
        // Not of a class that is tried again.
        self.error(call, ErrorClass::Internal, Killed.into())
    }

    fn error(
        &self,
        call: &Call,
        class: ErrorClass,
        source: Box<dyn std::error::Error + Send + Sync>,
    ) -> Error {
        Error::Store { doing: call.doing, object: call.of.clone(), place: self.place(), class, source }
    }

    fn hidden(&self) -> MutexGuard<'_, HashMap<Object, u32>> {
        self.state.hidden.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Store> Store for Faulty<S> {
    async fn put(&self, object: Object, bytes: Bytes, existing: Existing) -> Result<bool, Error> {
        let call = self.begin("write", object.path()).await?;
        let dies = self.kill() == Some(Kill::During(call.number));
        let (torn, silently) =
            (self.happens(&call, self.faults.torn), self.happens(&call, self.faults.torn_silently));
        if dies || torn || silently {
            let written = self.inner.put(object, torn_apart(&bytes, &call.chance), existing).await;
            return match (dies, torn) {
                (true, _) => Err(self.killed(&call)),
                (false, true) => Err(self.failed(&call)),
                (false, false) => self.end(&call, written),
            };
        }
        if self.happens(&call, self.faults.lost) {
            return self.end(&call, Ok(true));
        }
        if self.happens(&call, self.faults.stale) {
            self.hidden().insert(object, self.faults.stale_for);
        }
        let written = self.inner.put(object, bytes, existing).await;
        self.end(&call, written)
    }

    async fn get(&self, object: Object, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        let call = self.begin("read", object.path()).await?;
        let bytes = self.inner.get(object, range).await;
        let bytes = self.end(&call, bytes)?;
        Ok(if self.happens(&call, self.faults.flips) {
            with_a_bit_flipped(&bytes, &call.chance)
        } else {
            bytes
        })
    }

    async fn list(&self, kind: ObjectKind) -> Result<Vec<Listed>, Error> {
        let call = self.begin("list", kind.folder().to_owned()).await?;
        let listed = self.inner.list(kind).await;
        let mut listed = self.end(&call, listed)?;
        listed.retain(|one| match self.hidden().get_mut(&one.object) {
            Some(more @ 1..) => {
                *more -= 1;
                false
            }
            _ => true,
        });
        if kind != ObjectKind::Config && self.happens(&call, self.faults.junk) {
            let object = Object::new(kind, Id::of(&call.chance.number().to_le_bytes()));
            listed.push(Listed { object, size: 7, modified: None });
        }
        Ok(listed)
    }

    async fn delete(&self, object: Object) -> Result<(), Error> {
        let call = self.begin("delete", object.path()).await?;
        let deleted = self.inner.delete(object).await;
        self.end(&call, deleted)
    }

    fn place(&self) -> String {
        self.inner.place()
    }
}

/// What is visible of a write that was cut off.
fn torn_apart(bytes: &Bytes, chance: &Random) -> Bytes {
    let kept = somewhere_in(bytes, chance);
    let prefix = bytes.slice(..kept);
    match chance.number() % 3 {
        0 => prefix,
        1 => Bytes::new(),
        _ => {
            let mut with_zeros = BytesMut::from(prefix.as_ref());
            with_zeros.resize(bytes.len(), 0);
            with_zeros.freeze()
        }
    }
}

fn somewhere_in(bytes: &[u8], chance: &Random) -> usize {
    let length = (bytes.len() as u64).max(1);
    usize::try_from(chance.number() % length).unwrap_or_default()
}

fn with_a_bit_flipped(bytes: &Bytes, chance: &Random) -> Bytes {
    let mut bytes = BytesMut::from(bytes.as_ref());
    let at = somewhere_in(&bytes, chance);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << (chance.number() % 8);
    }
    bytes.freeze()
}
