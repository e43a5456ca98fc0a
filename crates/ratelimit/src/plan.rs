//! A configuration made ready: names resolved, divisions prepared.

use std::collections::HashMap;
use std::sync::Arc;

use buttress_core::units;

use crate::access::AccessList;
use crate::algorithm::{
    Algorithm, Divider, FixedWindow, Gcra, Nanos, SlidingCounter, SlidingLog, TokenBucket,
};
use crate::penalty::Penalties;
use crate::{Limit, LimiterConfig, Policy, Request};

/// A limit's rule, whichever it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Counted {
    Counter(SlidingCounter),
    Log(SlidingLog),
    Gcra(Gcra),
    Bucket(TokenBucket),
    Fixed(FixedWindow),
}

impl Counted {
    fn new(limit: &Limit) -> Self {
        let (quota, window) = (limit.quota(), limit.window());
        match limit.counted_by() {
            Algorithm::SlidingCounter => Self::Counter(SlidingCounter::new(quota, window)),
            Algorithm::SlidingLog => Self::Log(SlidingLog::new(quota, window)),
            Algorithm::Gcra => Self::Gcra(Gcra::new(quota, window, limit.at_once())),
            Algorithm::TokenBucket => Self::Bucket(TokenBucket::new(quota, window, limit.at_once())),
            Algorithm::FixedWindow => Self::Fixed(FixedWindow::new(quota, window)),
        }
    }
}

/// A limit made ready.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) rule: Counted,
    pub(crate) quota: u32,
    pub(crate) length: Nanos,
    pub(crate) limit: Limit,
    /// The name under which clients are told of it: `free-1m`.
    pub(crate) name: Arc<str>,
}

/// As many limits as one entry of the table counts, and which kind of state it holds then.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) windows: [Option<Window>; 2],
    pub(crate) shape: Shape,
}

/// Which kinds of state an entry holds; an index into [`Plan::shapes`]. Limits of the same algorithm and window have the same, so that
/// what was counted still counts when a caller comes to another tier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shape(pub(crate) u16);

/// A policy made ready.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// There is at least one, so that penalties have a place.
    pub(crate) parts: Box<[Part]>,
    /// Whether the first part is counted in the subject's own entry, beside its penalties. Every subject has one kind of state there; what has
    /// another is counted in entries apart, so that nobody is rid of what was counted by asking in another way in between.
    pub(crate) at_home: bool,
    /// Tells policies apart whose state is of the same kind, and that count for themselves.
    pub(crate) group: u8,
}

impl Rules {
    pub(crate) fn is_empty(&self) -> bool {
        self.windows().next().is_none()
    }

    /// The entry in which the first part is counted, without its limits.
    fn home(&self) -> Part {
        let shape = self.parts.first().map_or(Shape::default(), |part| part.shape);
        Part { windows: [None, None], shape }
    }

    pub(crate) fn windows(&self) -> impl Iterator<Item = &Window> {
        self.parts.iter().flat_map(|part| part.windows.iter().flatten())
    }
}

/// A route made ready.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) rules: Rules,
    pub(crate) each_caller: bool,
    pub(crate) cost: u32,
}

/// A configuration made ready.
#[derive(Debug)]
pub(crate) struct Plan {
    tiers: Box<[(Box<str>, Rules)]>,
    default_tier: Rules,
    pub(crate) anonymous: Rules,
    pub(crate) known_address: Rules,
    /// The entry of a user or an API key, where only its penalties are asked for.
    pub(crate) home: Part,
    /// The same of an address.
    pub(crate) address_home: Part,
    pub(crate) routes: HashMap<Box<str>, Route>,
    pub(crate) global: Rules,
    /// Whether there is a global limit.
    pub(crate) limits_all: bool,
    pub(crate) penalties: Option<Penalties>,
    pub(crate) access: AccessList,
    pub(crate) ipv6_prefix: u8,
    pub(crate) shapes: Shapes,
    /// Whether a clock that is some milliseconds behind would be noticed.
    pub(crate) exact_time: bool,
}

/// The kinds of state there are.
#[derive(Debug, Default)]
pub(crate) struct Shapes(Vec<[Option<(Limit, Counted)>; 2]>);

impl Shapes {
    /// The rules by which a state of this kind is read; whatever their quotas are.
    pub(crate) fn rules(&self, shape: Shape) -> impl Iterator<Item = Option<&Counted>> {
        let rules = self.0.get(usize::from(shape.0));
        rules.into_iter().flatten().map(|rule| rule.as_ref().map(|(_, counted)| counted))
    }

    fn of(&mut self, windows: &[Option<Window>; 2]) -> Shape {
        let alike = |one: &Option<(Limit, Counted)>, other: &Option<Window>| match (one, other) {
            (None, None) => true,
            (Some((one, _)), Some(other)) => {
                one.counted_by() == other.limit.counted_by() && one.window() == other.limit.window()
            }
            _ => false,
        };
        let known =
            self.0.iter().position(|shape| shape.iter().zip(windows).all(|(one, other)| alike(one, other)));
        let index = known.unwrap_or_else(|| {
            self.0.push(
                windows.each_ref().map(|window| window.as_ref().map(|window| (window.limit, window.rule))),
            );
            self.0.len() - 1
        });
        // There are fewer policies than that.
        Shape(u16::try_from(index).unwrap_or(u16::MAX))
    }
}

