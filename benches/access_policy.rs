//! One decision by a policy of 100 roles and 1,000 rules: roles inherit in chains of ten, and the principal has three.
//!
//! `allowed` is found eight roles up, `denied` is asked for by no rule of the principal's roles, `condition` compares a number and an owner.
//!
//! There is no rival in it: Cedar would bring a hundred crates into every build, and casbin asks a script engine for each rule.

#![allow(clippy::unwrap_used, missing_docs)] // a bench that cannot run should stop; criterion's macros have no docs

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::UNIX_EPOCH;

use buttress_access::policy::{Attributes, Permission, Policy, PolicyConfig, Request, Resource, decide};
use buttress_access::{Names, Principal, PrincipalKind, TenantId};
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

fn decisions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decision, 100 roles, 1000 rules");
    ours(&mut group);
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
