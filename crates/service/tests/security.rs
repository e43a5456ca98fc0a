//! API keys, roles and the log of what was done, in front of a real service.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // a failing expectation fails the test

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use buttress_audit::LogReader;
use buttress_audit::verify::{VerifyOptions, verify};
use buttress_core::{Ctx, Outcome};
use buttress_service::{Caller, Security, SecurityConfig};
use common::{Answer, Running, config, run};
use serde_json::{Value, json};
use tempfile::tempdir;

fn security(folder: &Path) -> SecurityConfig {
    let policy = json!({"roles": {
        "reader": {"allow": ["order:read"]},
        "clerk": {"inherits": ["reader"], "allow": ["order:write"]},
        "admin": {"inherits": ["clerk"], "allow": ["key:manage"]},
    }});
    let mut config =
        SecurityConfig::of(folder.join("security"), "shop", serde_json::from_value(policy).unwrap());
    config.enabled = true;
    config
}

async fn order(State(ctx): State<Ctx>, caller: Caller) -> String {
    caller.did(&ctx, "order.create", "order 7", Outcome::Success);
    format!("ordered by {caller}")
}

async fn shop(settings: &SecurityConfig) -> Running {
    let (security, ctx) = Security::open("shop", settings, Ctx::default()).await.unwrap();
    let (read, write) = (security.require("order:read").unwrap(), security.require("order:write").unwrap());
    let api = Router::new()
        .route("/v1/orders", get(async || "none yet").layer(read).merge(post(order).layer(write)))
        .with_state(ctx);
    let routes = security.authenticate(api).merge(security.routes().unwrap());
    run(config(), |service, _| service.routes(routes).with(security)).await
}

