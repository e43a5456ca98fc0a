//! Every store keeps what stores promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing expectation fails the test"
)]

use std::fs;
use std::path::Path;

use buttress_backup::store::faulty::{Faults, Faulty};
use buttress_backup::store::{
    AppendOnly, DynStore, Existing, Folder, RetryConfig, Retrying, Store, StoreConfig, contract,
};
use buttress_backup::{Error, Id, Object, ObjectKind};
use buttress_core::{Classify, Ctx, ErrorClass, Validate};
use buttress_testkit::{Program, S3};
use bytes::Bytes;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("deep/below");
    contract::holds(async || Folder::new(&root)).await;

    let root = folder.path().join("with junk");
    contract::leaves_out_junk(&Folder::new(&root), async |path, bytes| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_keeps_the_contract() {
    let s3 = S3::start();
    s3.create_bucket("backups");
    s3.create_bucket("others");
    for url in ["s3://backups/of/one", "s3://others"] {
        let config = in_s3(&s3, url);
        contract::holds(async || DynStore::open(&config, &Ctx::default()).await.unwrap()).await;
    }
    s3.create_bucket("junk");
    let store = DynStore::open(&in_s3(&s3, "s3://junk/prefix"), &Ctx::default()).await.unwrap();
    let root = s3.bucket("junk").join("prefix");
    contract::leaves_out_junk(&store, async |path, bytes| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    })
    .await;
}

/// A store that fails one call in ten, before or after its work, is with retries as good as one that does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_keeps_the_contract_when_asked_again() {
    let ctx = Ctx::default();
    for seed in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let faults = Faults { seed, fails_before: 0.05, fails_after: 0.05, ..Faults::default() };
        let faulty = Faulty::new(Folder::new(folder.path()), faults, &ctx);
        let mut config = RetryConfig::default();
        (config.attempts, config.first) = (12, std::time::Duration::ZERO);
        contract::holds(async || Retrying::new(faulty.clone(), &config, &ctx).unwrap()).await;
        assert!(faulty.injected() > 10, "{}", faulty.injected());
    }
}

#[tokio::test]
async fn a_folder_is_laid_out_for_its_owner_as_restic_does() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("repository");
    let (object, bytes) = pack(b"of mine");
    Folder::new(&root).put(object, bytes, Existing::Kept).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = root.join("data").join(&object.id().to_string()[..2]).join(object.id().to_string());
    assert_eq!(mode(&file), 0o400);
    assert_eq!((mode(&root), mode(&root.join("data"))), (0o700, 0o700));
}

#[tokio::test]
async fn packs_on_another_disk_are_found_through_links() {
    let folder = tempfile::tempdir().unwrap();
    let (root, other) = (folder.path().join("repository"), folder.path().join("other"));
    let (object, bytes) = pack(b"moved");
    let store = Folder::new(&root);
    store.put(object, bytes.clone(), Existing::Kept).await.unwrap();
    fs::rename(root.join("data"), &other).unwrap();
    std::os::unix::fs::symlink(&other, root.join("data")).unwrap();
    assert_eq!(store.list(ObjectKind::Pack).await.unwrap().len(), 1);
    assert_eq!(store.get(object, None).await.unwrap(), bytes);
}

#[tokio::test]
async fn leftovers_of_the_dead_go_and_those_of_the_living_stay() {
    let folder = tempfile::tempdir().unwrap();
    let tmp = folder.path().join("tmp");
    fs::create_dir(&tmp).unwrap();
    fs::write(tmp.join("1-dead"), "half").unwrap();
    let living = fs::File::create(tmp.join("2-living")).unwrap();
    living.lock().unwrap();
    let (object, bytes) = pack(b"new");
    let store = Folder::new(folder.path());
    store.put(object, bytes.clone(), Existing::Kept).await.unwrap();
    let left = || fs::read_dir(&tmp).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(left(), ["2-living"]);

    drop(living);
    Folder::new(folder.path()).put(object, bytes, Existing::Replaced).await.unwrap();
    assert!(left().is_empty());
}

