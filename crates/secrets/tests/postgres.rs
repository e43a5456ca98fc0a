//! The login of a PostgreSQL rotates while everybody works.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "the server lives in real time")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use buttress_connect::postgres::{Connections, Postgres as Client};
use buttress_connect::{Address, ConnectionConfig};
use buttress_core::{Classify, Ctx, ErrorClass};
use buttress_pool::{Pool, PoolConfig};
use buttress_secrets::postgres::{SecretAddress, TurnTaking};
use buttress_secrets::vault::{KeySource, PassphraseCost, VaultStore};
use buttress_secrets::{
    Error, Expect, Generate, Name, RotationPolicy, Secret, SecretStore, Secrets, SecretsConfig, Stage, Which,
};
use buttress_testkit::Postgres;

const ROLES: [&str; 2] = ["orders_a", "orders \"b\""];

/// A server that asks everybody but its superuser for a password, and a vault with the first login.
struct Place {
    server: Postgres,
    folder: tempfile::TempDir,
    name: Name,
    ctx: Ctx,
}

impl Place {
    fn new() -> Self {
        let server = Postgres::start();
        let sql = |sql: &str| server.query("postgres", sql).unwrap();
        sql("CREATE ROLE orders NOLOGIN");
        for role in ROLES {
            sql(&format!(
                "CREATE ROLE \"{}\" LOGIN PASSWORD 'first' IN ROLE orders",
                role.replace('"', "\"\"")
            ));
        }
        sql(
            "CREATE TABLE stock (left_over int); INSERT INTO stock VALUES (7); ALTER TABLE stock OWNER TO orders",
        );
        sql("COPY (SELECT 'host all postgres all trust' UNION ALL SELECT 'host all all all scram-sha-256') \
             TO PROGRAM 'cat > pg_hba.conf'");
        sql("SELECT pg_reload_conf()");
        Self {
            server,
            folder: tempfile::tempdir().unwrap(),
            name: Name::new("orders/database").unwrap(),
            ctx: Ctx::default(),
        }
    }

    fn login(&self, role: &str, password: &str) -> Address {
        self.server.url().parse::<Address>().unwrap().with_login(role, password).unwrap()
    }

    async fn vault(&self, login: &Address) -> Arc<dyn SecretStore> {
        let key = self.folder.path().join("key");
        std::fs::write(&key, [7; 32]).unwrap();
        let path = self.folder.path().join("vault");
        let vault = VaultStore::create(&path, KeySource::KeyFile(key), PassphraseCost::default(), &self.ctx);
        let vault = vault.await.unwrap();
        vault.put(&self.name, &Secret::from(login.expose().to_owned()), Expect::Nothing).await.unwrap();
        Arc::new(vault)
    }

    async fn turns(&self, store: &Arc<dyn SecretStore>) -> TurnTaking {
        let admin = self.server.url().parse().unwrap();
        let admin = Client::connect(&admin, &ConnectionConfig::default(), &self.ctx).await.unwrap();
        TurnTaking::new(Arc::clone(store), admin, ROLES)
    }
}

fn policy(every: u64, overlap: u64, grace: u64) -> RotationPolicy {
    let mut policy = RotationPolicy::default();
    policy.every = Duration::from_millis(every);
    policy.overlap = Duration::from_millis(overlap);
    policy.grace = Duration::from_millis(grace);
    policy
}

/// One request: who it was made as.
async fn request(pool: &Pool<Connections>) -> Result<String, String> {
    let connection = pool.get().await.map_err(|error| error.to_string())?;
    let rows = connection.query("SELECT current_user::text, left_over FROM stock", &[]).await;
    rows.map(|rows| rows[0].get(0)).map_err(|error| error.to_string())
}

