//! What the browser service can be told.

use buttress_cache::CacheConfig;
use buttress_core::{Validate, Violations};
use buttress_ratelimit::LimiterConfig;
use buttress_service::{ServiceConfig, address_limits};
use buttress_telemetry::TelemetryConfig;
use serde::{Deserialize, Serialize};

use crate::chromium::ChromiumConfig;
use crate::fleet::FleetConfig;
use crate::flow::FlowCache;
use crate::guard::GuardConfig;
use crate::jobs::JobsConfig;
use crate::language::LanguageConfig;

/// The whole configuration: `browser.toml`, then `BROWSER_…` variables, then flags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrowserConfig {
    /// Which browser is started, and how long it may take.
    pub chromium: ChromiumConfig,
    /// How many browsers there are, and when one is replaced.
    pub fleet: FleetConfig,
    /// Compiled workflows that are kept.
    pub flow_cache: CacheConfig,
    /// What pages may reach.
    pub guard: GuardConfig,
    /// What the service keeps of jobs, and how many it takes.
    pub jobs: JobsConfig,
    /// How plain commands are understood.
    pub language: LanguageConfig,
    /// How often clients may ask.
    pub limits: LimiterConfig,
    /// Where and how the service listens.
    pub service: ServiceConfig,
    /// Logs and metrics.
    pub telemetry: TelemetryConfig,
}

impl Default for BrowserConfig {
    fn default() -> Self {
        Self {
            chromium: ChromiumConfig::default(),
            fleet: FleetConfig::default(),
            flow_cache: FlowCache::config(),
            guard: GuardConfig::default(),
            jobs: JobsConfig::default(),
            language: LanguageConfig::default(),
            limits: address_limits(),
            service: ServiceConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

impl Validate for BrowserConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.nest("chromium", &self.chromium);
        wrong.nest("fleet", &self.fleet);
        wrong.nest("flow_cache", &self.flow_cache);
        wrong.nest("guard", &self.guard);
        wrong.nest("jobs", &self.jobs);
        wrong.nest("language", &self.language);
        wrong.nest("limits", &self.limits);
        wrong.nest("service", &self.service);
        wrong.nest("telemetry", &self.telemetry);
        wrong.into_result()
    }
}
