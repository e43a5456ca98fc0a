//! Compiled workflows, kept by their text: the same workflow is usually run many times.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::compile::Compiled;
use super::error::FlowErrors;

/// The texts of all kept workflows together, in bytes. The compiled form is a few times larger.
const MAX_BYTES: usize = 8 << 20;

/// Compiled workflows by the BLAKE3 of their text. It keeps those used last, up to a number and up to 8 MiB of text.
/// Texts with errors are not kept.
#[derive(Debug)]
pub struct FlowCache {
    capacity: usize,
    kept: Mutex<Kept>,
    hits: AtomicU64,
    misses: AtomicU64,
}

type Digest = [u8; 32];

#[derive(Debug, Default)]
struct Kept {
    flows: HashMap<Digest, Entry>,
    /// The digests by the time of their last use.
    order: BTreeMap<u64, Digest>,
    /// Counts uses.
    now: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    flow: Arc<Compiled>,
    used: u64,
    bytes: usize,
}

impl Default for FlowCache {
    /// Keeps 256 workflows.
    fn default() -> Self {
        Self::new(256)
    }
}

impl FlowCache {
    /// Keeps at most `capacity` workflows; with 0, none.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, kept: Mutex::default(), hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// The compiled form of a text, from the cache or made now. Two callers may make the same one at a time; the
    /// lock is not held meanwhile.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the text.
    pub fn get_or_compile(&self, text: &str) -> Result<Arc<Compiled>, FlowErrors> {
        if text.len() > super::MAX_TEXT {
            // Not worth the hash.
            return Compiled::parse(text).map(Arc::new);
        }
        let digest = *blake3::hash(text.as_bytes()).as_bytes();
        if let Some(flow) = self.lock().touch(&digest) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(flow);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let flow = Arc::new(Compiled::parse(text)?);
        self.lock().insert(digest, Arc::clone(&flow), text.len(), self.capacity);
        Ok(flow)
    }

    /// How many workflows are kept.
    pub fn len(&self) -> usize {
        self.lock().flows.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often a text was found.
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// How often a text was not found.
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic elsewhere leaves at worst a stale order, which only matters for what is dropped first.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn touch(&mut self, digest: &Digest) -> Option<Arc<Compiled>> {
        let entry = self.flows.get_mut(digest)?;
        self.order.remove(&entry.used);
        self.now += 1;
        entry.used = self.now;
        self.order.insert(self.now, *digest);
        Some(Arc::clone(&entry.flow))
    }

    fn insert(&mut self, digest: Digest, flow: Arc<Compiled>, bytes: usize, capacity: usize) {
        if capacity == 0 || self.touch(&digest).is_some() {
            return;
        }
        self.now += 1;
        self.flows.insert(digest, Entry { flow, used: self.now, bytes });
        self.order.insert(self.now, digest);
        self.bytes += bytes;
        while self.flows.len() > capacity || self.bytes > MAX_BYTES {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            if let Some(entry) = self.flows.remove(&oldest) {
                self.bytes -= entry.bytes;
            }
        }
    }
}
