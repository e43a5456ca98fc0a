//! A vault file: what is damaged is found, what is written stays, and who has another key reads nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::PathBuf;

use buttress_core::{Classify, Ctx, ErrorClass, EventLog, Events};
use buttress_secrets::vault::{FORMER_READ, KeySource, PassphraseCost, VaultStore};
use buttress_secrets::{Error, Expect, Name, Secret, SecretStore, Stage, Step, Which};

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(place.at("key"), [7; 32]).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn key(&self) -> KeySource {
        KeySource::KeyFile(self.at("key"))
    }

    async fn create(&self) -> VaultStore {
        let cost = PassphraseCost::default();
        VaultStore::create(&self.at("vault"), self.key(), cost, &Ctx::default()).await.unwrap()
    }

    async fn open(&self) -> Result<VaultStore, Error> {
        VaultStore::open(&self.at("vault"), self.key(), &Ctx::default()).await
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

async fn put(vault: &VaultStore, at: &str, text: &str) {
    vault.put(&name(at), &secret(text), Expect::Anything).await.unwrap();
}

async fn current(vault: &VaultStore, at: &str) -> String {
    let found = vault.get(&name(at), Which::At(Stage::Current)).await.unwrap().unwrap();
    found.secret.text().unwrap().to_owned()
}

/// Cheap enough to be tried often; as cheap as a vault may be.
fn cheap() -> PassphraseCost {
    let mut cost = PassphraseCost::default();
    (cost.memory_kib, cost.passes, cost.lanes) = (19 << 10, 2, 1);
    cost
}

#[tokio::test]
async fn another_process_sees_what_is_written_and_nothing_is_readable_in_the_file() {
    let place = Place::new();
    let (one, other) = (place.create().await, place.open().await.unwrap());
    put(&one, "db/password", "a planted value").await;
    assert_eq!(current(&other, "db/password").await, "a planted value");
    put(&other, "db/password", "another planted value").await;
    assert_eq!(current(&one, "db/password").await, "another planted value");
    let file = fs::read(place.at("vault")).unwrap();
    for planted in ["planted", "password"] {
        assert!(!file.windows(planted.len()).any(|part| part == planted.as_bytes()), "{planted}");
    }
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(place.at("vault")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(!place.at("vault.new").exists() && !place.at("vault.previous").exists());
}

#[tokio::test]
async fn many_writers_lose_nothing() {
    let place = Place::new();
    place.create().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let vault = place.open().await.unwrap();
        writers.spawn(async move {
            for number in 0..10 {
                put(&vault, &format!("writer-{writer}/{number}"), "x").await;
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    assert_eq!(place.open().await.unwrap().list(100).await.unwrap().len(), 40);
}

#[tokio::test]
async fn the_wrong_key_is_told_from_damage() {
    let place = Place::new();
    put(&place.create().await, "a", "x").await;
    fs::write(place.at("key"), [8; 32]).unwrap();
    assert!(matches!(place.open().await, Err(Error::WrongKey { .. })));
    fs::write(place.at("key"), [7; 31]).unwrap();
    assert!(matches!(place.open().await, Err(Error::NoKey { .. })));
    fs::remove_file(place.at("key")).unwrap();
    let error = place.open().await.unwrap_err();
    assert!(matches!(error, Error::NoKey { .. }) && error.to_string().contains("key"), "{error}");
}

#[tokio::test]
async fn a_passphrase_opens_and_a_new_key_closes_the_old_one_out() {
    let place = Place::new();
    let passphrase = KeySource::Passphrase(secret("correct horse battery"));
    let ctx = Ctx::default();
    let path = place.at("vault");
    let vault = VaultStore::create(&path, passphrase.clone(), cheap(), &ctx).await.unwrap();
    put(&vault, "a", "first").await;
    put(&vault, "a", "second").await;
    let wrong = KeySource::Passphrase(secret("correct horse batterz"));
    assert!(matches!(VaultStore::open(&path, wrong, &ctx).await, Err(Error::WrongKey { .. })));
    let short = KeySource::Passphrase(secret("too short"));
    assert!(matches!(VaultStore::open(&path, short, &ctx).await, Err(Error::NoKey { .. })));

    // A service that reads the passphrase from a file goes on when the file has the new one.
    fs::write(place.at("passphrase"), "correct horse battery\n").unwrap();
    let from_file = KeySource::PassphraseFile(place.at("passphrase"));
    let service = VaultStore::open(&path, from_file, &ctx).await.unwrap();
    let before = fs::read(&path).unwrap();
    vault.rekey(place.key(), cheap()).await.unwrap();
    assert_eq!(current(&vault, "a").await, "second");
    assert!(matches!(service.load(&name("a")).await, Err(Error::WrongKey { .. })));
    assert!(matches!(VaultStore::open(&path, passphrase.clone(), &ctx).await, Err(Error::WrongKey { .. })));
    fs::write(place.at("passphrase"), "another horse, another battery\n").unwrap();
    let again = KeySource::PassphraseFile(place.at("passphrase"));
    vault.rekey(again, cheap()).await.unwrap();
    assert_eq!(current(&service, "a").await, "second");
    let found = service.get(&name("a"), Which::At(Stage::Previous)).await.unwrap().unwrap();
    assert!(found.secret.matches(b"first"));
    // Nothing of the file is as it was, so the old key is of no use for what comes.
    let after = fs::read(&path).unwrap();
    assert!(!before[240..].windows(16).any(|part| after.windows(16).any(|other| part == other)));
}

#[tokio::test]
async fn a_vault_is_not_made_over_another() {
    let place = Place::new();
    put(&place.create().await, "a", "x").await;
    let made =
        VaultStore::create(&place.at("vault"), place.key(), PassphraseCost::default(), &Ctx::default()).await;
    assert_eq!(made.unwrap_err().class(), ErrorClass::Conflict);
    assert_eq!(current(&place.open().await.unwrap(), "a").await, "x");
    let mut weak = PassphraseCost::default();
    weak.passes = 1;
    let made = VaultStore::create(&place.at("other"), place.key(), weak, &Ctx::default()).await;
    assert!(matches!(made, Err(Error::Config(_))));
}

#[tokio::test]
async fn the_former_file_is_read_when_the_vault_is_damaged_and_somebody_is_told() {
    let place = Place::new();
    put(&place.create().await, "a", "good").await;
    fs::copy(place.at("vault"), place.at("vault.previous")).unwrap();
    let mut bytes = fs::read(place.at("vault")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(place.at("vault"), bytes).unwrap();
    let log = EventLog::default();
    let ctx = Ctx { events: Events::to(std::sync::Arc::new(log.clone())), ..Ctx::default() };
    let vault = VaultStore::open(&place.at("vault"), place.key(), &ctx).await.unwrap();
    assert_eq!(current(&vault, "a").await, "good");
    assert!(log.events().iter().all(|event| event.action == FORMER_READ) && !log.events().is_empty());
    // The next write puts things in order.
    put(&vault, "b", "new").await;
    assert!(!place.at("vault.previous").exists());
    assert_eq!(current(&place.open().await.unwrap(), "a").await, "good");
}

#[tokio::test]
async fn a_rotation_goes_on_where_a_process_that_died_left_it() {
    let place = Place::new();
    let key = name("api/key");
    let begun = place.create().await.put(&key, &secret("old"), Expect::Nothing).await.unwrap();
    let created = place.open().await.unwrap();
    let created = created.rotate(&key, &begun, Step::Create(secret("new"))).await.unwrap();
    let after = place.open().await.unwrap();
    assert_eq!(after.lifecycle(&key).await.unwrap(), Some(created));
    let switched = after.rotate(&key, &created, Step::Switch).await.unwrap();
    let last = place.open().await.unwrap();
    assert_eq!(last.lifecycle(&key).await.unwrap(), Some(switched));
    assert_eq!(current(&last, "api/key").await, "new");
    assert!(last.rotate(&key, &switched, Step::Retire).await.unwrap().previous.is_none());
}

/// Files that were written when format 1 was made. A second reader, `vault_reader.py`, reads the same from them.
#[tokio::test]
async fn the_files_of_format_1_open() {
    let place = Place::new();
    fs::write(place.at("bytes"), (0..32).collect::<Vec<u8>>()).unwrap();
    let passphrase = KeySource::Passphrase(secret("correct horse battery"));
    let vectors = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    for (file, key) in
        [("vault_v1_key.bin", KeySource::KeyFile(place.at("bytes"))), ("vault_v1_passphrase.bin", passphrase)]
    {
        fs::copy(vectors.join(file), place.at(file)).unwrap();
        let vault = VaultStore::open(&place.at(file), key, &Ctx::default()).await.unwrap();
        let versions = vault.load(&name("db/password")).await.unwrap().unwrap();
        let values = [Stage::Current, Stage::Previous, Stage::Next]
            .map(|stage| versions.at(stage).unwrap().secret.text().unwrap().to_owned());
        assert_eq!(values, ["now", "before", "soon"]);
        let odd = vault.get(&name("api.key"), Which::At(Stage::Current)).await.unwrap().unwrap();
        assert_eq!(odd.secret.expose(), [0, 255, 10]);
    }
}

/// Each state between two steps of a write, which a random kill meets too seldom.
#[tokio::test]
async fn what_a_killed_writer_leaves_at_each_step_opens_and_is_cleared_away() {
    const BEFORE: &str = "before";
    const AFTER: &str = "after";
    let place = Place::new();
    let vault = place.create().await;
    put(&vault, "a", BEFORE).await;
    let before = fs::read(place.at("vault")).unwrap();
    put(&vault, "a", AFTER).await;
    let after = fs::read(place.at("vault")).unwrap();
    let part = &after[..after.len() / 2];
    for (file, aside, previous, expected) in [
        (Some(&before[..]), Some(part), None, BEFORE),
        (Some(&before[..]), Some(&after[..]), None, BEFORE),
        (Some(&before[..]), Some(&after[..]), Some(&before[..]), BEFORE),
        (Some(&after[..]), None, Some(&before[..]), AFTER),
        // What a file system that reorders, or a disk that fails, may make of it.
        (Some(part), None, Some(&before[..]), BEFORE),
        (None, Some(part), Some(&before[..]), BEFORE),
    ] {
        for (name, bytes) in [("vault", file), ("vault.new", aside), ("vault.previous", previous)] {
            let _ = fs::remove_file(place.at(name));
            if let Some(bytes) = bytes {
                fs::write(place.at(name), bytes).unwrap();
            }
        }
        let found = place.open().await.unwrap();
        assert_eq!(current(&found, "a").await, expected);
        put(&found, "b", "next").await;
        let again = place.open().await.unwrap();
        assert_eq!(
            (current(&again, "a").await.as_str(), current(&again, "b").await.as_str()),
            (expected, "next")
        );
        assert!(!place.at("vault.new").exists() && !place.at("vault.previous").exists());
    }
}
