//! Any policy decides as a naive reader of it would, and keeps the laws of roles.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::UNIX_EPOCH;

use buttress_access::policy::{
    Attribute, Attributes, Condition, EVERYONE, Kind, Permission, Policy, PolicyConfig, Request, Resource,
    RoleConfig, RuleConfig, Value, decide,
};
use buttress_access::{Names, Principal, PrincipalKind, TenantId};
use proptest::prelude::*;

const ROLES: [&str; 6] = ["a", "b", "c", "d", "e", EVERYONE];

/// Attributes that a request may bring or not.
#[derive(Debug, Clone)]
struct Asked {
    known: bool,
    tenant: Option<u8>,
    roles: BTreeSet<usize>,
    permission: String,
    resource: Option<u8>,
    owner: Option<bool>,
    number: Option<i64>,
    flag: Option<bool>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let own =
        (any::<bool>(), proptest::option::of(0..2_u8), proptest::collection::btree_set(0..6_usize, 0..4));
    let about = (proptest::option::of(0..2_u8), proptest::option::of(any::<bool>()));
    let facts = (proptest::option::of(0..4_i64), proptest::option::of(any::<bool>()));
    (own, "[xy](:[xy]){0,2}", about, facts).prop_map(
        |((known, tenant, roles), permission, (resource, owner), (number, flag))| Asked {
            known,
            tenant,
            roles,
            permission,
            resource,
            owner,
            number,
            flag,
        },
    )
}

fn attribute(text: &str) -> Attribute {
    text.parse().unwrap()
}

fn condition() -> impl Strategy<Value = Condition> {
    let (number, flag) = (|| attribute("resource.number"), || attribute("resource.flag"));
    let leaf = prop_oneof![
        Just(Condition::Owner),
        Just(Condition::SameTenant),
        any::<bool>()
            .prop_map(move |value| Condition::Equals { attribute: flag(), value: Value::Flag(value) }),
        (0..4_i64)
            .prop_map(move |value| Condition::Equals { attribute: number(), value: Value::Number(value) }),
        proptest::collection::vec(0..4_i64, 1..3).prop_map(move |values| Condition::OneOf {
            attribute: number(),
            values: values.into_iter().map(Value::Number).collect()
        }),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Condition::All),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Condition::Any),
            inner.prop_map(|part| Condition::Not(Box::new(part))),
        ]
    })
}

fn rule() -> impl Strategy<Value = RuleConfig> {
    let pattern = "([xy*]:){0,2}([xy*]|\\*\\*)";
    (pattern, proptest::option::of(condition()), any::<bool>()).prop_map(|(pattern, when, cross_tenant)| {
        let mut rule = RuleConfig::new(pattern);
        (rule.when, rule.cross_tenant) = (when, cross_tenant);
        rule
    })
}

/// Roles inherit only from those that come later, so there is no circle.
fn config() -> impl Strategy<Value = PolicyConfig> {
    let rules = || proptest::collection::vec(rule(), 0..4);
    let role =
        (rules(), proptest::collection::vec(rule(), 0..2), proptest::collection::vec(0..6_usize, 0..3));
    proptest::collection::vec(role, 6).prop_map(|roles| {
        let mut config = PolicyConfig::default();
        config.attributes =
            [(attribute("resource.number"), Kind::Number), (attribute("resource.flag"), Kind::Flag)].into();
        for (place, (allow, deny, parents)) in roles.into_iter().enumerate() {
            let mut role = RoleConfig::default();
            (role.allow, role.deny) = (allow, deny);
            role.inherits =
                parents.into_iter().filter(|up| *up > place).map(|up| ROLES[up].to_owned()).collect();
            config.roles.insert(ROLES[place].to_owned(), role);
        }
        config
    })
}

fn decided(policy: &PolicyConfig, asked: &Asked) -> (&'static str, Option<Vec<String>>) {
    let policy = Policy::new(policy).unwrap();
    let tenants = [TenantId::new("t0").unwrap(), TenantId::new("t1").unwrap()];
    let own = asked.tenant.map(|tenant| tenants[usize::from(tenant)].clone());
    let roles = Names::new(asked.roles.iter().map(|role| ROLES[*role])).unwrap();
    let ann = Principal::new(PrincipalKind::Session, "ann".try_into().unwrap()).tenant(own).roles(roles);
    let mut attributes = Attributes::new();
    if let Some(number) = asked.number {
        attributes = attributes.with("number", number);
    }
    if let Some(flag) = asked.flag {
        attributes = attributes.with("flag", flag);
    }
    let resource =
        asked.resource.map_or(Resource::shared(), |tenant| Resource::of(&tenants[usize::from(tenant)]));
    let resource = resource.attributes(&attributes);
    let resource = asked.owner.map_or(resource, |own| resource.owner(if own { "ann" } else { "bob" }));
    let permission = Permission::new(&asked.permission).unwrap();
    let request = Request::new(asked.known.then_some(&ann), &permission, resource, UNIX_EPOCH);
    let decision = decide(&policy, &request);
    let path = decision.ground().map(|ground| ground.role_path().into_iter().map(str::to_owned).collect());
    (decision.reason(), path)
}

/// All roles that come with these, each by brute force.
fn expand(config: &PolicyConfig, asked: &Asked) -> BTreeSet<String> {
    let mut held: BTreeSet<String> = BTreeSet::from([EVERYONE.to_owned()]);
    if asked.known {
        held.extend(asked.roles.iter().map(|role| ROLES[*role].to_owned()));
    }
    loop {
        let more: BTreeSet<String> =
            held.iter().flat_map(|role| config.roles[role].inherits.clone()).collect();
        if more.is_subset(&held) {
            return held;
        }
        held.extend(more);
    }
}

