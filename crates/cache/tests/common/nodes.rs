//! Nodes of a fleet over real servers.
#![allow(dead_code, reason = "each test uses a part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use buttress_cache::codec::Codec;
use buttress_cache::tier::RedisTier;
use buttress_cache::{Cache, CacheConfig, TierConfig, Tiered};
use buttress_connect::ConnectionConfig;
use buttress_connect::redis::Redis;
use buttress_core::{Ctx, Elapsed, EventLog, Events, Probe, Vitality};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

pub(crate) type Node = Tiered<u64, u64>;

/// Longer than anything takes that does not hang.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// For how long a node may serve what was changed.
pub(crate) const STALENESS: Duration = Duration::from_secs(1);

pub(crate) async fn connect(url: &str) -> Redis {
    let mut config = ConnectionConfig::default();
    config.timeout = Duration::from_secs(1);
    let address = url.parse().unwrap();
    let connected = async {
        loop {
            // While a master is being replaced there is none.
            match Redis::connect(&address, &config).await {
                Ok(redis) => return redis,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, connected).await.unwrap()
}

pub(crate) fn config() -> TierConfig {
    let mut config = TierConfig::default();
    (config.staleness, config.lease, config.open_for) =
        (STALENESS, Duration::from_secs(1), Duration::from_millis(200));
    config
}

/// A node and what it tells of itself.
pub(crate) struct Watched {
    pub(crate) node: Node,
    pub(crate) events: EventLog,
    pub(crate) metrics: PrometheusHandle,
}

impl Watched {
    pub(crate) async fn start(url: &str, tier: TierConfig, set: impl FnOnce(&mut CacheConfig)) -> Self {
        let (recorder, events) = (PrometheusBuilder::new().build_recorder(), EventLog::default());
        let ctx = Ctx { events: Events::to(Arc::new(events.clone())), ..Ctx::default() };
        let redis = connect(url).await;
        let mut config = CacheConfig::default();
        config.name = "fleet".into();
        set(&mut config);
        let node = metrics::with_local_recorder(&recorder, || {
            let cache = Cache::builder("fleet").config(config).build(&ctx).unwrap();
            Tiered::over(cache, RedisTier::new(redis, "fleet"), Codec::json("number", 1), tier).unwrap()
        });
        heard(&node).await;
        Self { node, events, metrics: recorder.handle() }
    }

    /// How often these happened.
    pub(crate) fn happened(&self, action: &str) -> usize {
        self.events.events().iter().filter(|event| event.action == action).count()
    }

    /// The sum of all series that begin like this.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.metrics.render();
        let values = text.lines().filter(|line| line.starts_with(series));
        values.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }
}

pub(crate) async fn node(url: &str) -> Node {
    Watched::start(url, config(), |_| {}).await.node
}

/// Waits until the tier is used and its news are heard.
pub(crate) async fn heard(node: &Node) {
    let hear = async {
        while node.check().await != Vitality::Pass {
            let _ = node.get(&u64::MAX).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, hear).await.unwrap();
}

pub(crate) async fn ask(node: &Node, key: u64, source: &Arc<AtomicU64>) -> u64 {
    let source = Arc::clone(source);
    let asked =
        node.get_or_load(&key, move || async move { Ok::<_, Elapsed>(source.load(Ordering::SeqCst)) });
    tokio::time::timeout(PATIENCE, asked).await.unwrap().unwrap()
}
