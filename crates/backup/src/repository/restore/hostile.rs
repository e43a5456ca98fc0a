//! Trees that nobody's backup wrote, made by somebody who has the key.

use std::fs;
use std::path::{Path, PathBuf};

use buttress_core::Ctx;
use serde_json::{Value, json};

use super::RestoreJob;
use crate::format::BlobKind;
use crate::format::index::IndexFile;
use crate::format::pack::PackBuilder;
use crate::format::snapshot::Snapshot;
use crate::repository::backup::packer::Uploads;
use crate::repository::objects::Objects;
use crate::repository::{CheckDepth, Repository, index};
use crate::store::{DynStore, Folder};
use crate::{Error, Id, ObjectKind};

/// A repository that takes any tree.
struct Forge {
    folder: tempfile::TempDir,
    repository: Repository,
}

impl Forge {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = DynStore::new(Folder::new(folder.path().join("repository")));
        let password = secrecy::SecretString::from("known to the attacker");
        let repository = Repository::init(store, &password, &Ctx::default()).await.expect("made");
        fs::create_dir(folder.path().join("outside")).expect("a folder");
        Self { folder, repository }
    }

    /// A snapshot of these blobs, the last of which is the tree of its root.
    async fn snapshot(&self, blobs: Vec<(BlobKind, Vec<u8>)>) -> Snapshot {
        let write = move |objects: &Objects| {
            let uploads = Uploads::new(objects);
            let mut root = Id::of(b"");
            for (kind, bytes) in blobs {
                let mut pack = PackBuilder::default();
                root = Id::of(&bytes);
                pack.add(&objects.key, kind, root, &bytes, None)?;
                uploads.send(pack.finish(&objects.key)?)?;
            }
            uploads.finish()?;
            let snapshot = json!({"time": "2020-01-01T00:00:00Z", "tree": root, "paths": ["/"]});
            objects.save(ObjectKind::Snapshot, &snapshot)
        };
        let id = self.repository.run(write).await.expect("written");
        self.repository.snapshot(&id.to_string()).await.expect("a snapshot")
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("a/target")
    }

    async fn restore(&self, snapshot: &Snapshot) -> Result<(), Error> {
        self.repository.restore(snapshot, RestoreJob::new(self.target())).await.map(drop)
    }

    /// That nothing was written but into the target.
    fn is_unharmed(&self) {
        let names = |path: &Path| -> Vec<_> {
            let mut names: Vec<_> = fs::read_dir(path)
                .expect("a folder")
                .map(|entry| entry.expect("an entry").file_name())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(self.folder.path()), ["a", "outside", "repository"]);
        assert_eq!(names(&self.folder.path().join("a")), ["target"]);
        assert!(names(&self.folder.path().join("outside")).is_empty());
    }
}

fn tree(nodes: &[Value]) -> Vec<u8> {
    serde_json::to_vec(&json!({"nodes": nodes})).expect("JSON")
}

fn file(name: &str, content: &[u8]) -> Value {
    json!({"name": name, "type": "file", "mode": 0o644, "content": [Id::of(content)], "size": content.len()})
}

const CONTENT: &[u8] = b"an attack";

#[tokio::test]
async fn names_do_not_lead_out_of_the_target() {
    let forge = Forge::new().await;
    let outside = forge.folder.path().join("outside");
    for name in
        ["..", "../up", "/absolute", "a/../../up", "", ".", "\\x2e\\x2e", "up\\x2fdown", "with\\x00zero"]
    {
        let root = tree(&[file(name, CONTENT)]);
        let snapshot = forge.snapshot(vec![(BlobKind::Data, CONTENT.to_vec()), (BlobKind::Tree, root)]).await;
        let refused = forge.restore(&snapshot).await.expect_err("refused");
        assert!(matches!(refused, Error::Incomplete { .. }), "{name}: {refused}");
        forge.is_unharmed();
    }
    // A link, and then a folder of its name in which there is a file.
    let link = json!({"name": "way", "type": "symlink", "linktarget": outside});
    let inner = tree(&[file("file", CONTENT)]);
    let folder = json!({"name": "way", "type": "dir", "mode": 0o755, "subtree": Id::of(&inner)});
    let root = tree(&[link, folder]);
    let blobs =
        vec![(BlobKind::Data, CONTENT.to_vec()), (BlobKind::Tree, inner.clone()), (BlobKind::Tree, root)];
    let snapshot = forge.snapshot(blobs).await;
    forge.restore(&snapshot).await.expect_err("refused");
    forge.is_unharmed();

    // A link that says that it is a folder, too.
    let both = json!({"name": "way", "type": "symlink", "linktarget": outside, "subtree": Id::of(&inner)});
    let root = tree(&[both]);
    let blobs = vec![(BlobKind::Data, CONTENT.to_vec()), (BlobKind::Tree, inner), (BlobKind::Tree, root)];
    let snapshot = forge.snapshot(blobs).await;
    forge.restore(&snapshot).await.expect("a folder");
    assert_eq!(fs::read(forge.target().join("way/file")).expect("a file"), CONTENT);
    forge.is_unharmed();
}

