//! A configuration that was checked, with what resolves its names.

use std::fmt;
use std::sync::{Arc, LazyLock};

use buttress_core::{SharedClock, SystemClock, Validate};

use super::config::UrlConfig;
use super::hosts::HostRules;
use super::resolve::{Resolve, SystemResolver};
use super::safe::SafeUrl;
use crate::error::{Error, Invalid, Result};

/// Which URLs are taken, and how names are resolved. Cheap to clone; the default takes what is public.
#[derive(Clone)]
pub struct UrlPolicy {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) config: UrlConfig,
    pub(super) rules: HostRules,
    pub(super) resolver: Arc<dyn Resolve>,
    pub(super) clock: SharedClock,
}

/// Shared, so that its resolver's limit of lookups holds for the process.
static PUBLIC: LazyLock<UrlPolicy> = LazyLock::new(|| UrlPolicy {
    inner: Arc::new(Inner {
        config: UrlConfig::default(),
        rules: HostRules::default(),
        resolver: Arc::new(SystemResolver::default()),
        clock: SystemClock::shared(),
    }),
});

impl Default for UrlPolicy {
    fn default() -> Self {
        PUBLIC.clone()
    }
}

impl fmt::Debug for UrlPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UrlPolicy").field(&self.inner.config).finish()
    }
}

impl UrlPolicy {
    /// A policy by `config`, with the system's resolver.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when a field is out of its range.
    pub fn new(config: UrlConfig) -> Result<Self> {
        Self::with(config, Arc::new(SystemResolver::default()), SystemClock::shared())
    }

    /// A policy by `config` with a resolver and a clock of the application.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when a field is out of its range.
    pub fn with(config: UrlConfig, resolver: Arc<dyn Resolve>, clock: SharedClock) -> Result<Self> {
        config.validate().map_err(Error::Config)?;
        let rules = HostRules {
            only: config.only.clone(),
            allow: config.allow.clone(),
            deny: config.deny.clone(),
            ports: config.ports.clone(),
        };
        Ok(Self { inner: Arc::new(Inner { config, rules, resolver, clock }) })
    }

    /// What it decides by.
    #[must_use]
    pub fn config(&self) -> &UrlConfig {
        &self.inner.config
    }

    /// Reads and judges a URL. Its name is not resolved yet: [`SafeUrl::resolve`] does that for each connection.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn parse(&self, text: &str) -> Result<SafeUrl, Invalid> {
        SafeUrl::read(text, self)
    }
}
