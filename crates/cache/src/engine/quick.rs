//! `quick_cache`.

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use super::{CacheKey, Capacity, Engine, Evicted, Heavy};

/// `quick_cache` as an engine: a clock with a hot and a cold part, and a memory of keys that were put out (a descendant of
/// CLOCK-Pro, akin to S3-FIFO). Reading takes a shared lock of one shard.
pub struct QuickCache<K, T>(Cache<K, Heavy<T>, Weight, DefaultHashBuilder, Putting<K, T>>);

#[derive(Clone)]
struct Weight;

impl<K, T> Weighter<K, Heavy<T>> for Weight {
    #[inline]
    fn weight(&self, _: &K, heavy: &Heavy<T>) -> u64 {
        u64::from(heavy.weight)
    }
}

/// Told what is put out.
struct Putting<K, T> {
    evicted: Evicted,
    kinds: std::marker::PhantomData<fn() -> (K, T)>,
}

impl<K, T> Clone for Putting<K, T> {
    fn clone(&self) -> Self {
        Self { evicted: self.evicted.clone(), kinds: std::marker::PhantomData }
    }
}

impl<K, T> Lifecycle<K, Heavy<T>> for Putting<K, T> {
    /// What was put out is dropped with this, when no lock is held any more. One or two entries make room for one.
    type RequestState = [Option<(K, T)>; 2];

    #[inline]
    fn on_evict(&self, state: &mut Self::RequestState, key: K, heavy: Heavy<T>) {
        self.evicted.note(1);
        if std::mem::needs_drop::<(K, T)>()
            && let Some(place) = state.iter_mut().find(|place| place.is_none())
        {
            *place = Some((key, heavy.entry));
        }
    }
}

impl<K: CacheKey, T: Clone + Send + Sync + 'static> Engine<K, T> for QuickCache<K, T> {
    fn new(capacity: &Capacity) -> Self {
        let putting = Putting { evicted: capacity.evicted.clone(), kinds: std::marker::PhantomData };
        let options = OptionsBuilder::new()
            .estimated_items_capacity(capacity.entries)
            .weight_capacity(capacity.weight)
            .build();
        Self(match options {
            Ok(options) => Cache::with_options(options, Weight, DefaultHashBuilder::default(), putting),
            // Only capacities that are not given are refused.
            Err(_) => {
                Cache::with(capacity.entries, capacity.weight, Weight, DefaultHashBuilder::default(), putting)
            }
        })
    }

    #[inline]
    fn get(&self, key: &K) -> Option<T> {
        self.0.get(key).map(|heavy| heavy.entry)
    }

    fn peek(&self, key: &K) -> Option<T> {
        self.0.peek(key).map(|heavy| heavy.entry)
    }

    #[inline]
    fn insert(&self, key: K, entry: T, weight: u64) {
        self.0.insert(key, Heavy::new(entry, weight));
    }

    fn remove(&self, key: &K) -> Option<T> {
        self.0.remove(key).map(|(_, heavy)| heavy.entry)
    }

    fn remove_if(&self, key: &K, condition: impl Fn(&T) -> bool) -> bool {
        self.0.remove_if(key, |heavy| condition(&heavy.entry)).is_some()
    }

    fn clear(&self) {
        self.0.clear();
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn weight(&self) -> u64 {
        self.0.weight()
    }

    fn iter(&self) -> Box<dyn Iterator<Item = (K, T)> + Send + '_> {
        Box::new(self.0.iter().map(|(key, heavy)| (key, heavy.entry)))
    }
}