/// Runs the next test in a name space of its own, where a disk of 1 MiB is mounted.
#[test]
fn a_full_disk_refuses_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=1m tmpfs "$BUTTRESS_SMALL_DISK" && exec "$0" --exact --ignored --nocapture on_a_small_disk"#;
    let done = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("BUTTRESS_SMALL_DISK", folder.path())
        .output()
        .expect("`unshare` of util-linux is needed: apt-get install util-linux");
    let told = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "needs name spaces for users (kernel.unprivileged_userns_clone=1)\n{told}"
    );
    assert!(told.contains("1 passed"), "{told}");
}

#[tokio::test]
#[ignore = "a_full_disk_refuses_and_keeps_what_it_has runs it"]
async fn on_a_small_disk() {
    let root = std::path::PathBuf::from(std::env::var_os("BUTTRESS_SMALL_DISK").unwrap());
    let store = Folder::new(&root);
    let (small, bytes) = pack(b"kept");
    store.put(small, bytes.clone(), Existing::Kept).await.unwrap();
    for existing in [Existing::Kept, Existing::Replaced] {
        let (large, too_many) = pack(&vec![7; 2 << 20]);
        let full = store.put(large, too_many, existing).await.unwrap_err();
        assert_eq!(full.class(), ErrorClass::Overloaded, "{full:?}");
        assert!(matches!(store.get(large, None).await, Err(Error::Missing { .. })));
    }
    let listed = store.list(ObjectKind::Pack).await.unwrap();
    assert_eq!(listed.iter().map(|one| one.object).collect::<Vec<_>>(), [small]);
    assert_eq!(store.get(small, None).await.unwrap(), bytes);
    assert_eq!(fs::read_dir(root.join("tmp")).unwrap().count(), 0, "nothing half done takes room");
    // With room, the same handle works.
    let (again, bytes) = pack(b"again");
    store.put(again, bytes, Existing::Kept).await.unwrap();
}

/// Before an object is acknowledged its bytes are on the disk, then its name is, which is the order that a loss of power needs.
#[test]
fn a_folder_writes_through_before_it_acknowledges() {
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    let done = std::process::Command::new(Program::STRACE.path())
        .args([
            "-f",
            "-y",
            "-s",
            "200",
            "-e",
            "trace=fsync,fdatasync,rename,renameat,renameat2,link,linkat,write",
            "-o",
        ])
        .arg(&calls)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "--test-threads=1", "puts_under_a_tracer"])
        .env("BUTTRESS_TRACED", folder.path())
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let calls = fs::read_to_string(calls).unwrap();
    for (object, _) in [pack(b"first"), pack(b"second")] {
        let name = object.id().to_string();
        let at = |what: &str, from: usize| {
            let found = calls.lines().enumerate().skip(from).find(|(_, call)| call.contains(what));
            found.unwrap_or_else(|| panic!("no `{what}` after call {from} of\n{calls}"))
        };
        // The call that gives it its name says which file it was.
        let (named, call) = at(&name, 0);
        let unfinished = call.split('"').find(|part| part.contains("/repository/tmp/")).unwrap();
        let synced =
            calls.lines().take(named).any(|call| call.contains("sync(") && call.contains(unfinished));
        assert!(synced, "{unfinished} was not synced before it was named\n{calls}");
        let (told, _) = at(&format!("acknowledged {name}"), named);
        let above = format!("/data/{}>", &name[..2]);
        let kept =
            calls.lines().take(told).skip(named).any(|call| call.contains("sync(") && call.contains(&above));
        assert!(kept, "the name of {name} was acknowledged before it was kept\n{calls}");
    }
}

#[tokio::test]
#[ignore = "a_folder_writes_through_before_it_acknowledges runs it"]
async fn puts_under_a_tracer() {
    let folder = std::path::PathBuf::from(std::env::var_os("BUTTRESS_TRACED").unwrap());
    let store = Folder::new(folder.join("repository"));
    for (content, existing) in [(b"first".as_slice(), Existing::Kept), (b"second", Existing::Replaced)] {
        let (object, bytes) = pack(content);
        store.put(object, bytes, existing).await.unwrap();
        fs::write(folder.join("told"), format!("acknowledged {}", object.id())).unwrap();
    }
}

