//! Changing a value, or all values with a tag: here, in the tier, and on all nodes.

use buttress_core::{ErrorClass, Key};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::Pending;
use super::news::Changed;
use super::{LONGEST_NAME, Tiered, name_of, through};
use crate::cache::CacheValue;
use crate::engine::CacheKey;
use crate::{Error, Terms};

impl<K: CacheKey + Serialize + DeserializeOwned, V: CacheValue> Tiered<K, V> {
    /// Puts a value in, here and in the tier, and tells all nodes. Call it after the change was made where values come from.
    ///
    /// # Errors
    ///
    /// [`Error::Tier`] when the tier does not answer: other nodes may serve the value before until it does, or until that ends.
    /// [`Error::Encode`], [`Error::Tags`]: the value before is taken out everywhere, as by [`remove`](Tiered::remove).
    pub async fn set(&self, key: &K, value: V, terms: impl Into<Terms>) -> Result<(), Error> {
        let terms = terms.into();
        let name = self.name_of(key).inspect_err(|_| drop(self.cache.remove(key)))?;
        let _changing = self.shared.changing.begin(&name);
        let written = self.write(key, &name, value, terms).await;
        if written.is_err() {
            self.cache.remove(key);
        }
        // What was read of it meanwhile, and is on its way, may be the value before.
        self.cache.0.flights.supersede(key);
        match written {
            Err(error @ (Error::Encode { .. } | Error::Tags { .. })) => {
                self.shared.change(&self.cache.0, Changed::Name(name)).await.and(Err(error))
            }
            written => written,
        }
    }

    async fn write(&self, key: &K, name: &str, value: V, terms: Terms) -> Result<(), Error> {
        let (inner, shared) = (&self.cache.0, &*self.shared);
        let read = inner.ctx.clock.now();
        let mut record = through::record(inner, Some(value.clone()), terms.lifetime);
        let pending = Pending::of(shared, Changed::Name(name.to_owned()));
        match shared.mark(inner, &terms.tags, record.keep()).await {
            Ok(tags) => record.tags = tags,
            Err(error) => return shared.settle(inner, pending, Err(error)),
        }
        let bytes = shared.codec.encode(name.as_bytes(), &record)?;
        let local = shared.limited(inner, record.lifetime(terms.lifetime), read);
        // First here: news of a later change may come before the tier has answered.
        self.cache.insert_with(key.clone(), value, Terms { lifetime: local, ..terms })?;
        shared.publish_value(inner, pending, (name, &bytes, record.keep())).await
    }

    /// Takes a value out, here and in the tier, and tells all nodes. Call it after the change was made where values come from.
    ///
    /// # Errors
    ///
    /// [`Error::Tier`] when the tier does not answer: other nodes may serve the value until it does, or until that ends.
    pub async fn remove(&self, key: &K) -> Result<(), Error> {
        let name = self.name_of(key).inspect_err(|_| drop(self.cache.remove(key)))?;
        let _changing = self.shared.changing.begin(&name);
        self.cache.remove(key);
        let removed = self.shared.change(&self.cache.0, Changed::Name(name)).await;
        self.cache.0.flights.supersede(key);
        removed
    }

    /// Ends all entries with this tag, here, in the tier, and on all nodes, however many they are; what is being loaded with it is
    /// not kept. Call it after the change was made where values come from.
    ///
    /// # Errors
    ///
    /// As [`remove`](Tiered::remove).
    pub async fn invalidate(&self, tag: &Key) -> Result<(), Error> {
        self.cache.invalidate(tag);
        let done = self.shared.change(&self.cache.0, Changed::Tag(tag.clone())).await;
        // What was read of the tier meanwhile had the tag's old mark.
        self.cache.invalidate(tag);
        done
    }

    fn name_of(&self, key: &K) -> Result<String, Error> {
        name_of(key).ok_or_else(|| self.unnamed())
    }

    fn unnamed(&self) -> Error {
        let told = format!("the key's JSON is over {LONGEST_NAME} bytes; use a hash of it as key");
        Error::tier(&self.cache.0.name, std::io::Error::other(told), ErrorClass::Invalid)
    }
}
