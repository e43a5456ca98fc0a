//! Who may ask for how much, as an operator writes it.

use std::collections::BTreeMap;
use std::time::Duration;

use buttress_connect::{Address, ConnectionConfig};
use buttress_core::{Cidr, Validate, Violations, units};
use serde::{Deserialize, Serialize};

use crate::penalty::PenaltyConfig;
use crate::{Limit, Policy};

/// Who may ask for how much.
///
/// | field | default | |
/// |---|---|---|
/// | `name` | `"default"` | in metrics, events and the names of shared keys |
/// | `tiers` | free `10/m`, `100/h`; pro `100/m`, `1000/h`; enterprise `1000/m`, `10000/h` | the limits of users and API keys, by tier |
/// | `default_tier` | `"free"` | the tier of a request that names none, or one that is not there |
/// | `anonymous` | `50/h` | for each address that asks without a user or API key |
/// | `known_address` | none | for each address that asks with one, all its users together |
/// | `routes` | none | see [`RouteConfig`]; by the name that requests give |
/// | `global` | none | all requests together |
/// | `penalties` | | see [`PenaltyConfig`] |
/// | `allow` | none | networks that are let in and not counted |
/// | `deny` | none | networks that are not let in; of both lists, the longest prefix says |
/// | `ipv6_prefix` | 64 | bits of an IPv6 address that make one caller |
/// | `shared` | | see [`SharedConfig`]: whether the state is shared with other processes |
/// | `max_keys` | 1000000 | callers remembered at most; see [`Limiter`](crate::Limiter) for what happens at the bound |
///
/// ```
/// use buttress_ratelimit::LimiterConfig;
///
/// let config: LimiterConfig = toml::from_str(
///     r#"
///     anonymous = ["20/h"]
///     global = ["5000/s gcra"]
///     allow = ["10.0.0.0/8"]
///
///     [tiers]
///     free = ["10/m", "100/h"]
///     pro = ["100/m", "1000/h", "10000/d"]
///
///     [routes.login]
///     limits = ["5/m"]
///     each_caller = true
///
///     [penalties]
///     ban_after_failures = 20
///     "#,
/// )?;
/// assert_eq!(config.tiers["pro"].limits().len(), 3);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LimiterConfig {
    /// In metrics, events and the names of shared keys.
    pub name: String,
    /// The limits of users and API keys, by tier.
    pub tiers: BTreeMap<String, Policy>,
    /// The tier of a request that names none, or one that is not there.
    pub default_tier: String,
    /// For each address that asks without a user or API key.
    pub anonymous: Policy,
    /// For each address that asks with one.
    pub known_address: Policy,
    /// By the name that requests give.
    pub routes: BTreeMap<String, RouteConfig>,
    /// All requests together.
    pub global: Policy,
    /// What becomes of those who do not keep to their limits.
    pub penalties: PenaltyConfig,
    /// Networks that are let in and not counted.
    pub allow: Vec<Cidr>,
    /// Networks that are not let in.
    pub deny: Vec<Cidr>,
    /// Bits of an IPv6 address that make one caller.
    pub ipv6_prefix: u8,
    /// Whether the state is shared with other processes.
    pub shared: SharedConfig,
    /// Callers remembered at most.
    pub max_keys: usize,
}

/// What holds for one route.
///
/// | field | default | |
/// |---|---|---|
/// | `limits` | none | the route's own limits |
/// | `each_caller` | false | whether each caller has these limits for itself; otherwise all together |
/// | `cost` | 1 | what a request over it costs, of all limits; multiplies what the request says |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RouteConfig {
    /// The route's own limits.
    pub limits: Policy,
    /// Whether each caller has these limits for itself.
    pub each_caller: bool,
    /// What a request over it costs.
    pub cost: u32,
}

impl RouteConfig {
    /// These limits for all callers together.
    #[must_use]
    pub fn new(limits: impl Into<Policy>) -> Self {
        Self { limits: limits.into(), ..Self::default() }
    }
}

