//! What goes with a value: how long it lives, and its tags.

use buttress_core::Key;

use crate::Lifetime;

/// On what terms a value is kept, where they differ from the cache's.
///
/// ```
/// use buttress_cache::{Lifetime, Terms};
/// use buttress_core::Key;
/// use std::time::Duration;
///
/// let terms = Terms::default().lifetime(Lifetime::of(Duration::from_secs(60))).tag(Key::new("tenant-7")?);
/// # let _ = terms;
/// # Ok::<(), buttress_core::KeyError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Terms {
    pub(crate) lifetime: Lifetime,
    pub(crate) tags: Vec<Key>,
}

impl Terms {
    /// How long it lives.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Adds a tag: [`Cache::invalidate`](crate::Cache::invalidate) with it ends the entry.
    #[must_use]
    pub fn tag(mut self, tag: Key) -> Self {
        self.tags.push(tag);
        self
    }

    /// Adds tags.
    #[must_use]
    pub fn tags(mut self, tags: impl IntoIterator<Item = Key>) -> Self {
        self.tags.extend(tags);
        self
    }
}

impl From<Lifetime> for Terms {
    fn from(lifetime: Lifetime) -> Self {
        Self { lifetime, tags: Vec::new() }
    }
}
