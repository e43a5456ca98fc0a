//! The store on a real OpenBao, which others write to, which is killed, and which stalls.
#![allow(clippy::unwrap_used, clippy::assigning_clones, clippy::indexing_slicing, missing_docs)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{Classify, Ctx, ErrorClass, Probe, SystemClock, TestClock, Vitality, chain};
use buttress_secrets::store::{OpenBaoConfig, OpenBaoLogin, OpenBaoStore};
use buttress_secrets::{Error, Expect, Name, Secret, SecretStore, Stage, Step, Which, contract};
use buttress_testkit::{FaultProxy, OpenBao};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What makes a configuration wrong.
type Change = fn(&mut OpenBaoConfig);

struct Server {
    bao: OpenBao,
    folder: TempDir,
}

impl Server {
    fn start() -> Self {
        let this = Self { bao: OpenBao::start(), folder: tempfile::tempdir().unwrap() };
        this.write("token", this.bao.token());
        this
    }

    fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(file);
        std::fs::write(&path, format!("{text}\n")).unwrap();
        path
    }

    fn config(&self) -> OpenBaoConfig {
        let mut config = OpenBaoConfig::default();
        config.address = self.bao.url();
        config.prefix = "apps/shop".to_owned();
        config.login = OpenBaoLogin::Token { file: self.folder.path().join("token") };
        config
    }

    fn store(&self) -> OpenBaoStore {
        OpenBaoStore::open(&self.config(), &Ctx::default()).unwrap()
    }

    /// As somebody else puts it there.
    fn put(&self, path: &str, members: &Value) {
        self.bao.request("POST", &format!("secret/data/apps/shop/{path}"), &json!({ "data": members }));
    }

    /// The newest members, as somebody else reads them.
    fn get(&self, path: &str) -> Value {
        let read = self.bao.request("GET", &format!("secret/data/apps/shop/{path}"), &Value::Null);
        read["data"]["data"].clone()
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

async fn value(store: &OpenBaoStore, name: &Name, stage: Stage) -> Option<String> {
    let found = store.get(name, Which::At(stage)).await.unwrap()?;
    Some(found.secret.text().unwrap().to_owned())
}

fn class<T: std::fmt::Debug>(outcome: Result<T, Error>) -> ErrorClass {
    outcome.unwrap_err().class()
}

#[tokio::test]
async fn the_contract_holds() {
    let stage = Server::start();
    contract::store_holds(&stage.store(), SystemClock::shared()).await;
    assert_eq!(stage.store().check().await, Vitality::Pass);
}

#[tokio::test]
async fn what_others_put_there_counts() {
    let stage = Server::start();
    let (store, name) = (stage.store(), name("db/password"));
    stage.put("db/password", &json!({ "value": "first", "user": "shop" }));
    assert_eq!(value(&store, &name, Stage::Current).await.as_deref(), Some("first"));
    assert_eq!(value(&store, &name, Stage::Previous).await, None);

    // Ours leaves alone what is not ours, and others read the current value all along.
    let seen = store.lifecycle(&name).await.unwrap().unwrap();
    let created = store.rotate(&name, &seen, Step::Create(secret("second"))).await.unwrap();
    assert_eq!(
        (&stage.get("db/password")["value"], &stage.get("db/password")["user"]),
        (&json!("first"), &json!("shop"))
    );
    let switched = store.rotate(&name, &created, Step::Switch).await.unwrap();
    assert_eq!(stage.get("db/password")["value"], "second");

    // A value that is put by hand in the middle of it is the current one.
    let mut patched = stage.get("db/password");
    patched["value"] = json!("third");
    stage.put("db/password", &patched);
    assert_eq!(value(&store, &name, Stage::Current).await.as_deref(), Some("third"));
    assert_eq!(value(&store, &name, Stage::Previous).await.as_deref(), Some("second"));
    assert_eq!(class(store.rotate(&name, &switched, Step::Retire).await), ErrorClass::Conflict);

    // Retired is gone, at the server too.
    let seen = store.lifecycle(&name).await.unwrap().unwrap();
    store.rotate(&name, &seen, Step::Retire).await.unwrap();
    assert_eq!(value(&store, &name, Stage::Previous).await, None);
    let metadata = stage.bao.request("GET", "secret/metadata/apps/shop/db/password", &Value::Null);
    let versions = metadata["data"]["versions"].as_object().unwrap();
    let newest = metadata["data"]["current_version"].to_string();
    for (version, about) in versions {
        assert_eq!(about["destroyed"], json!(*version != newest), "{version}");
    }

    // Deleted by hand it is none, and a new value does not take a number that was in use.
    let last = store.lifecycle(&name).await.unwrap().unwrap().current.version;
    stage.bao.request("DELETE", "secret/data/apps/shop/db/password", &Value::Null);
    assert!(store.load(&name).await.unwrap().is_none());
    let made = store.put(&name, &secret("fourth"), Expect::Nothing).await.unwrap();
    assert!(made.current.version > last);
    assert_eq!(stage.get("db/password")["value"], "fourth");
}

#[tokio::test]
async fn of_many_who_rotate_one_does() {
    let stage = Server::start();
    let (store, name) = (Arc::new(stage.store()), name("api/key"));
    let seen = store.put(&name, &secret("old"), Expect::Nothing).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (store, name) = (store.clone(), name.clone());
            tokio::spawn(async move {
                store.rotate(&name, &seen, Step::Create(secret(&format!("new {task}")))).await
            })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => made += 1,
            Err(error) => assert_eq!(error.class(), ErrorClass::Conflict, "{error}"),
        }
    }
    assert_eq!(made, 1);
    let names: Vec<Name> = ["a/b", "a/c", "z"].map(self::name).into();
    for name in &names {
        store.put(name, &secret("x"), Expect::Nothing).await.unwrap();
    }
    stage.put("a/not%20ours", &json!({ "value": "x" }));
    let listed = store.list(10).await.unwrap();
    assert_eq!(listed, [&names[..2], std::slice::from_ref(&name), &names[2..]].concat());
}

