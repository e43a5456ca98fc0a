//! Every store keeps the contract.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use buttress_core::{Ctx, SystemClock};
use buttress_secrets::Stage::{Current, Next, Previous};
use buttress_secrets::store::{ChainStore, EnvironmentStore, FileStore, MemoryStore};
use buttress_secrets::vault::{KeySource, PassphraseCost, VaultStore};
use buttress_secrets::{Name, SecretStore, contract};

fn memory() -> MemoryStore {
    MemoryStore::new(SystemClock::shared())
}

#[tokio::test]
async fn a_memory_holds() {
    contract::store_holds(&memory(), SystemClock::shared()).await;
}

#[tokio::test]
async fn a_vault_holds() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, [7; 32]).unwrap();
    let path = folder.path().join("vault");
    let vault =
        VaultStore::create(&path, KeySource::KeyFile(key), PassphraseCost::default(), &Ctx::default()).await;
    contract::store_holds(&vault.unwrap(), SystemClock::shared()).await;
}

#[tokio::test]
async fn a_chain_holds() {
    let empty = Arc::new(EnvironmentStore::of("", []));
    let chain = ChainStore::new(Arc::new(memory()), vec![empty, Arc::new(memory())], &Ctx::default());
    contract::store_holds(&chain, SystemClock::shared()).await;
}

#[tokio::test]
async fn an_environment_holds() {
    let variables = [
        ("APP_DB_PASSWORD", "now"),
        ("APP_DB_PASSWORD_PREVIOUS", "before"),
        ("APP_DB_PASSWORD_NEXT", "soon"),
        ("APP_KEY", "k\n"),
        ("APP_EMPTY", ""),
        ("OTHER", "x"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
    let store = EnvironmentStore::of("APP_", variables);
    let all: [(_, &[u8]); 3] = [(Current, b"now"), (Previous, b"before"), (Next, b"soon")];
    contract::reading_holds(&store, &[("db_password", &all), ("key", &[(Current, b"k\n")])]).await;
    let found = store.load(&Name::new("db/password").unwrap()).await.unwrap().unwrap();
    assert!(found.current.secret.matches(b"now"), "a name of many parts is one variable");
    assert_eq!(format!("{store:?}"), "EnvironmentStore(APP_…)");
}

#[tokio::test]
async fn a_folder_holds() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("db")).unwrap();
    for (name, text) in [
        ("db/password", "now\n"),
        ("db/password.previous", "before\r\n"),
        ("db/password.next", "soon\n\n"),
        ("key", "\0\n\0"),
        (".hidden", "x"),
        ("not a name", "x"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let all: [(_, &[u8]); 3] = [(Current, b"now"), (Previous, b"before"), (Next, b"soon\n")];
    let store = FileStore::new(folder.path());
    contract::reading_holds(&store, &[("db/password", &all), ("key", &[(Current, b"\0\n\0")])]).await;
}

/// As the kubelet does it: a folder of each state, a link `..data` to the present one, and a link for each file through that.
#[tokio::test]
async fn a_mount_of_kubernetes_is_followed_through_its_swap() {
    let mount = tempfile::tempdir().unwrap();
    let at = |name: &str| mount.path().join(name);
    let publish = |state: &str, value: &str| {
        fs::create_dir(at(state)).unwrap();
        fs::write(at(state).join("token"), value).unwrap();
        symlink(state, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    publish("..2026_01", "one\n");
    symlink("..data/token", at("token")).unwrap();
    let (store, token) = (FileStore::new(mount.path()), Name::new("token").unwrap());
    contract::reading_holds(&store, &[("token", &[(Current, b"one")])]).await;
    let seen = store.lifecycle(&token).await.unwrap();
    let every = std::time::Duration::from_millis(5);
    let watching = store.watch(&token, seen, SystemClock::shared(), every);
    let swapping = async { publish("..2026_02", "two\n") };
    let (heard, ()) = tokio::join!(watching, swapping);
    assert_ne!(heard.unwrap(), seen);
    fs::remove_dir_all(at("..2026_01")).unwrap();
    contract::reading_holds(&store, &[("token", &[(Current, b"two")])]).await;
}
