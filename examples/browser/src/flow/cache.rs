//! Compiled workflows, kept by their text: the same workflow is usually run many times.

use std::sync::Arc;

use buttress_cache::{Cache, CacheConfig, Stats};
use buttress_core::{ByteSize, Ctx};

use super::compile::Compiled;
use super::error::FlowErrors;

/// A compiled workflow takes a few times its text.
const COMPILED: usize = 4;

/// Compiled workflows by the BLAKE3 of their text. Texts with errors are not kept.
#[derive(Debug, Clone)]
pub struct FlowCache(Cache<[u8; 32], Kept>);

#[derive(Debug, Clone)]
struct Kept {
    flow: Arc<Compiled>,
    text_bytes: usize,
}

impl FlowCache {
    /// What it has room for unless something else is said: some 256 workflows, 32 MiB, for as long as they are used.
    #[must_use]
    pub fn config() -> CacheConfig {
        let mut config = CacheConfig::default();
        "flows".clone_into(&mut config.name);
        config.capacity = 256;
        config.bytes = Some(ByteSize::mib(32));
        config.ttl = None;
        config
    }

    /// An empty cache.
    ///
    /// # Errors
    ///
    /// When the configuration is wrong.
    pub fn new(config: CacheConfig, ctx: &Ctx) -> Result<Self, buttress_cache::Error> {
        let weigh = |_: &[u8; 32], kept: &Kept| COMPILED * kept.text_bytes;
        Ok(Self(Cache::builder("flows").config(config).weigher(weigh).build(ctx)?))
    }

    /// The compiled form of a text, from the cache or made now. Two callers may make the same one at a time.
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
        if let Some(kept) = self.0.get(&digest) {
            return Ok(kept.flow);
        }
        let flow = Arc::new(Compiled::parse(text)?);
        self.0.insert(digest, Kept { flow: Arc::clone(&flow), text_bytes: text.len() });
        Ok(flow)
    }

    /// What it has done so far, and what is in it.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.stats()
    }
}
