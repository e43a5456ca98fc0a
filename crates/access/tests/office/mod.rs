//! A policy for tests.

/// A policy with one of everything.
pub(crate) const OFFICE: &str = r#"
    [attributes]
    "resource.state" = "text"
    "resource.amount" = "number"
    "resource.readers" = "texts"
    "resource.locked" = "flag"
    "resource.department" = "text"
    "principal.department" = "text"
    "principal.limit" = "number"
    "principal.groups" = "texts"
    "context.channel" = "text"

    [roles.everyone]
    allow = [{ permission = "page:read", cross_tenant = true }]
    deny = [{ permission = "document:delete", name = "locked", when = { equals = { attribute = "resource.locked", value = true } } }]

    [roles.viewer]
    allow = ["document:read", "folder:*"]

    [roles.editor]
    inherits = ["viewer"]
    allow = [
        "document:write",
        { permission = "document:delete", name = "own drafts", when = { all = ["owner", { equals = { attribute = "resource.state", value = "draft" } }] } },
        { permission = "document:publish", when = { one_of = { attribute = "resource.state", values = ["draft", "review"] } } },
        { permission = "document:approve", when = { not = "owner" } },
        { permission = "document:share", when = { any = ["owner", { member_of = { attribute = "principal.id", set = "resource.readers" } }] } },
    ]

    [roles.clerk]
    allow = [
        { permission = "invoice:pay", when = { compare = { left = "resource.amount", is = "at_most", right = "principal.limit" } } },
        { permission = "invoice:small", when = { compare = { left = "resource.amount", is = "below", right = 100 } } },
        { permission = "invoice:large", when = { compare = { left = "resource.amount", is = "above", right = 100 } } },
        { permission = "invoice:round", when = { compare = { left = "resource.amount", is = "at_least", right = 100 } } },
        { permission = "invoice:read", when = { same = ["principal.department", "resource.department"] } },
        { permission = "contract:read", when = { includes = { attribute = "principal.groups", text = "legal" } } },
        { permission = "till:open", when = { hours = { from = "08:00", until = "18:00", days = ["thursday", "friday"] } } },
        { permission = "vault:open", when = { hours = { from = "22:00", until = "02:00", days = ["thursday"], utc_offset_minutes = 60 } } },
        { permission = "sale:join", when = { dates = { from = "1970-01-02T00:00:00Z", until = "1970-01-03T00:00:00Z" } } },
        { permission = "office:enter", when = { network = ["10.0.0.0/8", "fd00::/8"] } },
        { permission = "api:call", when = { scope = "api" } },
        { permission = "web:call", when = { equals = { attribute = "context.channel", value = "web" } } },
        { permission = "key:use", when = { equals = { attribute = "principal.kind", value = "api_key" } } },
        { permission = "own:see", when = "same_tenant" },
    ]

    [roles.support]
    allow = [{ permission = "document:read", cross_tenant = true }, { permission = "ticket:**", cross_tenant = true, when = { scope = "support" } }]

    [roles.admin]
    inherits = ["editor", "clerk"]
    allow = ["**"]
    deny = [{ permission = "audit:*:delete", name = "audit stays" }]
"#;