/// 1,000 requests a second over three rotations, on connections that live for half a second.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_the_login_rotates() {
    let place = Place::new();
    let first = place.login(ROLES[0], "first");
    let store = place.vault(&first).await;
    let mut config = SecretsConfig::default();
    (config.ttl, config.load_within) = (Duration::from_millis(100), Duration::from_millis(400));
    config.rotation = policy(1500, 500, 500);
    let secrets = Secrets::new(Arc::clone(&store), &config, &place.ctx).unwrap();
    let mut pooled = PoolConfig::default();
    pooled.max = 8;
    // A slow machine is no refusal: what cannot be answered at once waits.
    (pooled.waiters, pooled.wait) = (100_000, Duration::from_mins(2));
    pooled.max_age = Some(Duration::from_millis(500));
    pooled.tick = Duration::from_millis(50);
    let address = SecretAddress::new(&secrets, place.name.clone());
    let connections = Connections::by(address, &ConnectionConfig::default(), &place.ctx).unwrap();
    let pool = connections.pool(pooled, &place.ctx).unwrap();
    assert_eq!(request(&pool).await.unwrap(), ROLES[0]);

    secrets.rotate_on_schedule(place.name.as_str(), place.turns(&store).await).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let (pool, over) = (pool.clone(), Arc::clone(&over));
        async move {
            let mut beat = tokio::time::interval(Duration::from_millis(1));
            let mut requests = Vec::new();
            while !over.load(Ordering::Relaxed) {
                beat.tick().await;
                let pool = pool.clone();
                requests.push(tokio::spawn(async move { request(&pool).await }));
            }
            let mut users = Vec::new();
            for request in requests {
                users.push(request.await.unwrap());
            }
            users
        }
    });
    let rotations = async {
        while store.lifecycle(&place.name).await.unwrap().unwrap().current.version < 4 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Nobody who learnt of the last switch late is left out.
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    tokio::time::timeout(Duration::from_mins(1), rotations).await.unwrap();
    over.store(true, Ordering::Relaxed);
    let users = load.await.unwrap();

    let refused: Vec<_> = users.iter().filter_map(|user| user.as_ref().err()).collect();
    assert!(refused.is_empty(), "{} of {} failed: {}", refused.len(), users.len(), refused[0]);
    for role in ROLES {
        assert!(users.contains(&Ok(role.to_owned())), "nobody was {role} in {} requests", users.len());
    }
    // The first password was that of a role which has been given another since.
    let before = Client::connect(&first, &ConnectionConfig::default(), &place.ctx).await.unwrap_err();
    assert_eq!(before.class(), ErrorClass::Unauthenticated, "{before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_logins_work_until_the_next_turn() {
    let place = Place::new();
    let store = place.vault(&place.login(ROLES[0], "first")).await;
    let turns = place.turns(&store).await;
    let works = async |address: &Address| {
        Client::connect(address, &ConnectionConfig::default(), &place.ctx)
            .await
            .map(drop)
            .map_err(|e| e.class())
    };
    let mut logins: Vec<Address> = vec![place.login(ROLES[0], "first")];
    for _ in 0..3 {
        let made = turns.generate(&place.name).await.unwrap();
        let made: Address = made.text().unwrap().parse().unwrap();
        // An answer that got lost: made again, it is another password of the same role.
        let again: Address = turns.generate(&place.name).await.unwrap().text().unwrap().parse().unwrap();
        assert_eq!(works(&made).await, Err(ErrorClass::Unauthenticated));
        assert_eq!(works(&again).await, Ok(()));
        assert_eq!(works(logins.last().unwrap()).await, Ok(()));
        for former in logins.iter().rev().skip(1) {
            assert_eq!(works(former).await, Err(ErrorClass::Unauthenticated));
        }
        store.put(&place.name, &Secret::from(again.expose().to_owned()), Expect::Anything).await.unwrap();
        logins.push(again);
    }
    let logged = place
        .server
        .query("postgres", "SELECT count(*) FROM pg_authid WHERE rolpassword LIKE 'SCRAM-SHA-256$4096:%'");
    assert_eq!(logged.unwrap(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_take_turns_is_refused_and_nothing_changes() {
    let place = Place::new();
    let store = place.vault(&place.login("somebody", "secret-1")).await;
    let turns = place.turns(&store).await;
    let error = turns.generate(&place.name).await.unwrap_err();
    assert!(matches!(&error, Error::Login { user, .. } if user == "somebody"), "{error}");
    assert!(error.to_string().contains("`orders_a` and `orders \"b\"`"), "{error}");

    for (text, told) in [("sqlite:orders.db", "postgres"), ("no address", "postgres")] {
        store.put(&place.name, &Secret::from(text.to_owned()), Expect::Anything).await.unwrap();
        let error = turns.generate(&place.name).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Invalid, "{error}");
        assert!(error.to_string().contains(told), "{error}");
    }
    let missing = turns.generate(&Name::new("nothing").unwrap()).await.unwrap_err();
    assert_eq!(missing.class(), ErrorClass::NotFound);

    // A role that is not there.
    let login = place.login("orders_a", "first");
    store.put(&place.name, &Secret::from(login.expose().to_owned()), Expect::Anything).await.unwrap();
    place.server.query("postgres", "DROP ROLE \"orders \"\"b\"\"\"").unwrap();
    let error = turns.generate(&place.name).await.unwrap_err();
    assert!(matches!(error, Error::Store { store: "postgres", .. }), "{error}");
    let kept = store.get(&place.name, Which::At(Stage::Current)).await.unwrap().unwrap();
    assert_eq!(kept.secret.text().unwrap(), login.expose());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_no_login_fails_connections_without_being_shown() {
    let place = Place::new();
    let store = place.vault(&place.login("orders_a", "hunter2-wrong")).await;
    let secrets = Secrets::new(Arc::clone(&store), &SecretsConfig::default(), &place.ctx).unwrap();
    let connect = async |name: &str| {
        let address = SecretAddress::new(&secrets, Name::new(name).unwrap());
        let error = Client::connect_by(address, &ConnectionConfig::default(), &place.ctx).await.unwrap_err();
        buttress_core::chain(&error)
    };
    let wrong = connect("orders/database").await;
    assert!(wrong.contains("does not let us in") && !wrong.contains("hunter2"), "{wrong}");
    let missing = connect("orders/missing").await;
    assert!(missing.contains("the address in the secret `orders/missing`"), "{missing}");
    store
        .put(&Name::new("bad").unwrap(), &Secret::from("hunter2".to_owned()), Expect::Nothing)
        .await
        .unwrap();
    let bad = connect("bad").await;
    assert!(bad.contains("write it like"), "{bad}");
}
