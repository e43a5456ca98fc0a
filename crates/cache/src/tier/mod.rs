//! A second tier: what all nodes of a fleet share.
//!
//! A [`Tier`] keeps bytes under names, gives out leases, and carries news from each node to all. `MemoryTier` does so for the
//! nodes of one process; `SqliteTier`, behind the feature `sqlite`, for the processes of a machine, and over restarts; `RedisTier`,
//! behind the feature `redis`, for the nodes of a fleet.

mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::time::{Duration, Instant};

use buttress_core::{BoxFuture, Classify, ErrorClass, Key, SharedClock};

pub use self::memory::MemoryTier;
#[cfg(feature = "redis")]
pub use self::redis::RedisTier;
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteTier;

/// Why a tier did not answer.
#[derive(Debug, thiserror::Error)]
#[error("the second tier failed")]
pub struct TierError {
    class: ErrorClass,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl TierError {
    /// With what the back end said.
    pub fn of<E: Classify + std::error::Error + Send + Sync + 'static>(error: E) -> Self {
        Self { class: error.class(), source: error.into() }
    }
}

impl Classify for TierError {
    fn class(&self) -> ErrorClass {
        self.class
    }
}

/// Bytes of a tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What was put in.
    pub bytes: Vec<u8>,
    /// How long the tier keeps it from now on; `None`: without an end.
    pub left: Option<Duration>,
}

/// What became of the wish to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// The one who asked loads.
    Given,
    /// Somebody else is loading.
    Taken,
    /// The value is there.
    Needless,
}

/// What a [`News`] has to tell. Like a subscription to Redis: at most once, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// News are heard from now on; what was published before was not.
    Begun,
    /// Somebody published this.
    Message(Vec<u8>),
    /// Everything that was published before this moment has been told.
    UpTo(Instant),
    /// News are missed until the next [`Heard::Begun`]. Says why.
    Lost(String),
}

/// News from all nodes.
pub trait News: Send {
    /// Waits for what there is to tell. May be dropped at any time.
    fn next(&mut self) -> BoxFuture<'_, Heard>;
}

type Answer<'a, T> = BoxFuture<'a, Result<T, TierError>>;

/// What all nodes of a fleet share. Each call takes the time of one round trip and may be dropped at any time; what it does to a name,
/// or a tag, is done whole or not at all.
///
/// A lease is the right to load a name's value, for a time: it keeps a fleet from loading one value many times, and, since
/// [`write`](Tier::write) and [`remove`](Tier::remove) end it, it keeps a value that was read before a change from being put in
/// after it (as in Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013).
///
/// A tag has a mark, a number that nobody else is likely to draw, for as long as something may have been put in under it. What was put in
/// counts while all its tags have the marks that they had before it was loaded; so to take one mark away ends everything with that tag,
/// however much it is, and what is being loaded. A mark that was lost does the same.
pub trait Tier: Send + Sync + 'static {
    /// The bytes of a name.
    fn get<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Stored>>;

    /// Asks for the lease of a name, unless it has bytes; or, with `over`, unless it has bytes that do not begin with these: who has seen
    /// bytes that will not do learns whether somebody else has replaced them.
    fn lease<'a>(
        &'a self,
        name: &'a str,
        token: u64,
        length: Duration,
        over: Option<&'a [u8]>,
    ) -> Answer<'a, Lease>;

    /// Begins the lease anew, if it still is that of `token`.
    fn extend<'a>(&'a self, name: &'a str, token: u64, length: Duration) -> Answer<'a, bool>;

    /// Gives the lease back, if it still is that of `token`.
    fn release<'a>(&'a self, name: &'a str, token: u64) -> Answer<'a, ()>;

    /// Puts bytes in for a time and gives the lease back, if it still is that of `token`; says whether it was.
    fn fill<'a>(
        &'a self,
        name: &'a str,
        token: u64,
        bytes: &'a [u8],
        keep: Option<Duration>,
    ) -> Answer<'a, bool>;

    /// Puts bytes in for a time, ends whatever lease there is, and publishes `news`.
    fn write<'a>(
        &'a self,
        name: &'a str,
        bytes: &'a [u8],
        keep: Option<Duration>,
        news: &'a [u8],
    ) -> Answer<'a, ()>;

    /// Takes the bytes out, ends whatever lease there is, and publishes `news`.
    fn remove<'a>(&'a self, name: &'a str, news: &'a [u8]) -> Answer<'a, ()>;

    /// The marks of tags. A tag that has none is given one, and each is kept for this time at least.
    fn mark<'a>(&'a self, tags: &'a [Key], keep: Option<Duration>) -> Answer<'a, Vec<u64>>;

    /// The marks of tags, as they are.
    fn marks<'a>(&'a self, tags: &'a [Key]) -> Answer<'a, Vec<Option<u64>>>;

    /// Takes the mark of a tag away, and publishes `news`.
    fn unmark<'a>(&'a self, tag: &'a Key, news: &'a [u8]) -> Answer<'a, ()>;

    /// Publishes `news`.
    fn publish<'a>(&'a self, news: &'a [u8]) -> Answer<'a, ()>;

    /// Hears what is published, and is told every `beat` up to when nothing was missed.
    fn listen(&self, beat: Duration, clock: SharedClock) -> Box<dyn News>;
}
