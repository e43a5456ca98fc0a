//! What a load found.

use std::time::Duration;

use crate::Lifetime;
use crate::tags::Seen;

/// What a load found: a value or that there is none, and how long that lives, if only the load can tell.
///
/// ```
/// use buttress_cache::{Found, Lifetime};
/// use std::time::Duration;
///
/// let token = Found::from("secret").lives(Lifetime::of(Duration::from_secs(3600)).exactly().strictly());
/// # let _ = (token, Found::<u64>::nothing());
/// ```
#[derive(Debug, Clone)]
pub struct Found<V> {
    pub(crate) value: Option<V>,
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) keep: bool,
    /// What loading it took, where that is not what this load took.
    pub(crate) cost: Option<Duration>,
    /// The tags that it came with, where those are not of this load.
    pub(crate) tags: Option<Seen>,
}

impl<V> Found<V> {
    /// There is none.
    #[must_use]
    pub fn nothing() -> Self {
        None.into()
    }

    /// It lives for so long, whatever was said when it was asked for.
    #[must_use]
    pub fn lives(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// It is for those who wait for it, and is not kept for others.
    #[must_use]
    pub fn not_kept(mut self) -> Self {
        self.keep = false;
        self
    }
}

impl<V> From<Option<V>> for Found<V> {
    fn from(value: Option<V>) -> Self {
        Self { value, lifetime: None, keep: true, cost: None, tags: None }
    }
}

impl<V> From<V> for Found<V> {
    fn from(value: V) -> Self {
        Some(value).into()
    }
}
