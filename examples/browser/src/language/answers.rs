//! Answers of the model: the same question makes one call, on one instance or on all that share them.
//!
//! Kept are workflows only, under a hash of what was asked; neither pages nor commands are. An answer never changes, so what an
//! instance has in memory is good for as long as it lives, whether the others can be heard or not.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use buttress_cache::codec::{Body, BodyError, Codec};
use buttress_cache::tier::{MemoryTier, SqliteTier, Tier};
use buttress_cache::{Cache, CacheConfig, Error as CacheError, Found, HashedKey, Terms, TierConfig, Tiered};
use buttress_connect::sqlite::Sqlite;
use buttress_connect::{Address, ConnectionConfig};
use buttress_core::{BoxFuture, ByteSize, Classify, Ctx, DynProbe, ErrorClass, RejectionReason};
use tracing::Instrument;

use super::call::Taken;
use super::callers::Callers;
use super::config::{LanguageConfig, SharedAnswersConfig};
use super::error::{Error, ModelError, Result};
use super::optimise::Prompt;
use super::prompt;
use crate::flow::{Compiled, Flow};

/// The key of what is asked of a model.
pub(crate) fn key(model: &str, prompt: &Prompt) -> HashedKey {
    let version = prompt::VERSION.to_le_bytes();
    let messages = prompt.messages.iter().flat_map(|message| [message.role, message.content.as_str()]);
    let texts = std::iter::once(model).chain(messages).map(str::as_bytes);
    HashedKey::of_parts(std::iter::once(version.as_slice()).chain(texts))
}

/// Workflows as JSON, checked again when they are read: what wrote it may have been another version, or somebody else.
struct Checked;

impl Body<Arc<Flow>> for Checked {
    fn write(&self, flow: &Arc<Flow>, to: &mut Vec<u8>) -> Result<(), BodyError> {
        Ok(serde_json::to_writer(to, &**flow)?)
    }

    fn read(&self, bytes: &[u8]) -> Result<Arc<Flow>, BodyError> {
        let flow = Flow::from_value(serde_json::from_slice(bytes)?)?;
        Compiled::new(&flow)?;
        Ok(Arc::new(flow))
    }
}

/// Where a workflow comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// The model was asked for it now, by this caller, and took this.
    Asked(Taken),
    /// It was there.
    Kept,
    /// Another who asks the same at this moment has it from the model, or from where it was kept.
    Shared,
}

/// The kept answers, and those on their way.
#[derive(Debug)]
pub(crate) struct Answers {
    tiered: Tiered<HashedKey, Arc<Flow>>,
    callers: Callers,
    keeps: bool,
}

/// Why a load brought no answer.
#[derive(Debug, Clone, thiserror::Error)]
enum Unanswered {
    #[error("nobody waits for it any more")]
    Abandoned,
    #[error(transparent)]
    Failed(Error),
}

impl Classify for Unanswered {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Abandoned => ErrorClass::Cancelled,
            Self::Failed(error) => error.class(),
        }
    }
}

/// Answers in memory at most; a few kilobytes each.
const IN_MEMORY: usize = 1_000;

/// The model takes seconds, and costs: the place of answers is waited for where others would not be.
fn patience() -> TierConfig {
    let mut config = TierConfig::default();
    (config.within, config.failures) = (Duration::from_secs(1), 2);
    // What never changes is not outdated by news that are not heard.
    config.staleness = Duration::from_hours(1);
    config
}

impl Answers {
    /// Opens where they are kept, and reaches the server if that is one.
    pub(crate) async fn open(config: &LanguageConfig, ctx: &Ctx) -> Result<Self> {
        let mut local = CacheConfig::default();
        "answers".clone_into(&mut local.name);
        local.capacity = usize::try_from(config.cache).unwrap_or(usize::MAX).clamp(1, IN_MEMORY);
        (local.ttl, local.jitter) = (Some(config.cache_age), 0.0);
        // Nobody pays for an answer before it is needed.
        local.early = 0.0;
        // Another instance may ask twice and fail, and this one asks twice then.
        local.load_within =
            (config.calls.deadline * 4 + Duration::from_secs(30)).min(Duration::from_hours(24));
        let local = Cache::builder("answers").config(local).build(ctx).map_err(unusable("memory"))?;
        let tiered = if config.cache == 0 {
            over(local, MemoryTier::new(ctx.clock.clone()))
        } else if let Some(url) = &config.shared.url {
            over(local, server(url, &config.shared).await?)
        } else {
            over(local, file(&config.folder.join("answers.db"), config.cache, ctx).await?)
        };
        Ok(Self { tiered: tiered?, callers: Callers::default(), keeps: config.cache > 0 })
    }