impl Plan {
    pub(crate) fn new(config: &LimiterConfig) -> Self {
        let mut shapes = Shapes::default();
        let mut ready = |name: &str, policy: &Policy| rules(name, policy, &mut shapes);
        // The kind of state of an entry that only has penalties comes first: it is what an entry is made with.
        let none = ready("none", &Policy::default());
        let tiers: Box<[_]> =
            config.tiers.iter().map(|(name, policy)| (name.as_str().into(), ready(name, policy))).collect();
        let mut tiers = tiers;
        let home = find(&tiers, &config.default_tier).unwrap_or(&none).home();
        for (_, rules) in &mut tiers {
            rules.at_home = rules.home().shape == home.shape;
        }
        let default_tier = find(&tiers, &config.default_tier).cloned().unwrap_or(none);
        let anonymous = ready("anonymous", &config.anonymous);
        let known_address = Rules { at_home: false, group: 1, ..ready("address", &config.known_address) };
        let address_home = anonymous.home();
        let routes = config
            .routes
            .iter()
            .map(|(name, route)| {
                let rules = ready(name, &route.limits);
                (
                    name.as_str().into(),
                    Route { rules, each_caller: route.each_caller, cost: route.cost.max(1) },
                )
            })
            .collect();
        let global = ready("global", &config.global);
        let mut plan = Self {
            tiers,
            default_tier,
            anonymous,
            known_address,
            home,
            address_home,
            routes,
            limits_all: !global.is_empty(),
            global,
            penalties: config.penalties.enabled.then(|| Penalties::new(&config.penalties)),
            access: AccessList::new(&config.allow, &config.deny),
            ipv6_prefix: config.ipv6_prefix,
            shapes,
            exact_time: false,
        };
        let exact = plan.all_rules().flat_map(Rules::windows).any(|window| window.limit.needs_exact_time());
        plan.exact_time = exact;
        plan
    }

    /// Whether an entry with one limit and no penalties will do.
    pub(crate) fn is_narrow(&self) -> bool {
        self.penalties.is_none() && self.shapes.0.iter().all(|[_, second]| second.is_none())
    }

    fn all_rules(&self) -> impl Iterator<Item = &Rules> {
        let tiers = self.tiers.iter().map(|(_, rules)| rules);
        let routes = self.routes.values().map(|route| &route.rules);
        tiers.chain(routes).chain([&self.anonymous, &self.known_address, &self.global])
    }

    /// The name of a tier; none where there is none of that name.
    #[cfg(feature = "redis")]
    pub(crate) fn tier_name<'n>(&self, name: Option<&'n str>) -> &'n str {
        name.filter(|name| find(&self.tiers, name).is_some()).unwrap_or("")
    }

    /// What a request costs that asks for `cost`: routes may cost more.
    pub(crate) fn cost(&self, request: &Request<'_>, cost: u32) -> u32 {
        let route = request.route.and_then(|name| self.routes.get(name));
        route.map_or(cost, |route| cost.saturating_mul(route.cost))
    }

    /// The rules of a tier, and whether it is there; the default tier's if not.
    #[inline]
    pub(crate) fn tier(&self, name: Option<&str>) -> (&Rules, bool) {
        match name {
            None => (&self.default_tier, true),
            Some(name) => match find(&self.tiers, name) {
                Some(rules) => (rules, true),
                None => (&self.default_tier, false),
            },
        }
    }
}

/// Tiers are few: looking at each is faster than any table.
#[inline]
fn find<'a>(tiers: &'a [(Box<str>, Rules)], name: &str) -> Option<&'a Rules> {
    tiers.iter().find(|(tier, _)| **tier == *name).map(|(_, rules)| rules)
}

fn rules(name: &str, policy: &Policy, shapes: &mut Shapes) -> Rules {
    let limits = policy.limits();
    let windows: Vec<Window> = limits.iter().take(Policy::MOST).map(|limit| window(name, limit)).collect();
    let mut part = |windows: &[Window]| {
        let windows = [windows.first().cloned(), windows.get(1).cloned()];
        Part { shape: shapes.of(&windows), windows }
    };
    let parts = if windows.is_empty() { [part(&[])].into() } else { windows.chunks(2).map(part).collect() };
    Rules { parts, at_home: true, group: 0 }
}

fn window(policy: &str, limit: &Limit) -> Window {
    let length = Divider::new(u64::try_from(limit.window().as_nanos()).unwrap_or(u64::MAX)).by();
    Window {
        rule: Counted::new(limit),
        quota: limit.quota(),
        length,
        limit: *limit,
        name: format!("{policy}-{}", units::format_duration(limit.window())).into(),
    }
}