#[tokio::test]
async fn an_append_only_store_is_added_to_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let open = Folder::new(folder.path());
    let (object, bytes) = pack(b"there before");
    let theirs = Object::new(ObjectKind::Lock, Id::of(b"theirs"));
    open.put(object, bytes.clone(), Existing::Kept).await.unwrap();
    open.put(theirs, bytes.clone(), Existing::Kept).await.unwrap();
    open.put(Object::CONFIG, "the config".into(), Existing::Kept).await.unwrap();

    let mut config = StoreConfig::default();
    config.url = folder.path().display().to_string();
    config.append_only = true;
    let store = DynStore::open(&config, &Ctx::default()).await.unwrap();
    for refused in [
        store.delete(object).await.unwrap_err(),
        store.delete(theirs).await.unwrap_err(),
        store.delete(Object::CONFIG).await.unwrap_err(),
        store.put(object, "other".into(), Existing::Replaced).await.map(drop).unwrap_err(),
        store.put(Object::CONFIG, "other".into(), Existing::Replaced).await.map(drop).unwrap_err(),
    ] {
        assert_eq!(refused.class(), ErrorClass::Forbidden);
        assert!(buttress_core::chain(&refused).contains("append-only"), "{refused:?}");
    }
    assert_eq!(open.get(object, None).await.unwrap(), bytes);
    // The same again is no change.
    assert!(!store.put(object, bytes.clone(), Existing::Replaced).await.unwrap());
    assert!(!store.put(object, "other".into(), Existing::Kept).await.unwrap());

    let (new, bytes) = pack(b"new");
    assert!(store.put(new, bytes.clone(), Existing::Replaced).await.unwrap());
    let own = Object::new(ObjectKind::Lock, Id::of(b"own"));
    store.put(own, bytes, Existing::Kept).await.unwrap();
    store.delete(own).await.unwrap();
    assert!(matches!(open.get(own, None).await, Err(Error::Missing { .. })));
    assert!(AppendOnly::new(open).delete(new).await.is_err(), "written through another handle");
}

#[tokio::test]
async fn a_bucket_that_lets_nobody_delete_says_so() {
    let s3 = S3::start();
    s3.create_bucket("locked");
    let store = DynStore::open(&in_s3(&s3, "s3://locked"), &Ctx::default()).await.unwrap();
    let (object, bytes) = pack(b"kept");
    store.put(object, bytes.clone(), Existing::Kept).await.unwrap();
    s3.keep_all();
    let before = s3.requests();
    let refused = store.delete(object).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Forbidden, "{refused:?}");
    let told = buttress_core::chain(&refused);
    assert!(told.contains(&object.path()) && told.contains("may not do this"), "{told}");
    assert_eq!(s3.requests() - before, 1, "a refusal is not asked again");
    assert_eq!(store.get(object, None).await.unwrap(), bytes);
}

#[tokio::test]
async fn a_configuration_says_what_is_wrong_with_it() {
    let mut config = StoreConfig::default();
    config.url = "ftp://host/backup".to_owned();
    config.retry.attempts = 0;
    let wrong = config.validate().unwrap_err();
    let fields: Vec<_> = wrong.as_slice().iter().map(|one| one.field.as_str()).collect();
    assert_eq!(fields, ["url", "retry.attempts"]);
    let error = DynStore::open(&config, &Ctx::default()).await.unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error:?}");
}

fn pack(content: &[u8]) -> (Object, Bytes) {
    (Object::new(ObjectKind::Pack, Id::of(content)), Bytes::copy_from_slice(content))
}

fn in_s3(s3: &S3, url: &str) -> StoreConfig {
    let mut config = StoreConfig::default();
    url.clone_into(&mut config.url);
    config.s3.endpoint = Some(s3.endpoint());
    config.s3.access_key_id = Some(S3::ACCESS_KEY_ID.to_owned());
    config.s3.secret_access_key = Some(S3::SECRET_ACCESS_KEY.to_owned());
    config
}
