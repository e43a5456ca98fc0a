//! Any text as a permission (the first line) and a policy: errors, or a policy that decides, says why, and reads back as it is
//! shown.

#![no_main]

use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use buttress_access::policy::{Attributes, Permission, Policy, PolicyConfig, Request, Resource, decide};
use buttress_access::{Names, Principal, PrincipalKind, TenantId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let Some((asked, text)) = input.split_once('\n') else { return };
    let config = toml::from_str::<PolicyConfig>(text).ok().or_else(|| serde_json::from_str(text).ok());
    let Some(config) = config else { return };
    let policy = match Policy::new(&config) {
        Ok(policy) => policy,
        Err(wrong) => {
            assert!(!wrong.to_string().is_empty());
            return;
        }
    };
    let shown = serde_json::to_string(&config).expect("a policy is JSON");
    assert_eq!(serde_json::from_str::<PolicyConfig>(&shown).expect("what is shown reads back"), config);

    let permission =
        Permission::new(asked).unwrap_or_else(|_| Permission::new("document:read").expect("it is one"));
    let (acme, other) =
        (TenantId::new("acme").expect("it is one"), TenantId::new("globex").expect("it is one"));
    let roles = Names::new(policy.roles().take(Names::MOST)).expect("roles have names");
    let ann = Principal::new(PrincipalKind::Session, "ann".try_into().expect("it is one"));
    let ann = ann.tenant(acme.clone()).roles(roles);
    let facts = Attributes::new().with("state", "draft").with("amount", 7).with("locked", true);
    let now = UNIX_EPOCH + Duration::from_secs(asked.len() as u64 * 3600);
    for (own, tenant) in [(true, &acme), (false, &other)] {
        let resource = Resource::of(tenant).owner("ann").attributes(&facts);
        let request = Request::new(Some(&ann), &permission, resource, now);
        let request =
            request.from_ip(IpAddr::from([10, 1, 2, 3])).principal_attributes(&facts).context(&facts);
        let decision = decide(&policy, &request);
        assert_eq!(decision.allowed(), decision.reason() == "allowed");
        assert!(own || !decision.allowed() || shown.contains("\"cross_tenant\":true"));
        assert_eq!(decision.to_string(), decide(&policy, &request).to_string());
        assert!(serde_json::to_value(decision).is_ok());
        if let Some(ground) = decision.ground() {
            assert!(!ground.role_path().is_empty());
        }
    }
});