fn matches(pattern: &str, permission: &str) -> bool {
    let (pattern, asked): (Vec<_>, Vec<_>) = (pattern.split(':').collect(), permission.split(':').collect());
    if pattern.last() == Some(&"**") {
        let before = pattern.len() - 1;
        return asked.len() > before && (0..before).all(|n| pattern[n] == "*" || pattern[n] == asked[n]);
    }
    pattern.len() == asked.len() && pattern.iter().zip(asked).all(|(p, a)| *p == "*" || *p == a)
}

/// `None`: it cannot be known. Written as a table of the three values rather than as minimum and maximum.
fn holds(condition: &Condition, asked: &Asked) -> Option<bool> {
    match condition {
        Condition::All(parts) => {
            let all: Vec<_> = parts.iter().map(|part| holds(part, asked)).collect();
            if all.contains(&Some(false)) { Some(false) } else { (!all.contains(&None)).then_some(true) }
        }
        Condition::Any(parts) => {
            let all: Vec<_> = parts.iter().map(|part| holds(part, asked)).collect();
            if all.contains(&Some(true)) { Some(true) } else { (!all.contains(&None)).then_some(false) }
        }
        Condition::Not(part) => holds(part, asked).map(|holds| !holds),
        Condition::Owner if !asked.known => None,
        Condition::Owner => asked.owner.map(|own| own && asked.resource == asked.tenant),
        Condition::SameTenant => {
            Some(asked.known && asked.resource.is_some() && asked.resource == asked.tenant)
        }
        Condition::Equals { value: Value::Flag(value), .. } => asked.flag.map(|flag| flag == *value),
        Condition::Equals { value: Value::Number(value), .. } => asked.number.map(|number| number == *value),
        Condition::OneOf { values, .. } => asked.number.map(|number| values.contains(&Value::Number(number))),
        other => unreachable!("{other}"),
    }
}

fn model(config: &PolicyConfig, asked: &Asked) -> &'static str {
    let foreign = asked.resource.is_some() && (!asked.known || asked.resource != asked.tenant);
    let held = expand(config, asked);
    let of_held = |rules: fn(&RoleConfig) -> &Vec<RuleConfig>| {
        let all = held.iter().flat_map(move |role| rules(&config.roles[role]).clone());
        all.filter(|rule| matches(&rule.permission, &asked.permission)).collect::<Vec<_>>()
    };
    let truth = |rule: &RuleConfig| rule.when.as_ref().map_or(Some(true), |when| holds(when, asked));
    let mut allows = of_held(|role| &role.allow);
    allows.retain(|rule| !foreign || rule.cross_tenant);
    let allowed = allows.iter().any(|rule| truth(rule) == Some(true));
    let denied = of_held(|role| &role.deny).iter().any(|rule| truth(rule) != Some(false));
    match () {
        () if denied && (allowed || !foreign) => "forbidden",
        () if allowed => "allowed",
        () if !allows.is_empty() => "condition_unmet",
        () if foreign => "other_tenant",
        () => "no_rule",
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn it_decides_as_a_naive_reader(config in config(), asked in proptest::collection::vec(asked(), 8)) {
        for asked in asked {
            let (reason, path) = decided(&config, &asked);
            prop_assert_eq!(reason, model(&config, &asked), "{:?}", asked);
            prop_assert_eq!(decided(&config, &asked), (reason, path.clone()));
            // The way is one: from a role that is held, each inheriting from the next.
            if let Some(path) = path {
                let has = |role: &String| asked.known && asked.roles.iter().any(|held| ROLES[*held] == *role);
                prop_assert!(path[0] == EVERYONE || has(&path[0]));
                for step in path.windows(2) {
                    prop_assert!(config.roles[&step[0]].inherits.contains(&step[1]));
                }
            }
        }
    }

    #[test]
    fn one_more_rule_that_allows_never_denies(config in config(), more in rule(), role in 0..6_usize, asked in asked()) {
        let before = decided(&config, &asked).0 == "allowed";
        let mut config = config;
        config.roles.get_mut(ROLES[role]).unwrap().allow.push(more);
        prop_assert!(!before || decided(&config, &asked).0 == "allowed");
    }

    #[test]
    fn one_more_rule_that_denies_never_allows(config in config(), more in rule(), role in 0..6_usize, asked in asked()) {
        let before = decided(&config, &asked).0 == "allowed";
        let mut config = config;
        config.roles.get_mut(ROLES[role]).unwrap().deny.push(more);
        prop_assert!(before || decided(&config, &asked).0 != "allowed");
    }

    #[test]
    fn what_a_role_inherits_it_has_by_itself(config in config(), asked in asked()) {
        let flat: BTreeMap<String, RoleConfig> = config.roles.keys().map(|name| {
            let mut role = RoleConfig::default();
            let only = Asked { known: true, roles: ROLES.iter().position(|role| role == name).into_iter().collect(), ..asked.clone() };
            for held in expand(&config, &only).iter().filter(|held| *held != EVERYONE || name == EVERYONE) {
                role.allow.extend(config.roles[held].allow.clone());
                role.deny.extend(config.roles[held].deny.clone());
            }
            (name.clone(), role)
        }).collect();
        let mut without = config.clone();
        without.roles = flat;
        prop_assert_eq!(decided(&config, &asked).0, decided(&without, &asked).0);
    }

    #[test]
    fn no_name_of_a_tenant_opens_another(config in config(), asked in asked()) {
        let mut config = config;
        for role in config.roles.values_mut() {
            role.allow.iter_mut().for_each(|rule| rule.cross_tenant = false);
        }
        let own = asked.known.then_some(asked.tenant).flatten();
        if asked.resource.is_some() && asked.resource != own {
            prop_assert_eq!(decided(&config, &asked).0, "other_tenant");
        }
    }
}
