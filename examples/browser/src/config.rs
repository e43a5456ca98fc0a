//! What the browser service can be told.

use buttress_access::policy::{PolicyConfig, RoleConfig, RuleConfig};
use buttress_cache::CacheConfig;
use buttress_connect::Address;
use buttress_core::{Validate, Violations};
use buttress_ratelimit::LimiterConfig;
use buttress_service::{SecurityConfig, ServiceConfig, address_limits};
use buttress_telemetry::TelemetryConfig;
use serde::{Deserialize, Serialize};

use crate::chromium::ChromiumConfig;
use crate::fleet::FleetConfig;
use crate::flow::FlowCache;
use crate::guard::GuardConfig;
use crate::jobs::JobsConfig;
use crate::language::LanguageConfig;

/// The whole configuration: `browser.toml`, then `BROWSER_…` variables, then flags.
///
/// Each instance stands alone unless [`redis_url`](Self::redis_url) is set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BrowserConfig {
    /// `redis://…`, also of sentinels or a cluster: what instances share through it, as `limits.shared.url` and
    /// `language.shared.url`; each of these goes before it. None: each instance has its own.
    pub redis_url: Option<Address>,
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
    /// Who may use the service; off, whoever reaches it may do everything. `browser init` makes what it needs, in `folder`, which is
    /// below `jobs.folder` where it is relative.
    pub security: SecurityConfig,
    /// Where and how the service listens.
    pub service: ServiceConfig,
    /// Logs and metrics.
    pub telemetry: TelemetryConfig,
}

impl Default for BrowserConfig {
    fn default() -> Self {
        let mut limits = address_limits();
        // The name of what is shared: another service may have limits on the same server.
        "browser".clone_into(&mut limits.name);
        Self {
            redis_url: None,
            chromium: ChromiumConfig::default(),
            fleet: FleetConfig::default(),
            flow_cache: FlowCache::config(),
            guard: GuardConfig::default(),
            jobs: JobsConfig::default(),
            language: LanguageConfig::default(),
            limits,
            security: SecurityConfig::of("security", "browser", roles()),
            service: ServiceConfig::default(),
            telemetry: TelemetryConfig::default(),
        }
    }
}

/// Each may do what the one before it may.
fn roles() -> PolicyConfig {
    let mut policy = PolicyConfig::default();
    for (name, inherits, allow) in [
        ("viewer", None, "job:read"),
        ("operator", Some("viewer"), "job:write"),
        ("admin", Some("operator"), "key:manage"),
    ] {
        let mut role = RoleConfig::default();
        role.inherits = inherits.into_iter().map(str::to_owned).collect();
        role.allow = vec![RuleConfig::new(allow)];
        policy.roles.insert(name.to_owned(), role);
    }
    policy
}

impl BrowserConfig {
    /// What protects the service, in its place.
    #[must_use]
    pub fn placed_security(&self) -> SecurityConfig {
        let mut security = self.security.clone();
        // One that is absolute stays what it is; none at all is refused.
        if !security.folder.as_os_str().is_empty() {
            security.folder = self.jobs.folder.join(security.folder);
        }
        security
    }

    /// With `redis_url` wherever something can be shared and its own section does not say where.
    #[must_use]
    pub fn shared(mut self) -> Self {
        for url in [&mut self.limits.shared.url, &mut self.language.shared.url] {
            *url = url.take().or_else(|| self.redis_url.clone());
        }
        self
    }
}

impl Validate for BrowserConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        if let Some(url) = &self.redis_url {
            url.require_redis("redis_url", &mut wrong);
        }
        wrong.nest("chromium", &self.chromium);
        wrong.nest("fleet", &self.fleet);
        wrong.nest("flow_cache", &self.flow_cache);
        wrong.nest("guard", &self.guard);
        wrong.nest("jobs", &self.jobs);
        wrong.nest("language", &self.language);
        let key = self.language.key_secret.as_deref().filter(|_| !self.security.enabled);
        let remedy = "needs `security.enabled`; without it, `language.key_file` says where the key is";
        wrong.require(key.is_none(), "language.key_secret", key.unwrap_or_default(), remedy);
        wrong.nest("limits", &self.limits);
        wrong.nest("security", &self.security);
        wrong.nest("service", &self.service);
        wrong.nest("telemetry", &self.telemetry);
        wrong.into_result()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn one_address_is_for_all_that_can_be_shared_and_what_is_exact_goes_before_it() {
        let read = |text: &str| serde_json::from_str::<BrowserConfig>(text).unwrap().shared();
        let shown = |url: &Option<Address>| url.as_ref().map(|url| url.expose().to_owned());
        let alone = read("{}");
        assert_eq!((&alone.limits.shared.url, &alone.language.shared.url), (&None, &None));
        for url in ["redis://:pw@one/2", "rediss+sentinel://one,two?master=m", "redis+cluster://one,two"] {
            let config = read(&format!(r#"{{"redis_url":"{url}"}}"#));
            config.validate().unwrap();
            assert_eq!(
                (shown(&config.limits.shared.url), shown(&config.language.shared.url)),
                (Some(url.to_owned()), Some(url.to_owned()))
            );
        }
        let config = read(r#"{"redis_url":"redis://one","limits":{"shared":{"url":"redis://two"}}}"#);
        assert_eq!(
            (shown(&config.limits.shared.url).unwrap(), shown(&config.language.shared.url).unwrap()),
            ("redis://two".to_owned(), "redis://one".to_owned())
        );
        assert_eq!(alone.limits.name, "browser", "another service on that server has limits of its own");
    }

    #[test]
    fn security_is_below_the_jobs_unless_it_says_where() {
        let mut config = BrowserConfig::default();
        config.validate().unwrap();
        config.jobs.folder = "/srv/jobs".into();
        assert_eq!(config.placed_security().folder, Path::new("/srv/jobs/security"));
        config.security.folder = "/etc/browser".into();
        assert_eq!(config.placed_security().folder, Path::new("/etc/browser"));
        config.security.folder = "".into();
        config.language.key_secret = Some("language/key".to_owned());
        let wrong = config.validate().unwrap_err().to_string();
        assert!(wrong.contains("security.folder") && wrong.contains("needs `security.enabled`"), "{wrong}");
    }

    #[test]
    fn what_is_no_redis_is_refused_without_its_password() {
        let text = r#"{"redis_url":"postgres://ann:hunter2@db"}"#;
        let config: BrowserConfig = serde_json::from_str(text).unwrap();
        let wrong = format!("{} {config:?}", config.validate().unwrap_err());
        assert!(wrong.contains("redis_url = postgres://ann:***@db") && !wrong.contains("hunter2"), "{wrong}");
    }
}