    /// Warns when the place of answers does not answer.
    pub(crate) fn probe(&self) -> DynProbe {
        DynProbe::new(self.tiered.clone())
    }

    /// The answer that is kept, that of others who ask the same now, or the one that `ask` brings.
    ///
    /// What `ask` is doing goes on for as long as anybody here waits for it. Its errors are those of all who wait here; other
    /// instances then ask for themselves.
    pub(crate) async fn find(
        &self,
        key: HashedKey,
        ask: impl Fn() -> BoxFuture<'static, Result<(Flow, Taken)>>,
    ) -> Result<(Arc<Flow>, Origin)> {
        let waiting = self.callers.wait_for(key);
        loop {
            let taken = Arc::new(OnceLock::new());
            let (asked, told, left, keeps) = (ask(), Arc::clone(&taken), waiting.left(), self.keeps);
            let load = move || {
                let load = async move {
                    // Another instance may have been waited for until now.
                    if left.have_all() {
                        return Err(Unanswered::Abandoned);
                    }
                    let (flow, taken) = tokio::select! {
                        biased;
                        answered = asked => answered.map_err(Unanswered::Failed)?,
                        () = left.all() => return Err(Unanswered::Abandoned),
                    };
                    let _ = told.set(taken);
                    let found = Found::from(Arc::new(flow));
                    Ok(if keeps { found } else { found.not_kept() })
                };
                load.in_current_span()
            };
            match self.tiered.get_or_find(&key, Terms::default(), load).await {
                Ok(Some(flow)) => {
                    let origin = match taken.get() {
                        Some(taken) => Origin::Asked(*taken),
                        None if waiting.is_first => Origin::Kept,
                        None => Origin::Shared,
                    };
                    return Ok((flow, origin));
                }
                // Nobody here says that there is none.
                Ok(None) => return Err(Error::Stopped),
                // Those before had left, and this one came before that was done.
                Err(error) if is_abandoned(&error) => {}
                Err(error) => return Err(error_of(&error)),
            }
        }
    }
}

fn over(local: Cache<HashedKey, Arc<Flow>>, tier: impl Tier) -> Result<Tiered<HashedKey, Arc<Flow>>> {
    let codec = Codec::of(Checked, "flow", 1).at_most(ByteSize::mib(2));
    Tiered::over(local, tier, codec, patience()).map_err(unusable("memory"))
}

/// Answers of this instance alone, which survive its restart.
async fn file(path: &Path, most: u64, ctx: &Ctx) -> Result<SqliteTier> {
    let connection = ConnectionConfig::default();
    let sqlite = Sqlite::open(&Address::sqlite(path), &connection).await.map_err(unusable(path.display()))?;
    SqliteTier::open(sqlite, most, ctx.clock.clone()).await.map_err(unusable(path.display()))
}

/// Answers of all instances that name this server.
#[cfg(feature = "redis")]
async fn server(url: &Address, shared: &SharedAnswersConfig) -> Result<impl Tier + use<>> {
    let redis = buttress_connect::redis::Redis::connect(url, &shared.connection).await;
    Ok(buttress_cache::tier::RedisTier::new(redis.map_err(unusable(url))?, &shared.namespace))
}

#[cfg(not(feature = "redis"))]
#[allow(clippy::unused_async, reason = "with the feature it connects")]
async fn server(url: &Address, _: &SharedAnswersConfig) -> Result<MemoryTier> {
    Err(unusable(url)(url.backend().not_compiled()))
}

fn unusable<E: std::error::Error + Send + Sync + 'static>(
    place: impl std::fmt::Display,
) -> impl FnOnce(E) -> Error {
    move |error| Error::Answers { place: place.to_string(), source: Arc::new(error) }
}

fn is_abandoned(error: &CacheError) -> bool {
    let CacheError::Load { source, .. } = error else { return false };
    matches!(source.downcast_ref(), Some(Unanswered::Abandoned))
}

fn error_of(error: &CacheError) -> Error {
    match error {
        CacheError::Load { source, .. } => match source.downcast_ref() {
            Some(Unanswered::Failed(error)) => error.clone(),
            _ => Error::Stopped,
        },
        CacheError::TimedOut { within, .. } => Error::Model(ModelError::TimedOut(*within)),
        CacheError::Rejected { rejection, .. } if rejection.reason() == RejectionReason::Full => {
            Error::Busy(rejection.clone())
        }
        _ => Error::Stopped,
    }
}