#[tokio::test]
async fn killed_it_is_unavailable_and_comes_back_with_all_that_was_acknowledged() {
    let mut stage = Server::start();
    let (store, name) = (stage.store(), name("kept"));
    let seen = store.put(&name, &secret("one"), Expect::Nothing).await.unwrap();
    let created = store.rotate(&name, &seen, Step::Create(secret("two"))).await.unwrap();
    stage.bao.process().kill();
    let error = store.load(&name).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{}", chain(&error));
    assert!(matches!(store.check().await, Vitality::Fail(_)));
    stage.bao.crash();
    assert_eq!(store.lifecycle(&name).await.unwrap(), Some(created));
    assert_eq!(value(&store, &name, Stage::Next).await.as_deref(), Some("two"));
    // Sealed it answers, and gives nothing.
    stage.bao.request("PUT", "sys/seal", &Value::Null);
    assert_eq!(class(store.load(&name).await), ErrorClass::Unavailable);
    assert!(matches!(store.check().await, Vitality::Fail(told) if told.contains("503")));
}

#[tokio::test]
async fn a_server_that_stalls_is_left_in_time() {
    let stage = Server::start();
    let proxy = FaultProxy::to(stage.bao.addr());
    let mut config = stage.config();
    config.address = format!("http://{}", proxy.addr());
    config.timeout = Duration::from_millis(300);
    let (store, name) = (OpenBaoStore::open(&config, &Ctx::default()).unwrap(), name("slow"));
    store.put(&name, &secret("value"), Expect::Nothing).await.unwrap();
    proxy.stall();
    assert_eq!(class(store.load(&name).await), ErrorClass::Timeout);
    proxy.pass();
    assert_eq!(value(&store, &name, Stage::Current).await.as_deref(), Some("value"));
}

