//! One check: a probe, when to ask it, and what its answer is worth.

use std::time::Duration;

use buttress_core::{DynProbe, Probe};

/// What a report is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Group {
    /// Should the process be restarted? Never depends on anybody else.
    Live,
    /// Should it get requests now?
    Ready,
    /// Has it started?
    Startup,
    /// Everything, for people.
    All,
}

impl Group {
    /// The group as a metric label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ready => "ready",
            Self::Startup => "startup",
            Self::All => "all",
        }
    }
}

/// A probe in a group, with its own schedule where the default of [`HealthConfig`](crate::HealthConfig) does not fit.
///
/// ```
/// use buttress_core::{Probe, Vitality};
/// use buttress_health::Check;
/// use std::time::Duration;
///
/// struct Disk;
///
/// impl Probe for Disk {
///     fn name(&self) -> &str { "disk" }
///     async fn check(&self) -> Vitality { Vitality::Pass }
/// }
///
/// let check = Check::ready(Disk).optional().interval(Duration::from_secs(60));
/// assert_eq!(check.name(), "disk");
/// ```
#[derive(Debug, Clone)]
pub struct Check {
    pub(crate) probe: DynProbe,
    pub(crate) group: Group,
    pub(crate) required: bool,
    pub(crate) interval: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
}

impl Check {
    /// Requests should come only while this passes.
    pub fn ready(probe: impl Probe) -> Self {
        Self::new(probe, Group::Ready)
    }

    /// The process has started only once this has passed.
    pub fn startup(probe: impl Probe) -> Self {
        Self::new(probe, Group::Startup)
    }

    /// The process should be restarted when this fails. It must look only at the process itself: a check of something
    /// that others share restarts all replicas at once.
    pub fn live(probe: impl Probe) -> Self {
        Self::new(probe, Group::Live)
    }

    fn new(probe: impl Probe, group: Group) -> Self {
        Self { probe: DynProbe::new(probe), group, required: true, interval: None, timeout: None }
    }

    /// A failure is only a warning: the service works without it, if less well.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// Runs the check at its own interval.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// Gives the check its own time limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The probe's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.probe.name()
    }
}
