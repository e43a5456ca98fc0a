//! What policies decide, by the tables of what people expect of them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod office;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use buttress_access::policy::{Attributes, Permission, Policy, Request, Resource, decide};
use buttress_access::{Names, Principal, PrincipalKind, TenantId};
use office::OFFICE;

/// Who asks: roles and scopes, department, limit, groups.
struct Asked {
    principal: Option<Principal>,
    about: Attributes,
    tenant: Option<TenantId>,
    owner: Option<&'static str>,
    resource: Attributes,
    context: Attributes,
    now: SystemTime,
    address: Option<&'static str>,
}

fn acme() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn by(roles: &[&str]) -> Asked {
    let ann = Principal::new(PrincipalKind::Session, "ann".try_into().unwrap()).tenant(acme());
    Asked {
        principal: Some(ann.roles(Names::new(roles).unwrap())),
        about: Attributes::new(),
        tenant: Some(acme()),
        owner: None,
        resource: Attributes::new(),
        context: Attributes::new(),
        now: UNIX_EPOCH + Duration::from_hours(12), // Thursday noon
        address: None,
    }
}

impl Asked {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn owned(self, owner: &'static str) -> Self {
        self.with(|asked| asked.owner = Some(owner))
    }

    fn who(self, change: impl FnOnce(Principal) -> Principal) -> Self {
        self.with(|asked| asked.principal = asked.principal.take().map(change))
    }

    fn state(self, state: &str) -> Self {
        self.with(|asked| asked.resource = asked.resource.clone().with("state", state))
    }

    fn amount(self, amount: i64) -> Self {
        self.with(|asked| asked.resource = asked.resource.clone().with("amount", amount))
    }

    fn of(self, tenant: Option<&str>) -> Self {
        self.with(|asked| asked.tenant = tenant.map(|tenant| TenantId::new(tenant).unwrap()))
    }

    fn at(self, hours: u64) -> Self {
        self.with(|asked| asked.now = UNIX_EPOCH + Duration::from_hours(hours))
    }

    fn from(self, address: &'static str) -> Self {
        self.with(|asked| asked.address = Some(address))
    }
}

fn policy() -> Policy {
    Policy::new(&toml::from_str(OFFICE).unwrap()).unwrap()
}

fn told(policy: &Policy, asked: &Asked, permission: &str) -> (&'static str, String, serde_json::Value) {
    let permission = Permission::new(permission).unwrap();
    let resource =
        asked.tenant.as_ref().map_or(Resource::shared(), Resource::of).attributes(&asked.resource).id("7");
    let resource = asked.owner.map_or(resource, |owner| resource.owner(owner));
    let request = Request::new(asked.principal.as_ref(), &permission, resource, asked.now)
        .principal_attributes(&asked.about)
        .context(&asked.context);
    let request = asked.address.map_or(request, |address| request.from_ip(address.parse().unwrap()));
    let decision = decide(policy, &request);
    assert_eq!(decision.allowed(), decision.reason() == "allowed");
    (decision.reason(), decision.to_string(), serde_json::to_value(decision).unwrap())
}

