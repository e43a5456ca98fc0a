//! Entries as events of the Open Cybersecurity Schema Framework.

use std::time::SystemTime;

use buttress_core::Outcome;
use serde_json::{Map, Value as Json, json};

use crate::{Record, Value, json, time};

/// The version of the schema that events follow.
pub const OCSF_VERSION: &str = "1.3.0";

/// The class of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// 3002, of Identity & Access Management.
    Authentication,
    /// 3004, of the same.
    EntityManagement,
    /// 6003, of Application Activity.
    ApiActivity,
}

impl Class {
    /// By the beginning of the action: who somebody is, what is administered, and everything else.
    fn of(action: &str) -> Self {
        let noun = action.split('.').next().unwrap_or_default();
        match noun {
            "auth" | "session" | "login" | "logon" | "logoff" | "logout" | "mfa" | "token" => {
                Self::Authentication
            }
            "user" | "role" | "group" | "permission" | "policy" | "tenant" | "key" | "apikey" | "api_key"
            | "config" | "flag" | "subject" | "account" => match verb(action) {
                "login" | "logon" | "logout" | "logoff" => Self::Authentication,
                _ => Self::EntityManagement,
            },
            _ => Self::ApiActivity,
        }
    }

    fn uid(self) -> u32 {
        match self {
            Self::Authentication => 3002,
            Self::EntityManagement => 3004,
            Self::ApiActivity => 6003,
        }
    }

    /// What was done: what the class has a number for, or 99 for another.
    fn activity(self, action: &str) -> u32 {
        match (self, verb(action)) {
            (Self::Authentication, "login" | "logon" | "create" | "start" | "open" | "issue") => 1,
            (Self::Authentication, "logout" | "logoff" | "end" | "close" | "revoke") => 2,
            (Self::Authentication, _) => 99,
            (_, "create" | "add" | "insert" | "make" | "issue" | "upload" | "register") => 1,
            (_, "read" | "get" | "list" | "view" | "search" | "export" | "download") => 2,
            (_, "update" | "change" | "write" | "set" | "put" | "rotate" | "reload" | "grant" | "edit") => 3,
            (_, "delete" | "remove" | "erase" | "revoke" | "retire" | "drop") => 4,
            _ => 99,
        }
    }
}

/// What stands after the first dot, up to the next; the whole when there is none.
fn verb(action: &str) -> &str {
    action.split('.').nth(1).unwrap_or(action)
}

/// A record as an event of OCSF [1.3.0](https://schema.ocsf.io/1.3.0/): Authentication (3002), Entity Management (3004)
/// or API Activity (6003), by the first part of its action. The address of the caller is taken from `data.ip`,
/// `data.client_ip` or `data.remote_addr`; all of the data stands in `unmapped`.
///
/// A denied action is a failure there, of severity Medium, with `status_detail` = `denied`.
#[must_use]
pub fn event(record: &Record) -> Json {
    let entry = &record.entry;
    let class = Class::of(&entry.action);
    let (uid, activity) = (class.uid(), class.activity(&entry.action));
    let (severity, status, detail) = match entry.outcome {
        Outcome::Success => (1, 1, "success"),
        Outcome::Failure => (2, 2, "failure"),
        Outcome::Denied => (3, 2, "denied"),
    };
    let user = json!({ "name": entry.actor.as_deref().unwrap_or("unknown") });
    let mut event = Map::new();
    let mut put = |name: &str, value: Json| event.insert(name.to_owned(), value);
    put("class_uid", json!(uid));
    put("category_uid", json!(uid / 1000));
    put("activity_id", json!(activity));
    put("activity_name", json!(verb(&entry.action)));
    put("type_uid", json!(u64::from(uid) * 100 + u64::from(activity)));
    put("severity_id", json!(severity));
    put("status_id", json!(status));
    put("status_detail", json!(detail));
    put("time", json!(millis(entry.at)));
    put("metadata", metadata(record));
    if let Some(message) = &entry.detail {
        put("message", json!(message));
    }
    let source = address(record).map(|ip| json!({ "ip": ip }));
    match class {
        Class::Authentication => {
            put("user", user);
            put("service", json!({ "name": entry.target.as_deref().unwrap_or("unknown") }));
        }
        Class::EntityManagement => {
            put("actor", json!({ "user": user }));
            let kind = entry.action.split('.').next();
            put("entity", json!({ "name": entry.target.as_deref().unwrap_or("unknown"), "type": kind }));
        }
        Class::ApiActivity => {
            put("actor", json!({ "user": user }));
            let mut api = json!({ "operation": entry.action });
            if let (Some(id), Some(api)) = (&entry.request_id, api.as_object_mut()) {
                api.insert("request".to_owned(), json!({ "uid": id }));
            }
            put("api", api);
            if let Some(target) = &entry.target {
                put("resources", json!([{ "name": target }]));
            }
        }
    }
    // An endpoint without any name is none, and this class asks for one.
    let unknown = (class == Class::ApiActivity).then(|| json!({ "name": "unknown" }));
    if let Some(source) = source.or(unknown) {
        put("src_endpoint", source);
    }
    if !entry.data.is_empty() {
        put("unmapped", json::map(&entry.data));
    }
    Json::Object(event)
}

fn metadata(record: &Record) -> Json {
    let entry = &record.entry;
    let mut metadata = json!({
        "version": OCSF_VERSION,
        "product": { "name": "buttress-audit", "vendor_name": "buttress", "version": env!("CARGO_PKG_VERSION") },
        "uid": record.sequence.to_string(),
        "sequence": record.sequence,
        "logged_time": millis(record.recorded),
        "original_time": time::format(entry.at),
        "event_code": entry.action,
    });
    if let Some(fields) = metadata.as_object_mut() {
        for (name, text) in [("correlation_uid", &entry.request_id), ("tenant_uid", &entry.tenant)] {
            if let Some(text) = text {
                fields.insert(name.to_owned(), json!(text));
            }
        }
    }
    metadata
}

fn address(record: &Record) -> Option<&str> {
    ["ip", "client_ip", "remote_addr"].into_iter().find_map(|name| match record.entry.data.get(name) {
        Some(Value::Text(text)) if text.parse::<std::net::IpAddr>().is_ok() => Some(text.as_str()),
        _ => None,
    })
}

/// `timestamp_t`: milliseconds since 1970.
fn millis(at: SystemTime) -> i64 {
    i64::try_from(time::nanos(at).div_euclid(1_000_000)).unwrap_or(i64::MAX)
}