impl Running {
    async fn ask(&self, method: &str, path: &str, key: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let kind = "content-type: application/json";
        let key = if key.is_empty() { String::new() } else { format!("authorization: Bearer {key}\r\n") };
        let length = body.len();
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{key}{kind}\r\ncontent-length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    async fn issue(&self, by: &str, owner: &str, role: &str) -> Value {
        let made = self.ask("POST", "/v1/keys", by, &json!({"owner": owner, "roles": [role]})).await;
        assert_eq!((made.status, made.header("cache-control")), (201, Some("no-store")), "{made:?}");
        made.json()
    }
}

#[tokio::test]
async fn who_asks_shows_a_key_may_what_its_role_may_and_it_is_written_down() {
    let folder = tempdir().unwrap();
    let settings = security(folder.path());
    let set_up =
        Security::set_up(&settings, "ann".try_into().unwrap(), "admin", &Ctx::default()).await.unwrap();
    let admin = set_up.key.expose();
    let service = shop(&settings).await;

    assert_eq!(service.ask("GET", "/v1/orders", "", &Value::Null).await.status, 401);
    assert_eq!(service.ask("GET", "/v1/orders", "shop_forged", &Value::Null).await.status, 401);
    assert_eq!(service.ask("GET", "/v1/orders", admin, &Value::Null).await.body, "none yet");

    let reader = service.issue(admin, "bob", "reader").await;
    let (key, id) = (reader["key"].as_str().unwrap(), reader["id"].as_str().unwrap());
    assert_eq!(service.ask("GET", "/v1/orders", key, &Value::Null).await.status, 200);
    assert_eq!(service.ask("POST", "/v1/orders", key, &Value::Null).await.status, 403);
    assert_eq!(service.ask("GET", "/v1/keys", key, &Value::Null).await.status, 403);

    let clerk = service.issue(admin, "cy", "clerk").await;
    let ordered = service.ask("POST", "/v1/orders", clerk["key"].as_str().unwrap(), &Value::Null).await;
    assert_eq!(ordered.body, "ordered by cy");

    // Who issues keys may issue those of any tenant, so that it is nothing for a tenant's own.
    let wanted = json!({"owner": "di", "tenant": "acme", "roles": ["admin"]});
    let tenants = service.ask("POST", "/v1/keys", admin, &wanted).await.json();
    let theirs = tenants["key"].as_str().unwrap();
    assert_eq!(service.ask("GET", "/v1/orders", theirs, &Value::Null).await.status, 200);
    let wanted = json!({"owner": "di", "roles": ["admin"]});
    assert_eq!(service.ask("POST", "/v1/keys", theirs, &wanted).await.status, 403);

    // Both keys are good for the overlap, and neither when both are taken back.
    let rotated = service.ask("POST", &format!("/v1/keys/{id}/rotate?overlap=1h"), admin, &Value::Null).await;
    let rotated = rotated.json();
    for key in [key, rotated["key"].as_str().unwrap()] {
        assert_eq!(service.ask("GET", "/v1/orders", key, &Value::Null).await.status, 200);
    }
    for id in [id, rotated["id"].as_str().unwrap()] {
        assert_eq!(service.ask("DELETE", &format!("/v1/keys/{id}"), admin, &Value::Null).await.status, 204);
    }
    for key in [key, rotated["key"].as_str().unwrap()] {
        assert_eq!(service.ask("GET", "/v1/orders", key, &Value::Null).await.status, 401);
    }
    let listed = service.ask("GET", "/v1/keys", admin, &Value::Null).await;
    assert_eq!(listed.json().as_array().unwrap().len(), 4);
    assert!(!listed.body.contains(key) && listed.json()[0].get("key").is_none(), "{listed:?}");
    assert_eq!(service.ask("DELETE", "/v1/keys/nobody", admin, &Value::Null).await.status, 404);
    service.stop().await.unwrap();

    let log = settings.folder.join("audit");
    let report = verify(&log, &VerifyOptions::new().seed(set_up.seed.unwrap())).unwrap();
    assert!(report.is_clean() && report.sealed == Some(report.size), "{report:?}");
    let reader = LogReader::open(&log).unwrap();
    let entries: Vec<_> = reader.read(0).unwrap().map(|record| record.unwrap().0.entry).collect();
    let did = |action: &str, actor: Option<&str>| {
        entries
            .iter()
            .filter(|entry| entry.action == action && (actor.is_none() || entry.actor.as_deref() == actor))
            .count()
    };
    assert_eq!(did("order.create", Some("cy")), 1, "{entries:#?}");
    assert_eq!((did("access.decide", Some("bob")), did("api_key.issue", None)), (2, 4));
    assert_eq!(
        (did("key.issue", Some("ann")), did("key.rotate", Some("ann")), did("key.revoke", Some("ann"))),
        (3, 1, 2)
    );
    assert_eq!((did("api_key.rotate", None), did("api_key.revoke", None)), (1, 2));
    assert!(did("secret.read", None) >= 1);
    let shown = format!("{entries:?}");
    assert!([admin, key].iter().all(|secret| !shown.contains(*secret)));
}

#[tokio::test]
async fn what_is_set_up_again_keeps_what_is_there() {
    let folder = tempdir().unwrap();
    let settings = security(folder.path());
    let set_up = async |role: &'static str| {
        Security::set_up(&settings, "ann".try_into().unwrap(), role, &Ctx::default()).await
    };
    let first = set_up("admin").await.unwrap();
    let second = set_up("reader").await.unwrap();
    assert!(first.seed.is_some() && second.seed.is_none());
    let unknown = set_up("boss").await.unwrap_err();
    let told = buttress_core::chain(&unknown);
    assert!(told.contains("no role `boss`; it has admin, clerk, reader"), "{told}");

    for (path, mode) in [("", 0o700), ("secrets.key", 0o600)] {
        let found = settings.folder.join(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path}");
    }
    let service = shop(&settings).await;
    for key in [&first.key, &second.key] {
        assert_eq!(service.ask("GET", "/v1/orders", key.expose(), &Value::Null).await.status, 200);
    }
    let ready = service.get("/readyz").await;
    assert!(ready.status == 200 && ready.body.contains("audit"), "{ready:?}");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn without_security_everybody_may_and_nothing_is_made() {
    let folder = tempdir().unwrap();
    let mut settings = security(folder.path());
    settings.enabled = false;
    let service = shop(&settings).await;
    let ordered = service.ask("POST", "/v1/orders", "", &Value::Null).await;
    assert_eq!((ordered.status, ordered.body.as_str()), (200, "ordered by anonymous at 127.0.0.1"));
    assert_eq!(service.ask("GET", "/v1/keys", "", &Value::Null).await.status, 404);
    service.stop().await.unwrap();
    assert!(!settings.folder.exists());

    settings.enabled = true;
    let missing = Security::open("shop", &settings, Ctx::default()).await.unwrap_err();
    assert!(
        buttress_core::chain(&missing).contains("cannot open the audit log of `security`"),
        "{missing:?}"
    );
}
