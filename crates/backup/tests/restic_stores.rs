//! What restic keeps in a folder or in S3 is where a store looks for it, and the other way round.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing expectation fails the test")]

use std::fs;
use std::process::Command;

use buttress_backup::mirror::{Mirror, MirrorConfig, Share};
use buttress_backup::store::{DynStore, Existing, Folder, Store, StoreConfig};
use buttress_backup::{BackupJob, CheckDepth, Id, ObjectKind, Repository, RestoreJob};
use buttress_core::Ctx;
use buttress_testkit::S3;
use secrecy::SecretString;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restic_finds_in_s3_what_a_store_put_there_and_a_store_what_restic_did() {
    let s3 = S3::start();
    s3.create_bucket("backups");
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    for i in 0..50_u32 {
        fs::write(files.join(format!("{i}.txt")), format!("file {i}\n").repeat(1 + i as usize * 100))
            .unwrap();
    }
    let made = format!("s3:{}/backups/made/by-restic", s3.endpoint());
    restic(&made, &["init"]);
    restic(&made, &["backup", files.to_str().unwrap()]);

    let by_restic = in_s3(&s3, "s3://backups/made/by-restic").await;
    let copied_s3 = in_s3(&s3, "s3://backups/copied").await;
    let copied_folder = Folder::new(folder.path().join("copied"));
    for kind in ObjectKind::ALL {
        let listed = by_restic.list(kind).await.unwrap();
        assert_eq!(listed.is_empty(), kind == ObjectKind::Lock, "{kind:?}");
        for one in listed {
            let bytes = by_restic.get(one.object, None).await.unwrap();
            assert_eq!(bytes.len() as u64, one.size);
            assert!(kind == ObjectKind::Config || Id::of(&bytes) == one.object.id(), "{}", one.object);
            assert!(copied_s3.put(one.object, bytes.clone(), Existing::Kept).await.unwrap());
            assert!(copied_folder.put(one.object, bytes, Existing::Kept).await.unwrap());
        }
    }
    let in_s3 = format!("s3:{}/backups/copied", s3.endpoint());
    for repository in [&in_s3, copied_folder.place().as_str()] {
        restic(repository, &["check", "--read-data"]);
        let target = tempfile::tempdir().unwrap();
        restic(repository, &["restore", "latest", "--target", target.path().to_str().unwrap()]);
        for i in [0, 49] {
            let name = format!("{i}.txt");
            let restored = target.path().join(files.strip_prefix("/").unwrap()).join(&name);
            assert_eq!(fs::read(restored).unwrap(), fs::read(files.join(&name)).unwrap());
        }
    }
}

/// The engine and restic work in one bucket, each on what the other wrote, and the bucket is mirrored into a folder that both open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_and_restic_share_a_repository_in_s3_and_its_replica() {
    let s3 = S3::start();
    s3.create_bucket("backups");
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("first.txt"), "of the engine").unwrap();
    let (ctx, password) = (Ctx::default(), SecretString::from(PASSWORD));
    let store = in_s3(&s3, "s3://backups/shared").await;
    let ours = Repository::init(store.clone(), &password, &ctx).await.unwrap();
    ours.backup(BackupJob::new().folder(&files)).await.unwrap();

    let theirs = format!("s3:{}/backups/shared", s3.endpoint());
    restic(&theirs, &["check", "--read-data"]);
    fs::write(files.join("second.txt"), "of restic").unwrap();
    restic(&theirs, &["backup", files.to_str().unwrap()]);
    ours.check(CheckDepth::Data).await.unwrap();

    let replica = Folder::new(folder.path().join("replica"));
    let replicas = vec![DynStore::new(replica.clone())];
    let mirror = Mirror::new(store, replicas, &MirrorConfig::default(), &ctx).unwrap();
    mirror.sync().await.unwrap();
    mirror.verify(Share::ALL).await.unwrap();
    restic(&replica.place(), &["check", "--read-data"]);
    let copy = Repository::open(DynStore::new(replica), &password, &ctx).await.unwrap();
    let snapshots = copy.snapshots().await.unwrap();
    assert_eq!(snapshots.len(), 2);
    let newest = snapshots.iter().max_by_key(|snapshot| snapshot.time).unwrap();
    let target = folder.path().join("restored");
    copy.restore(newest, RestoreJob::new(&target)).await.unwrap();
    let restored = target.join(files.strip_prefix("/").unwrap());
    assert_eq!(fs::read_to_string(restored.join("first.txt")).unwrap(), "of the engine");
    assert_eq!(fs::read_to_string(restored.join("second.txt")).unwrap(), "of restic");
}

const PASSWORD: &str = "of the test";

async fn in_s3(s3: &S3, url: &str) -> DynStore {
    let mut config = StoreConfig::default();
    url.clone_into(&mut config.url);
    config.s3.endpoint = Some(s3.endpoint());
    config.s3.access_key_id = Some(S3::ACCESS_KEY_ID.to_owned());
    config.s3.secret_access_key = Some(S3::SECRET_ACCESS_KEY.to_owned());
    DynStore::open(&config, &Ctx::default()).await.unwrap()
}

fn restic(repository: &str, arguments: &[&str]) {
    let done = Command::new("restic")
        .args(["--no-cache", "-r", repository])
        .args(arguments)
        .env("RESTIC_PASSWORD", PASSWORD)
        .env("AWS_ACCESS_KEY_ID", S3::ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", S3::SECRET_ACCESS_KEY)
        .output()
        .expect("restic is needed: apt-get install restic");
    let told = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "restic {arguments:?}: {told}");
}
