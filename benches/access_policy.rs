//! One decision by a policy of 100 roles and 1,000 rules: roles inherit in chains of ten, and the principal has three.
//!
//! `allowed` is found eight roles up, `denied` is asked for by no rule of the principal's roles, `condition` compares a number and an owner.

#![allow(clippy::unwrap_used, missing_docs)] // a bench that cannot run should stop; criterion's macros have no docs

use std::fmt::Write as _;
use std::hint::black_box;
use std::str::FromStr;
use std::time::UNIX_EPOCH;

use buttress_access::policy::{Attributes, Permission, Policy, PolicyConfig, Request, Resource, decide};
use buttress_access::{Names, Principal, PrincipalKind, TenantId};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicySet, RestrictedExpression,
};
use criterion::{Criterion, criterion_group, criterion_main};

/// As in the services.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROLES: usize = 100;
const RULES: usize = 10;
const CHAIN: usize = 10;
/// The principal's, the first of their chains.
const HELD: [usize; 3] = [0, 30, 60];

fn parent(role: usize) -> Option<usize> {
    (!(role + 1).is_multiple_of(CHAIN)).then_some(role + 1)
}

fn ours(group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>) {
    let mut text = "[attributes]\n\"resource.size\" = \"number\"\n".to_owned();
    for role in 0..ROLES {
        let parent = parent(role).map(|parent| format!("\"r{parent:02}\"")).unwrap_or_default();
        write!(text, "[roles.r{role:02}]\ninherits = [{parent}]\nallow = [").unwrap();
        for rule in 0..RULES {
            write!(text, "\"k{role}-{rule}:read\", ").unwrap();
        }
        text.push_str("]\n");
    }
    let when =
        "{ all = [\"owner\", { compare = { left = \"resource.size\", is = \"below\", right = 100 } }] }";
    let plain = "\"k38-5:read\", ";
    let text =
        text.replacen(plain, &format!("{plain}{{ permission = \"k38-5:write\", when = {when} }}, "), 1);
    let config: PolicyConfig = toml::from_str(&text).unwrap();
    let policy = Policy::new(&config).unwrap();
    let tenant = TenantId::new("acme").unwrap();
    let roles = Names::new(HELD.map(|role| format!("r{role:02}"))).unwrap();
    let ann =
        Principal::new(PrincipalKind::Session, "ann".try_into().unwrap()).tenant(tenant.clone()).roles(roles);
    let attributes = Attributes::new().with("size", 7);
    for (name, permission, allowed) in
        [("allowed", "k38-5:read", true), ("denied", "k18-5:read", false), ("condition", "k38-5:write", true)]
    {
        let permission = Permission::new(permission).unwrap();
        let resource = Resource::of(&tenant).owner("ann").attributes(&attributes);
        let request = Request::new(Some(&ann), &permission, resource, UNIX_EPOCH);
        assert_eq!(decide(&policy, &request).allowed(), allowed);
        group.bench_function(format!("buttress, {name}"), |bencher| {
            bencher.iter(|| decide(black_box(&policy), black_box(&request)).allowed());
        });
    }
}

fn cedar(group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>) {
    let uid = |kind: &str, name: &str| EntityUid::from_str(&format!("{kind}::\"{name}\"")).unwrap();
    let mut text = String::new();
    for role in 0..ROLES {
        for rule in 0..RULES {
            let what = format!("resource in Kind::\"k{role}-{rule}\"");
            writeln!(text, "permit (principal in Role::\"r{role:02}\", action == Action::\"read\", {what});")
                .unwrap();
        }
    }
    let what = "resource in Kind::\"k38-5\"";
    let when = "resource.owner == principal && resource.size < 100";
    writeln!(
        text,
        "permit (principal in Role::\"r38\", action == Action::\"write\", {what}) when {{ {when} }};"
    )
    .unwrap();
    let policies = PolicySet::from_str(&text).unwrap();
    let role = |role: usize| {
        let parents = parent(role).map(|parent| uid("Role", &format!("r{parent:02}"))).into_iter().collect();
        Entity::new_no_attrs(uid("Role", &format!("r{role:02}")), parents)
    };
    let held = HELD.map(|role| uid("Role", &format!("r{role:02}"))).into();
    let ann = Entity::new_no_attrs(uid("User", "ann"), held);
    let document = |kind: &str| {
        let owner = RestrictedExpression::new_entity_uid(uid("User", "ann"));
        let attributes =
            [("owner".to_owned(), owner), ("size".to_owned(), RestrictedExpression::new_long(7))];
        Entity::new(uid("Document", kind), attributes.into(), [uid("Kind", kind)].into()).unwrap()
    };
    let documents = ["k38-5", "k18-5"].map(document);
    let entities = Entities::from_entities((0..ROLES).map(role).chain([ann]).chain(documents), None).unwrap();
    let authorizer = Authorizer::new();
    for (name, action, kind, expected) in [
        ("allowed", "read", "k38-5", Decision::Allow),
        ("denied", "read", "k18-5", Decision::Deny),
        ("condition", "write", "k38-5", Decision::Allow),
    ] {
        let (who, action, what) = (uid("User", "ann"), uid("Action", action), uid("Document", kind));
        let request = cedar_policy::Request::new(who, action, what, Context::empty(), None).unwrap();
        assert_eq!(authorizer.is_authorized(&request, &policies, &entities).decision(), expected);
        group.bench_function(format!("cedar-policy, {name}"), |bencher| {
            bencher.iter(|| authorizer.is_authorized(black_box(&request), &policies, &entities).decision());
        });
    }
}

fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decision, 100 roles, 1000 rules");
    ours(&mut group);
    cedar(&mut group);
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
