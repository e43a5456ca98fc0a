//! Repositories that another program wrote, or that were put together from two.

use std::fs;
use std::path::{Path, PathBuf};

use buttress_core::Ctx;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::backup::packer::Uploads;
use super::{Repository, RestoreJob};
use crate::format::newer::newer;
use crate::format::pack::PackBuilder;
use crate::format::{BlobKind, unpacked};
use crate::repository::blobs::Trees;
use crate::repository::index::{Index, pack_sizes};
use crate::repository::objects::Objects;
use crate::store::{DynStore, Folder};
use crate::{Error, Id, Object, ObjectKind};

fn password() -> SecretString {
    SecretString::from("the same everywhere")
}

async fn init(place: &Path) -> Repository {
    Repository::init(DynStore::new(Folder::new(place)), &password(), &Ctx::default()).await.expect("made")
}

async fn open(place: &Path) -> Result<Repository, Error> {
    Repository::open(DynStore::new(Folder::new(place)), &password(), &Ctx::default()).await
}

#[tokio::test]
async fn a_repository_of_another_version_is_refused_and_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let repository = init(folder.path()).await;
    for (version, told) in [(0, "no program has ever written"), (1, "migrate"), (3, "newer than 2")] {
        let replace = move |objects: &Objects| {
            let config =
                json!({"version": version, "id": "0".repeat(64), "chunker_polynomial": "3da3358b4dc173"});
            objects.put(Object::CONFIG, unpacked::seal_plain(&objects.key, &config)?)
        };
        repository.run(replace).await.expect("written");
        let refused = open(folder.path()).await.expect_err("refused");
        assert!(matches!(refused, Error::Unsupported { .. }), "{refused:?}");
        assert!(refused.to_string().contains(told), "{refused}");
    }
}

fn key_of(place: &Path) -> PathBuf {
    let mut keys = fs::read_dir(place.join("keys")).expect("keys");
    keys.next().expect("a key").expect("an entry").path()
}

/// The same password opens the keys of both repositories, so that it is not what is wrong.
#[tokio::test]
async fn a_key_and_a_config_of_two_repositories_are_told_apart_from_a_wrong_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let (repository, stranger) = (init(&one).await, init(&other).await);
    let name = |key: &Path| key.file_name().expect("a name").to_owned();
    let (own, foreign) = (key_of(&one), key_of(&other));

    // Beside the own key that of another does no harm.
    let copied = one.join("keys").join(name(&foreign));
    fs::copy(&foreign, &copied).expect("copied");
    assert_eq!(open(&one).await.expect("opened").id(), repository.id());

    let refused = |refused: Error, key: &Path| {
        assert!(matches!(refused, Error::Damaged { .. }), "{refused:?}");
        let told = refused.to_string();
        assert!(told.contains("of different repositories"), "{told}");
        assert!(told.contains(name(key).to_str().expect("text")), "{told}");
    };
    // Alone, it is told.
    let away = folder.path().join("own key");
    fs::rename(&own, &away).expect("moved");
    refused(open(&one).await.expect_err("refused"), &copied);
    fs::rename(&away, &own).expect("moved");
    fs::remove_file(copied).expect("removed");

    // And so is the config of another.
    fs::remove_file(one.join("config")).expect("removed");
    fs::copy(other.join("config"), one.join("config")).expect("copied");
    refused(open(&one).await.expect_err("refused"), &own);
    assert_eq!(open(&other).await.expect("opened").id(), stranger.id());
}

/// What a newer program says of files, and is not known here, is still there when a snapshot was repaired.
#[tokio::test]
async fn a_repair_keeps_what_a_newer_program_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let repository = init(&folder.path().join("repository")).await;
    let content = b"whole".to_vec();
    let file = |name: &str, content: &[u8]| json!({"name": name, "type": "file", "mode": 0o644, "content": [Id::of(content)], "size": 5});
    let tree = |nodes: &[Value]| newer(json!({"nodes": nodes})).to_string().into_bytes();
    let inner = tree(&[file("lost", b"never stored"), file("whole", &content)]);
    let inner_id = Id::of(&inner);
    let way = json!({"name": "way", "type": "dir", "mode": 0o755, "subtree": inner_id, "content": null});
    let root = tree(&[file("beside", &content), way]);
    let write = move |objects: &Objects| {
        let uploads = Uploads::new(objects);
        let id = Id::of(&root);
        for (kind, bytes) in [(BlobKind::Data, content), (BlobKind::Tree, inner), (BlobKind::Tree, root)] {
            let mut pack = PackBuilder::default();
            pack.add(&objects.key, kind, Id::of(&bytes), &bytes, None)?;
            uploads.send(pack.finish(&objects.key)?)?;
        }
        uploads.finish()?;
        objects
            .save(ObjectKind::Snapshot, &json!({"time": "2020-01-01T00:00:00Z", "tree": id, "paths": ["/"]}))
    };
    repository.run(write).await.expect("written");

    let report = repository.repair_snapshots(&[], true).await.expect("repaired");
    let [damaged] = report.damaged.as_slice() else { panic!("{report:?}") };
    assert_eq!(damaged.lost, ["/way/lost"]);
    let snapshot = repository.snapshot("latest").await.expect("a snapshot");
    let root = snapshot.tree;
    let read = move |objects: &Objects| {
        let index = Index::load(objects, Some(&pack_sizes(objects)?))?;
        let trees = Trees::new(objects, &index);
        let json =
            |id: &Id| trees.decode(id, |bytes| Ok(serde_json::from_slice::<Value>(bytes).expect("JSON")));
        let root = json(&root)?;
        let way = trees.read(&snapshot.tree)?.nodes.into_iter().find_map(|node| node.subtree);
        Ok((root, json(&way.expect("a folder"))?))
    };
    let (root, inner) = repository.run(read).await.expect("read");
    let known = newer(json!({"nodes": [file("whole", b"whole")]}));
    assert_eq!(inner, known);
    assert_eq!(root["zz"], known["zz"]);
    for node in root["nodes"].as_array().expect("nodes") {
        assert_eq!(node["a newer field"], known["a newer field"]);
        assert!(node["subtree"] != json!(inner_id), "the folder is the new one");
    }
    let job = RestoreJob::new(folder.path().join("restored"));
    repository
        .restore(&repository.snapshot("latest").await.expect("a snapshot"), job)
        .await
        .expect("restored");
    assert_eq!(fs::read(folder.path().join("restored/way/whole")).expect("a file"), b"whole");
}