#[test]
#[allow(clippy::too_many_lines, reason = "it is a table")]
fn what_people_expect() {
    let (yes, no_rule, unmet) = ("allowed", "no_rule", "condition_unmet");
    let (forbidden, other) = ("forbidden", "other_tenant");
    let (viewer, editor, clerk) = (|| by(&["viewer"]), || by(&["editor"]), || by(&["clerk"]));
    let (admin, support) = (|| by(&["admin"]), || by(&["support"]));
    let nobody = || by(&[]).with(|asked| asked.principal = None);
    let about = |name: &'static str, value: &'static str| {
        clerk().with(|asked| asked.about = Attributes::new().with(name, value))
    };
    let limit = |limit: i64| clerk().with(|asked| asked.about = Attributes::new().with("limit", limit));
    let groups = |groups: &[&str]| {
        let groups = groups.iter().copied().collect::<buttress_access::policy::Value>();
        clerk().with(|asked| asked.about = Attributes::new().with("groups", groups))
    };
    let readers = |asked: Asked, readers: &[&str]| {
        let readers = readers.iter().copied().collect::<buttress_access::policy::Value>();
        asked.with(|asked| asked.resource = Attributes::new().with("readers", readers))
    };
    let locked =
        |asked: Asked, locked: bool| asked.with(|a| a.resource = a.resource.clone().with("locked", locked));
    let scope = |asked: Asked, scope: &str| asked.who(|who| who.scopes(Names::new([scope]).unwrap()));
    let homeless = |asked: Asked| asked.who(|who| who.tenant(None));
    let table = vec![
        // Default deny, and plain grants.
        (by(&[]), "document:read", no_rule),
        (by(&["unknown"]), "document:read", no_rule),
        (viewer(), "document:read", yes),
        (viewer(), "document:write", no_rule),
        (viewer(), "Document:read", no_rule),
        (viewer(), "document", no_rule),
        (viewer(), "document:read:all", no_rule),
        (viewer(), "folder:read", yes),
        (viewer(), "folder:delete", yes),
        (viewer(), "folder", no_rule),
        (viewer(), "folder:sub:read", no_rule),
        // Inheritance goes up, not down, over more than one step, and by every way.
        (editor(), "document:read", yes),
        (editor(), "document:write", yes),
        (editor(), "folder:list", yes),
        (editor(), "invoice:pay", no_rule),
        (admin(), "document:read", yes),
        (by(&["viewer", "clerk"]), "document:read", yes),
        (by(&["viewer", "clerk"]), "document:write", no_rule),
        // Everybody.
        (nobody(), "page:read", yes),
        (by(&[]), "page:read", yes),
        (nobody().of(None), "page:read", yes),
        (by(&[]).of(Some("globex")), "page:read", yes),
        (nobody(), "page:write", other),
        (nobody().of(None), "page:write", no_rule),
        (nobody().of(None), "document:read", no_rule),
        // Owner and state; a lock that is not known denies, whatever else would hold.
        (editor().owned("ann").state("draft"), "document:delete", forbidden),
        (locked(editor().owned("ann").state("draft"), false), "document:delete", yes),
        (locked(editor().owned("ann").state("draft"), true), "document:delete", forbidden),
        (locked(editor().owned("bob").state("draft"), false), "document:delete", unmet),
        (locked(editor().owned("ann").state("final"), false), "document:delete", unmet),
        (locked(editor().state("draft"), false), "document:delete", unmet),
        (locked(editor().owned("ann"), false), "document:delete", unmet),
        (locked(viewer().owned("ann").state("draft"), false), "document:delete", no_rule),
        (locked(admin(), false), "document:delete", yes),
        (locked(admin(), true), "document:delete", forbidden),
        (admin(), "document:delete", forbidden),
        (homeless(editor().of(None).owned("ann")), "document:approve", unmet),
        (editor().of(None).owned("ann"), "document:approve", yes),
        // Somebody else approves; who it is of has to be known.
        (editor().owned("bob"), "document:approve", yes),
        (editor().owned("ann"), "document:approve", unmet),
        (editor(), "document:approve", unmet),
        // One of several values.
        (editor().state("draft"), "document:publish", yes),
        (editor().state("review"), "document:publish", yes),
        (editor().state("Draft"), "document:publish", unmet),
        (editor().state(""), "document:publish", unmet),
        (editor(), "document:publish", unmet),
        // One of two conditions.
        (editor().owned("ann"), "document:share", yes),
        (readers(editor().owned("bob"), &["bob", "ann"]), "document:share", yes),
        (readers(editor().owned("bob"), &["bob"]), "document:share", unmet),
        (readers(editor(), &["ann"]), "document:share", yes),
        (readers(editor(), &[]), "document:share", unmet),
        (editor().owned("bob"), "document:share", unmet),
        // Numbers.
        (limit(100).amount(100), "invoice:pay", yes),
        (limit(100).amount(99), "invoice:pay", yes),
        (limit(100).amount(101), "invoice:pay", unmet),
        (limit(-5).amount(-5), "invoice:pay", yes),
        (limit(i64::MAX).amount(i64::MIN), "invoice:pay", yes),
        (limit(100), "invoice:pay", unmet),
        (clerk().amount(1), "invoice:pay", unmet),
        (about("limit", "100").amount(1), "invoice:pay", unmet),
        (clerk().amount(99), "invoice:small", yes),
        (clerk().amount(100), "invoice:small", unmet),
        (clerk().amount(101), "invoice:large", yes),
        (clerk().amount(100), "invoice:large", unmet),
        (clerk().amount(100), "invoice:round", yes),
        (clerk().amount(99), "invoice:round", unmet),
        // Attributes beside one another, and sets.
        (
            about("department", "sales").with(|a| a.resource = Attributes::new().with("department", "sales")),
            "invoice:read",
            yes,
        ),
        (
            about("department", "sales").with(|a| a.resource = Attributes::new().with("department", "legal")),
            "invoice:read",
            unmet,
        ),
        (about("department", "sales"), "invoice:read", unmet),
        (clerk(), "invoice:read", unmet),
        (groups(&["legal"]), "contract:read", yes),
        (groups(&["sales", "legal"]), "contract:read", yes),
        (groups(&["legals", "lega"]), "contract:read", unmet),
        (groups(&[]), "contract:read", unmet),
        (about("groups", "legal"), "contract:read", unmet),
        (clerk(), "contract:read", unmet),
        // Hours: 1970-01-01 was a Thursday.
        (clerk().at(8), "till:open", yes),
        (clerk().at(7), "till:open", unmet),
        (clerk().at(17), "till:open", yes),
        (clerk().at(18), "till:open", unmet),
        (clerk().at(24 + 9), "till:open", yes),
        (clerk().at(48 + 9), "till:open", unmet),
        (clerk().at(7 * 24 + 9), "till:open", yes),
        // Over midnight, an hour east: from 21:00 to 01:00 UTC, begun on a Thursday there.
        (clerk().at(21), "vault:open", yes),
        (clerk().at(20), "vault:open", unmet),
        (clerk().at(24), "vault:open", yes),
        (clerk().at(25), "vault:open", unmet),
        (clerk().at(45), "vault:open", unmet),
        (clerk().at(0), "vault:open", unmet),
        // Dates.
        (clerk().at(23), "sale:join", unmet),
        (clerk().at(24), "sale:join", yes),
        (clerk().at(47), "sale:join", yes),
        (clerk().at(48), "sale:join", unmet),
        // Networks.
        (clerk().from("10.1.2.3"), "office:enter", yes),
        (clerk().from("::ffff:10.1.2.3"), "office:enter", yes),
        (clerk().from("fd00::1"), "office:enter", yes),
        (clerk().from("192.0.2.1"), "office:enter", unmet),
        (clerk().from("fe80::1"), "office:enter", unmet),
        (clerk(), "office:enter", unmet),
        // Scopes, kinds, the request's own attributes.
        (scope(clerk(), "api"), "api:call", yes),
        (scope(clerk(), "other"), "api:call", unmet),
        (clerk(), "api:call", unmet),
        (clerk().with(|a| a.context = Attributes::new().with("channel", "web")), "web:call", yes),
        (clerk().with(|a| a.context = Attributes::new().with("channel", "bulk")), "web:call", unmet),
        (clerk(), "key:use", unmet),
        (
            clerk().who(|who| Principal::new(PrincipalKind::ApiKey, who.id).roles(who.roles)).of(None),
            "key:use",
            yes,
        ),
        (clerk(), "own:see", yes),
        (clerk().of(None), "own:see", unmet),
        // Tenants.
        (viewer().of(Some("globex")), "document:read", other),
        (viewer().of(Some("Acme")), "document:read", other),
        (admin().of(Some("globex")), "document:read", other),
        (homeless(admin()), "document:read", other),
        (homeless(viewer()).of(None), "document:read", yes),
        (viewer().of(None), "document:read", yes),
        (support().of(Some("globex")), "document:read", yes),
        (support().of(Some("globex")), "document:write", other),
        (by(&["support", "editor"]).of(Some("globex")), "document:write", other),
        (homeless(support()), "document:read", yes),
        (support().of(Some("globex")), "ticket:close", unmet),
        (scope(support().of(Some("globex")), "support"), "ticket:close", yes),
        (scope(support().of(Some("globex")), "support"), "ticket:eu:close", yes),
        (scope(support().of(Some("globex")), "support"), "ticket", other),
        // Wildcards of more than one segment, and what denies of them.
        (admin(), "anything", yes),
        (admin(), "anything:at:all", yes),
        (admin(), "audit:log:delete", forbidden),
        (admin(), "audit:log:read", yes),
        (admin(), "audit:delete", yes),
        (admin(), "audit:log:old:delete", yes),
    ];
    assert!(table.len() >= 100, "{}", table.len());
    let policy = policy();
    for (number, (asked, permission, expected)) in table.iter().enumerate() {
        let (reason, text, _) = told(&policy, asked, permission);
        assert_eq!(reason, *expected, "row {number}, {permission}: {text}");
    }
}