#[tokio::test]
async fn a_token_is_read_anew_renewed_and_told_from_a_wrong_one() {
    let stage = Server::start();
    let clock = TestClock::new();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let (store, name) = (OpenBaoStore::open(&stage.config(), &ctx).unwrap(), name("x"));

    stage.write("token", "hunter2");
    let error = store.put(&name, &secret("planted-value"), Expect::Nothing).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unauthenticated);
    let told = format!("{error} {error:?} {} {store:?}", chain(&error));
    assert!(!told.contains("hunter2") && !told.contains("planted-value"), "{told}");

    // The file is replaced: the next call uses what is in it.
    let policy = r#"path "secret/*" { capabilities = ["create", "read", "update", "list"] }"#;
    stage.bao.request("PUT", "sys/policies/acl/writer", &json!({ "policy": policy }));
    let made =
        stage.bao.request("POST", "auth/token/create", &json!({ "policies": ["writer"], "ttl": "1h" }));
    let token = made["auth"]["client_token"].as_str().unwrap();
    stage.write("token", token);
    store.put(&name, &secret("value"), Expect::Nothing).await.unwrap();
    assert_eq!(class(store.remove(&name).await), ErrorClass::Forbidden);

    let renewed = || {
        let about = stage.bao.request("POST", "auth/token/lookup", &json!({ "token": token }));
        !about["data"]["last_renewal"].is_null()
    };
    clock.advance(Duration::from_mins(30));
    store.load(&name).await.unwrap();
    assert!(!renewed());
    clock.advance(Duration::from_mins(11));
    store.load(&name).await.unwrap();
    assert!(renewed());
}

#[tokio::test]
async fn a_role_logs_in_and_in_again_when_its_token_is_gone() {
    let stage = Server::start();
    let bao = &stage.bao;
    let policy = r#"path "secret/*" { capabilities = ["create", "read", "update", "list", "delete"] }"#;
    bao.request("PUT", "sys/policies/acl/shop", &json!({ "policy": policy }));
    bao.request("POST", "sys/auth/approle", &json!({ "type": "approle" }));
    bao.request("POST", "auth/approle/role/shop", &json!({ "token_policies": ["shop"], "token_ttl": "1h" }));
    let role = bao.request("GET", "auth/approle/role/shop/role-id", &Value::Null);
    let secret_id = bao.request("POST", "auth/approle/role/shop/secret-id", &json!({}));
    let file = stage.write("secret-id", secret_id["data"]["secret_id"].as_str().unwrap());
    let clock = TestClock::new();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let mut config = stage.config();
    config.login = OpenBaoLogin::AppRole {
        role_id: role["data"]["role_id"].as_str().unwrap().to_owned(),
        secret_id_file: file,
        mount: "approle".to_owned(),
    };
    let (store, name) = (OpenBaoStore::open(&config, &ctx).unwrap(), name("x"));
    store.put(&name, &secret("value"), Expect::Nothing).await.unwrap();

    // Somebody revokes all its tokens.
    bao.request("PUT", "sys/leases/revoke-prefix/auth/approle/login", &json!({}));
    clock.advance(Duration::from_secs(10));
    assert_eq!(value(&store, &name, Stage::Current).await.as_deref(), Some("value"));

    stage.write("secret-id", "hunter2");
    bao.request("PUT", "sys/leases/revoke-prefix/auth/approle/login", &json!({}));
    clock.advance(Duration::from_secs(10));
    let error = store.load(&name).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unauthenticated, "{}", chain(&error));
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_wrong_set_up_says_what_would_do() {
    let stage = Server::start();
    let mut elsewhere = stage.config();
    elsewhere.mount = "kv".to_owned();
    let store = OpenBaoStore::open(&elsewhere, &Ctx::default()).unwrap();
    let error = store.put(&name("x"), &secret("planted"), Expect::Anything).await.unwrap_err();
    assert!(
        chain(&error).contains("KV engine") && !format!("{error:?}").contains("planted"),
        "{}",
        chain(&error)
    );

    stage.put("odd", &json!({ "password": "planted" }));
    let error = stage.store().load(&name("odd")).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Corrupt);
    assert!(error.to_string().contains("field") && !format!("{error:?}").contains("planted"), "{error}");

    let changes: [(Change, &str); 4] = [
        (|config| config.address = "http://bao.internal:8200".to_owned(), "https://"),
        (|config| config.mount = "../sys".to_owned(), "mount"),
        (|config| config.field = "buttress".to_owned(), "field"),
        (|config| config.timeout = Duration::ZERO, "timeout"),
    ];
    for (change, told) in changes {
        let mut config = stage.config();
        change(&mut config);
        let error = OpenBaoStore::open(&config, &Ctx::default()).unwrap_err();
        assert!(matches!(error, Error::Config(_)) && error.to_string().contains(told), "{error}");
    }
}
