//! Where the service listens, what it allows, and how it stops.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use buttress_core::units::format_duration;
use buttress_core::{ByteSize, Validate, Violations};
use buttress_health::HealthConfig;
use serde::{Deserialize, Serialize};

use crate::client_addr::ProxiesConfig;

/// How an HTTP service runs.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `listen` | `"127.0.0.1:8080"` | address of the service; port 0 takes any free port |
/// | `admin_listen` | none | address of the probes and `/metrics`; without it they are on `listen` |
/// | `limits` | see [`LimitsConfig`] | what one client, and all of them, may take |
/// | `drain` | see [`DrainConfig`] | how the service stops |
/// | `proxies` | see [`ProxiesConfig`] | whose word on the client's address counts |
/// | `health` | see [`HealthConfig`] | schedule of the health checks |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ServiceConfig {
    /// Where the service listens.
    pub listen: SocketAddr,
    /// Where probes and metrics are, if not beside the service.
    pub admin_listen: Option<SocketAddr>,
    /// What one client, and all of them, may take.
    pub limits: LimitsConfig,
    /// How the service stops.
    pub drain: DrainConfig,
    /// Whose word on the client's address counts.
    pub proxies: ProxiesConfig,
    /// Schedule of the health checks.
    pub health: HealthConfig,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin_listen: None,
            limits: LimitsConfig::default(),
            drain: DrainConfig::default(),
            proxies: ProxiesConfig::default(),
            health: HealthConfig::default(),
        }
    }
}

/// What one client, and all of them, may take.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `connections` | `2048` | open connections; more wait in the kernel's queue |
/// | `requests` | `512` | requests of ordinary routes at once; more are answered 503 |
/// | `long_requests` | `1000` | requests of long routes (uploads, event streams) at once; more are answered 503 |
/// | `body` | `"4MiB"` | body of a request to an ordinary route; a larger one is answered 413 |
/// | `long_body` | `"1GiB"` | body of a request to a long route |
/// | `headers` | `"64KiB"` | request line and headers; more are answered 431 |
/// | `deadline` | `"30s"` | answering an ordinary request; later is answered 504. Long routes have none |
/// | `header_timeout` | `"15s"` | receiving the headers of a request, and how long a connection may idle before them |
/// | `body_idle_timeout` | `"30s"` | a pause in a request's body |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitsConfig {
    /// Open connections.
    pub connections: usize,
    /// Requests of ordinary routes at once.
    pub requests: usize,
    /// Requests of long routes at once.
    pub long_requests: usize,
    /// Body of a request to an ordinary route.
    pub body: ByteSize,
    /// Body of a request to a long route.
    pub long_body: ByteSize,
    /// Request line and headers.
    pub headers: ByteSize,
    /// Answering an ordinary request.
    #[serde(with = "buttress_core::units::duration")]
    pub deadline: Duration,
    /// Receiving the headers of a request, and idling before them.
    #[serde(with = "buttress_core::units::duration")]
    pub header_timeout: Duration,
    /// A pause in a request's body.
    #[serde(with = "buttress_core::units::duration")]
    pub body_idle_timeout: Duration,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: 2048,
            requests: 512,
            long_requests: 1000,
            body: ByteSize::mib(4),
            long_body: ByteSize::gib(1),
            headers: ByteSize::kib(64),
            deadline: Duration::from_secs(30),
            header_timeout: Duration::from_secs(15),
            body_idle_timeout: Duration::from_secs(30),
        }
    }
}

/// How the service stops. The sum of the three is the longest a stop takes, about a second for the last log lines aside.
///
/// | field | default | meaning |
/// |---|---|---|
/// | `pre_stop_delay` | `"0s"` | from failing readiness to closing the port. Behind Kubernetes or a load balancer, set it to the time they take to notice: `"5s"` |
/// | `finish_within` | `"20s"` | for requests and components to finish what they have in hand |
/// | `stop_within` | `"10s"` | for components and background tasks to return |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DrainConfig {
    /// From failing readiness to closing the port.
    #[serde(with = "buttress_core::units::duration")]
    pub pre_stop_delay: Duration,
    /// For requests and components to finish what they have in hand.
    #[serde(with = "buttress_core::units::duration")]
    pub finish_within: Duration,
    /// For components and background tasks to return.
    #[serde(with = "buttress_core::units::duration")]
    pub stop_within: Duration,
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self {
            pre_stop_delay: Duration::ZERO,
            finish_within: Duration::from_secs(20),
            stop_within: Duration::from_secs(10),
        }
    }
}

impl Validate for ServiceConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let same = self.admin_listen == Some(self.listen) && self.listen.port() != 0;
        wrong.require(
            !same,
            "admin_listen",
            self.listen,
            "must differ from `listen`; leave it out to share the port",
        );
        wrong.nest("limits", &self.limits);
        wrong.nest("drain", &self.drain);
        wrong.nest("proxies", &self.proxies);
        wrong.nest("health", &self.health);
        wrong.into_result()
    }
}

impl Validate for LimitsConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        for (field, value) in [
            ("connections", self.connections),
            ("requests", self.requests),
            ("long_requests", self.long_requests),
        ] {
            // The upper bound is that of the semaphore that counts them.
            wrong.require((1..=1 << 24).contains(&value), field, value, "must be 1 to 16777216");
        }
        wrong.require(
            self.headers >= ByteSize::kib(8) && self.headers <= ByteSize::mib(16),
            "headers",
            self.headers,
            "must be 8KiB to 16MiB; 64KiB is usual",
        );
        for (field, value) in [
            ("deadline", self.deadline),
            ("header_timeout", self.header_timeout),
            ("body_idle_timeout", self.body_idle_timeout),
        ] {
            require_some(&mut wrong, field, value);
        }
        wrong.into_result()
    }
}

impl Validate for DrainConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        require_some(&mut wrong, "finish_within", self.finish_within);
        require_some(&mut wrong, "stop_within", self.stop_within);
        wrong.into_result()
    }
}

fn require_some(wrong: &mut Violations, field: &str, value: Duration) {
    let shown: &dyn fmt::Display = &format_duration(value);
    wrong.require(!value.is_zero(), field, shown, "must be longer than nothing; 30s is usual");
}