impl Default for RouteConfig {
    fn default() -> Self {
        Self { limits: Policy::default(), each_caller: false, cost: 1 }
    }
}

impl Default for LimiterConfig {
    fn default() -> Self {
        let tier = |name: &str, minute, hour| {
            (name.to_owned(), Policy::from([Limit::per_minute(minute), Limit::per_hour(hour)]))
        };
        Self {
            name: "default".to_owned(),
            tiers: [tier("free", 10, 100), tier("pro", 100, 1_000), tier("enterprise", 1_000, 10_000)].into(),
            default_tier: "free".to_owned(),
            anonymous: Limit::per_hour(50).into(),
            known_address: Policy::default(),
            routes: BTreeMap::new(),
            global: Policy::default(),
            penalties: PenaltyConfig::default(),
            allow: Vec::new(),
            deny: Vec::new(),
            ipv6_prefix: 64,
            shared: SharedConfig::default(),
            max_keys: 1_000_000,
        }
    }
}

/// What is done while the shared state cannot be reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnUnavailable {
    /// Each process goes by its own counts, which begin when the shared ones are gone: `n` processes admit up to `n` times the limits
    /// meanwhile.
    #[default]
    Local,
    /// Everybody is admitted.
    Open,
    /// Nobody is admitted.
    Closed,
}

/// Whether the state is shared with other processes, and how.
///
/// | field | default | |
/// |---|---|---|
/// | `url` | none | `redis://…`: where the state is; none: in this process |
/// | `within` | `"50ms"` | how long a check waits for the server; the most that it adds to a request |
/// | `on_unavailable` | `"local"` | what is done while the server does not answer: `local`, `open`, `closed` |
/// | `retry_every` | `"1s"` | after three calls without an answer, one call each tries again |
/// | `lease_share` | 0 | what is left of a limit is handed out in blocks of one in so many; 0: each check asks the server |
/// | `lease_most` | 1000 | the largest block |
/// | `lease_keep` | `"2s"` | how long a block is used without asking the server |
/// | `connection` | | see [`ConnectionConfig`] |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SharedConfig {
    /// Where the state is.
    pub url: Option<Address>,
    /// How long a check waits for the server.
    #[serde(with = "units::duration")]
    pub within: Duration,
    /// What is done while the server does not answer.
    pub on_unavailable: OnUnavailable,
    /// How often it is tried again then.
    #[serde(with = "units::duration")]
    pub retry_every: Duration,
    /// What is left of a limit is handed out in blocks of one in so many.
    pub lease_share: u32,
    /// The largest block.
    pub lease_most: u32,
    /// How long a block is used without asking the server.
    #[serde(with = "units::duration")]
    pub lease_keep: Duration,
    /// How the server is spoken to.
    pub connection: ConnectionConfig,
}

impl Default for SharedConfig {
    fn default() -> Self {
        Self {
            url: None,
            within: Duration::from_millis(50),
            on_unavailable: OnUnavailable::Local,
            retry_every: Duration::from_secs(1),
            lease_share: 0,
            lease_most: 1_000,
            lease_keep: Duration::from_secs(2),
            connection: ConnectionConfig::default(),
        }
    }
}

impl Validate for SharedConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        if let Some(url) = &self.url {
            url.require_redis("url", &mut wrong);
        }
        let shown = units::format_duration;
        for (field, value, usual) in [
            ("within", self.within, "50ms"),
            ("retry_every", self.retry_every, "1s"),
            ("lease_keep", self.lease_keep, "2s"),
        ] {
            let sensible = (Duration::from_millis(1)..=Duration::from_mins(1)).contains(&value);
            let remedy = format!("must be \"1ms\" to \"1m\"; \"{usual}\" is usual");
            wrong.require(sensible, field, shown(value), remedy);
        }
        let share = self.lease_share <= 1_000_000;
        wrong.require(
            share,
            "lease_share",
            self.lease_share,
            "must be at most 1000000; four for each process is usual",
        );
        let most = (1..=1_000_000).contains(&self.lease_most);
        wrong.require(most, "lease_most", self.lease_most, "must be 1 to 1000000; 1000 is usual");
        wrong.nest("connection", &self.connection);
        wrong.into_result()
    }
}

