//! Caches of `u64` under `u64`, ours and its rivals, behind one trait.
#![allow(dead_code, unreachable_pub, reason = "each of those who share it uses a part")]

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use buttress_cache::{Cache, CacheConfig, EngineKind};
use buttress_core::Ctx;

/// A cache, as the cases use it.
pub trait Subject: Send + Sync {
    fn get(&self, key: u64) -> Option<u64>;
    fn insert(&self, key: u64, value: u64);
}

pub type Ours = Cache<u64, u64>;

/// Ours, with entries that expire.
pub fn buttress(capacity: usize, engine: EngineKind) -> Ours {
    let mut config = CacheConfig::default();
    "bench".clone_into(&mut config.name);
    config.engine = engine;
    config.capacity = capacity;
    config.ttl = Some(Duration::from_mins(5));
    Cache::builder("bench").config(config).build(&Ctx::default()).unwrap()
}

impl Subject for Ours {
    fn get(&self, key: u64) -> Option<u64> {
        Cache::get(self, &key)
    }

    fn insert(&self, key: u64, value: u64) {
        Cache::insert(self, key, value);
    }
}

/// Its engine alone, which knows no expiry.
pub type Quick = quick_cache::sync::Cache<u64, u64>;

pub fn quick(capacity: usize) -> Quick {
    Quick::new(capacity)
}

impl Subject for Quick {
    fn get(&self, key: u64) -> Option<u64> {
        quick_cache::sync::Cache::get(self, &key)
    }

    fn insert(&self, key: u64, value: u64) {
        quick_cache::sync::Cache::insert(self, key, value);
    }
}

pub type Moka = moka::sync::Cache<u64, u64>;

pub fn moka(capacity: usize) -> Moka {
    Moka::new(capacity as u64)
}

/// With entries that expire.
pub fn moka_ttl(capacity: usize) -> Moka {
    Moka::builder().max_capacity(capacity as u64).time_to_live(Duration::from_mins(5)).build()
}

impl Subject for Moka {
    fn get(&self, key: u64) -> Option<u64> {
        moka::sync::Cache::get(self, &key)
    }

    fn insert(&self, key: u64, value: u64) {
        moka::sync::Cache::insert(self, key, value);
    }
}

pub struct Lru(Mutex<lru::LruCache<u64, u64>>);

pub fn lru(capacity: usize) -> Lru {
    Lru(Mutex::new(lru::LruCache::new(capacity.try_into().unwrap())))
}

impl Subject for Lru {
    fn get(&self, key: u64) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied()
    }

    fn insert(&self, key: u64, value: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(key, value);
    }
}

pub type Foyer = foyer_memory::Cache<u64, u64>;

pub fn foyer(capacity: usize) -> Foyer {
    foyer_memory::CacheBuilder::new(capacity).build()
}

impl Subject for Foyer {
    fn get(&self, key: u64) -> Option<u64> {
        foyer_memory::Cache::get(self, &key).map(|entry| *entry.value())
    }

    fn insert(&self, key: u64, value: u64) {
        foyer_memory::Cache::insert(self, key, value);
    }
}

pub type Ufo = tinyufo::TinyUfo<u64, u64>;

pub fn ufo(capacity: usize) -> Ufo {
    Ufo::new(capacity, capacity)
}

impl Subject for Ufo {
    fn get(&self, key: u64) -> Option<u64> {
        tinyufo::TinyUfo::get(self, &key)
    }

    fn insert(&self, key: u64, value: u64) {
        self.put(key, value, 1);
    }
}
