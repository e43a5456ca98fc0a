//! Where API keys are kept.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use buttress_core::{BoxFuture, Rejection, RejectionReason};

use super::pepper::KeyHash;
use super::record::KeyRecord;
use super::text::KeyId;
use crate::{Error, TenantId};

/// What a store answers.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// A key whose place a new one takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// Which one.
    pub id: KeyId,
    /// From when on it is refused, unless it is refused earlier.
    pub until: SystemTime,
}

/// What changes in a record.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyChange {
    /// It is taken back. Who has been revoked stays so, at the first time.
    Revoke {
        /// When.
        at: SystemTime,
    },
    /// Its secret is hashed with another pepper.
    Rehash {
        /// The new hash.
        hash: KeyHash,
        /// With which pepper.
        pepper: u32,
    },
}

/// Keeps the records of API keys. [`contract`](crate::contract) says as tests what it must hold to.
pub trait KeyStore: Send + Sync + 'static {
    /// Adds a record, and lets another end, both or none. `false`, and nothing is done, when there is one of this name, or the
    /// replaced one is not there, is revoked or has a successor already.
    fn insert<'a>(&'a self, record: &'a KeyRecord, replaced: Option<Replaced>) -> Answer<'a, bool>;

    /// The record of this name, as of the last completed change.
    fn get(&self, id: KeyId) -> Answer<'_, Option<KeyRecord>>;

    /// Changes a record; `false` when there is none.
    fn change(&self, id: KeyId, change: KeyChange) -> Answer<'_, bool>;

    /// Notes when these were last used. A time never goes back; names that are not there are passed over.
    fn touch<'a>(&'a self, uses: &'a [(KeyId, SystemTime)]) -> Answer<'a, ()>;

    /// At most `most` records of this tenant (`None`: of those without one), in the order of their names, after this one.
    fn list<'a>(
        &'a self,
        tenant: Option<&'a TenantId>,
        after: Option<KeyId>,
        most: usize,
    ) -> Answer<'a, Vec<KeyRecord>>;
}

/// API keys in this process's memory, at most so many: for tests, and for keys that are made anew at each start.
#[derive(Debug)]
pub struct MemoryKeys {
    most: usize,
    records: Mutex<BTreeMap<KeyId, KeyRecord>>,
}

impl Default for MemoryKeys {
    /// Room for a hundred thousand.
    fn default() -> Self {
        Self::new(100_000)
    }
}

impl MemoryKeys {
    /// At most so many; a further one is refused.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, records: Mutex::new(BTreeMap::new()) }
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<KeyId, KeyRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, record: &KeyRecord, replaced: Option<Replaced>) -> Result<bool, Error> {
        let mut records = self.records();
        if records.contains_key(&record.id) {
            return Ok(false);
        }
        if records.len() >= self.most {
            return Err(Error::Busy(Rejection::new(RejectionReason::Full)));
        }
        if let Some(Replaced { id, until }) = replaced {
            let live = |old: &&mut KeyRecord| old.revoked.is_none() && old.successor.is_none();
            let Some(old) = records.get_mut(&id).filter(live) else { return Ok(false) };
            old.successor = Some(record.id);
            old.expires = Some(old.expires.map_or(until, |end| end.min(until)));
        }
        records.insert(record.id, record.clone());
        Ok(true)
    }
}

impl KeyStore for MemoryKeys {
    fn insert<'a>(&'a self, record: &'a KeyRecord, replaced: Option<Replaced>) -> Answer<'a, bool> {
        Box::pin(async move { self.add(record, replaced) })
    }

    fn get(&self, id: KeyId) -> Answer<'_, Option<KeyRecord>> {
        Box::pin(async move { Ok(self.records().get(&id).cloned()) })
    }

    fn change(&self, id: KeyId, change: KeyChange) -> Answer<'_, bool> {
        Box::pin(async move {
            let mut records = self.records();
            let Some(record) = records.get_mut(&id) else { return Ok(false) };
            match change {
                KeyChange::Revoke { at } => record.revoked = record.revoked.or(Some(at)),
                KeyChange::Rehash { hash, pepper } => (record.hash, record.pepper) = (hash, pepper),
            }
            Ok(true)
        })
    }

    fn touch<'a>(&'a self, uses: &'a [(KeyId, SystemTime)]) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut records = self.records();
            for (id, at) in uses {
                if let Some(record) = records.get_mut(id) {
                    record.last_used = record.last_used.max(Some(*at));
                }
            }
            Ok(())
        })
    }

    fn list<'a>(
        &'a self,
        tenant: Option<&'a TenantId>,
        after: Option<KeyId>,
        most: usize,
    ) -> Answer<'a, Vec<KeyRecord>> {
        Box::pin(async move {
            let records = self.records();
            let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
            let of_tenant = records.range((from, std::ops::Bound::Unbounded)).map(|(_, record)| record);
            Ok(of_tenant.filter(|record| record.tenant.as_ref() == tenant).take(most).cloned().collect())
        })
    }
}