/// What a tree says of a length is not believed where the content says another.
#[tokio::test]
async fn a_file_is_as_long_as_its_content() {
    let forge = Forge::new().await;
    let zeros = vec![0; 100_000];
    let mut lying = file("file", &zeros);
    lying["size"] = json!(1_u64 << 60);
    let blobs = vec![(BlobKind::Data, zeros.clone()), (BlobKind::Tree, tree(&[lying]))];
    let snapshot = forge.snapshot(blobs).await;
    forge.restore(&snapshot).await.expect("restored");
    assert_eq!(fs::read(forge.target().join("file")).expect("a file"), zeros);
}

/// What has no content, or is nothing known, is named.
#[tokio::test]
async fn what_cannot_be_made_is_named() {
    let forge = Forge::new().await;
    let strange = [
        json!({"name": "1", "type": "dir", "mode": 0o755}),
        json!({"name": "2", "type": "something new"}),
        json!({"name": "3", "type": "file", "content": [Id::of(b"never stored")]}),
        json!({"name": "4", "type": "symlink", "linktarget": ""}),
    ];
    let snapshot = forge.snapshot(vec![(BlobKind::Tree, tree(&strange))]).await;
    let Err(Error::Incomplete { failures, .. }) = forge.restore(&snapshot).await else { panic!("refused") };
    assert_eq!(failures.len(), strange.len(), "{failures:?}");
}

/// Whoever may add objects can add indexes that say of packs what is not so. What was backed up before comes back all the same.
#[tokio::test]
async fn indexes_that_lie_hide_nothing() {
    let forge = Forge::new().await;
    let other = b"another".to_vec();
    let root = tree(&[file("one", CONTENT), file("two", &other)]);
    let blobs = vec![(BlobKind::Data, CONTENT.to_vec()), (BlobKind::Data, other), (BlobKind::Tree, root)];
    let snapshot = forge.snapshot(blobs).await;
    // Enough of them that the true one is not the first to be read.
    for lie in 0..16 {
        let write = move |objects: &Objects| {
            let mut lying = IndexFile::default();
            index::read_all(objects, |_, read| {
                lying.packs.extend(read?.packs);
                Ok(())
            })?;
            lying.packs.truncate(3);
            for blob in lying.packs.iter_mut().flat_map(|pack| &mut pack.blobs) {
                match lie % 3 {
                    // At another place, in one that is not there, or of another name.
                    0 => blob.offset += lie,
                    1 => blob.uncompressed_length = Some(1 + lie),
                    _ => blob.id = Id::of(&lie.to_le_bytes()),
                }
            }
            if lie % 4 == 0 {
                lying.packs.iter_mut().for_each(|pack| pack.blobs.clear());
            }
            objects.save(ObjectKind::Index, &lying)
        };
        forge.repository.run(write).await.expect("written");
        forge.restore(&snapshot).await.unwrap_or_else(|error| panic!("{lie}: {error:?}"));
        assert_eq!(fs::read(forge.target().join("one")).expect("a file"), CONTENT);
        fs::remove_dir_all(forge.target()).expect("removed");
        let Err(Error::Incomplete { failures, .. }) = forge.repository.check(CheckDepth::Structure).await
        else {
            panic!("{lie}: the lie was not found");
        };
        assert!(failures.iter().any(|failure| failure.of.starts_with("index/")), "{lie}: {failures:?}");
    }
    forge.repository.repair_index(false).await.expect("mended");
    forge.repository.check(CheckDepth::Data).await.expect("nothing is wrong");
    forge.restore(&snapshot).await.expect("restored");
}