#[test]
fn the_reason_names_rule_path_and_condition() {
    let policy = policy();
    let (_, text, record) = told(&policy, &by(&["admin"]), "folder:read");
    assert_eq!(text, "allowed by rule `admin.allow.0` (**) of role admin");
    assert_eq!(record["roles"], serde_json::json!(["admin"]));
    let (_, text, record) = told(&policy, &by(&["editor"]), "document:read");
    assert_eq!(text, "allowed by rule `viewer.allow.0` (document:read) of role editor > viewer");
    assert_eq!(record["roles"], serde_json::json!(["editor", "viewer"]));
    assert_eq!(record["condition"], serde_json::Value::Null);

    let unlocked = |asked: Asked| asked.with(|a| a.resource = a.resource.clone().with("locked", false));
    let asked = unlocked(by(&["editor"]).owned("ann").state("secret-plan"));
    let (_, text, record) = told(&policy, &asked, "document:delete");
    assert_eq!(
        text,
        "denied: rule `own drafts` (document:delete) of role editor would allow it, but resource.state = \"draft\" does not hold"
    );
    assert!(!text.contains("secret-plan"), "no value of the request");
    assert_eq!(record["reason"], "condition_unmet");
    assert_eq!(record["condition"], "resource.state = \"draft\"");
    let (_, text, _) = told(&policy, &unlocked(by(&["editor"]).state("draft")), "document:delete");
    assert!(text.ends_with("but resource.owner is the principal cannot be decided"), "{text}");
    let (_, text, _) = told(&policy, &by(&["editor"]), "document:delete");
    assert_eq!(
        text,
        "denied by rule `locked` (document:delete) of role everyone, whose condition cannot be decided"
    );
    let (_, text, _) = told(&policy, &by(&["admin"]), "audit:log:delete");
    assert_eq!(text, "denied by rule `audit stays` (audit:*:delete) of role admin");
    let (_, text, record) = told(&policy, &by(&["admin"]).of(Some("globex")), "document:read");
    assert_eq!(text, "denied: the resource belongs to another tenant");
    assert_eq!(record["rule"], serde_json::Value::Null);
}