/// Policies that a limiter can have, all together.
const MOST_POLICIES: usize = 1_000;

impl LimiterConfig {
    /// One policy for every caller, whoever it is, and no penalties.
    #[must_use]
    pub fn one(policy: impl Into<Policy>) -> Self {
        let policy = policy.into();
        Self {
            tiers: [("default".to_owned(), policy.clone())].into(),
            default_tier: "default".to_owned(),
            anonymous: policy,
            penalties: PenaltyConfig::none(),
            ..Self::default()
        }
    }
}

fn check_name(wrong: &mut Violations, field: &str, name: &str) {
    let sign =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '{' | '}' | '*');
    let holds = (1..=64).contains(&name.len()) && name.chars().all(sign);
    let quoted = format!("{name:?}");
    wrong.require(holds, field, quoted, "must be 1 to 64 letters, digits and `-_./:{}*`");
}

fn check_policy(wrong: &mut Violations, field: &str, policy: &Policy) {
    let limits = policy.limits();
    let shown = limits.iter().map(|limit| format!("\"{limit}\"")).collect::<Vec<_>>().join(", ");
    let few = limits.len() <= Policy::MOST;
    wrong.require(few, field, format!("[{shown}]"), format!("must be at most {} limits", Policy::MOST));
    for limit in limits {
        let holds = limit.quota() >= 1 && limit.at_once() >= 1;
        wrong.require(
            holds,
            field,
            format!("\"{limit}\""),
            "must admit something; use `deny` to keep somebody out",
        );
    }
}

impl Validate for LimiterConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let name = (1..=32).contains(&self.name.len()) && self.name.chars().all(sign);
        let quoted = format!("{:?}", self.name);
        wrong.require(name, "name", quoted, "must be 1 to 32 letters, digits, `-` and `_`");
        for (name, policy) in &self.tiers {
            check_name(&mut wrong, "tiers", name);
            check_policy(&mut wrong, &format!("tiers.{name}"), policy);
        }
        let known = self.tiers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let default = self.tiers.contains_key(&self.default_tier);
        let quoted = format!("{:?}", self.default_tier);
        wrong.require(default, "default_tier", quoted, format!("must be one of `tiers`: {known}"));
        check_policy(&mut wrong, "anonymous", &self.anonymous);
        check_policy(&mut wrong, "known_address", &self.known_address);
        check_policy(&mut wrong, "global", &self.global);
        for (name, route) in &self.routes {
            check_name(&mut wrong, "routes", name);
            check_policy(&mut wrong, &format!("routes.{name}.limits"), &route.limits);
            let cost = (1..=1_000_000).contains(&route.cost);
            wrong.require(
                cost,
                &format!("routes.{name}.cost"),
                route.cost,
                "must be 1 to 1000000; 1 is usual",
            );
        }
        let policies = self.tiers.len() + self.routes.len();
        let few = policies <= MOST_POLICIES;
        wrong.require(few, "routes", policies, format!("must be at most {MOST_POLICIES} with the tiers"));
        wrong.nest("penalties", &self.penalties);
        wrong.nest("shared", &self.shared);
        let prefix = (1..=128).contains(&self.ipv6_prefix);
        wrong.require(prefix, "ipv6_prefix", self.ipv6_prefix, "must be 1 to 128; 64 is usual");
        let keys = (1..=1_000_000_000).contains(&self.max_keys);
        wrong.require(keys, "max_keys", self.max_keys, "must be 1 to 1000000000; 1000000 is usual");
        wrong.into_result()
    }
}
