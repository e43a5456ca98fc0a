//! What restic keeps in a folder or in S3 is where a store looks for it, and the other way round.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failing expectation fails the test")]

use std::fs;
use std::process::Command;

use buttress_backup::store::{DynStore, Existing, Folder, Store, StoreConfig};
use buttress_backup::{Id, ObjectKind};
use buttress_core::Ctx;
use buttress_testkit::S3;

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
        .env("RESTIC_PASSWORD", "of the test")
        .env("AWS_ACCESS_KEY_ID", S3::ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", S3::SECRET_ACCESS_KEY)
        .output()
        .expect("restic is needed: apt-get install restic");
    let told = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "restic {arguments:?}: {told}");
}
