//! What sources bring goes through a repository, comes back, and passes its verifiers.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing expectation fails the test")]

mod support;

use std::path::Path;

use buttress_backup::source::{self, DynSource, Folders, FoldersConfig, Group, Record, Source};
use buttress_backup::verify::{Files, FilesConfig, Manifest, Query, Sqlite, SqliteConfig, Verifier};
use buttress_backup::{BackupJob, BackupReport, RestoreJob};
use buttress_connect::sqlite::client::Connection;
use buttress_core::{Clock, Ctx, SystemClock};
use support::Bench;

/// One run: the sources' state to a snapshot.
async fn back_up(bench: &Bench, source: &impl Source) -> BackupReport {
    let scratch = tempfile::tempdir().unwrap();
    let collected = source.collect(scratch.path()).await.unwrap();
    let job = collected.add_to(BackupJob::new(), source.name(), scratch.path()).await.unwrap();
    let report = bench.repository.backup(job).await.unwrap();
    collected.release().await.unwrap();
    report
}

fn group(bench: &Bench, path: &Path, ctx: &Ctx) -> Group {
    let mut folders = FoldersConfig::default();
    (folders.name, folders.paths) = ("files".into(), vec![bench.files()]);
    folders.excludes = vec!["*.tmp".into()];
    let mut sqlite = source::SqliteConfig::default();
    (sqlite.name, sqlite.path) = ("db".into(), path.into());
    let sources = [
        DynSource::new(Folders::new(folders, ctx).unwrap()),
        DynSource::new(source::Sqlite::new(sqlite, ctx).unwrap()),
    ];
    Group::new("shop", sources, ctx).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_come_back_as_they_were_recorded() {
    let (bench, ctx) = (Bench::new().await, Ctx::default());
    let path = bench.target("orders.db");
    let database = Connection::open(&path).unwrap();
    let rows = "CREATE TABLE orders(id INTEGER PRIMARY KEY, note); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
                WHERE i < 40000) INSERT INTO orders(note) SELECT hex(randomblob(100)) FROM n";
    database.execute_batch(rows).unwrap();
    std::fs::write(bench.files().join("blob"), "a blob").unwrap();
    let manifest = Manifest::of(&bench.files()).unwrap();
    std::fs::write(bench.files().join("half.tmp"), "no blob").unwrap();
    let group = group(&bench, &path, &ctx);
    back_up(&bench, &group).await;
    // The next snapshot costs what changed, though all of the database was copied again.
    database.execute("UPDATE orders SET note = 'changed' WHERE id = 20000", ()).unwrap();
    let before = folder_bytes(&bench.place());
    let second = back_up(&bench, &group).await;
    let added = folder_bytes(&bench.place()) - before;
    let whole = std::fs::metadata(&path).unwrap().len();
    assert!(added < whole / 2, "{added} of {whole}");

    let restored = bench.target("restored");
    bench.repository.restore(&second.snapshot, RestoreJob::new(&restored)).await.unwrap();
    let record = Record::read(&restored, "shop").await.unwrap();
    assert_eq!(record.facts["db.rows.orders"], "40000");
    let mut config = SqliteConfig::default();
    (config.name, config.path) = ("orders".into(), "db/orders.db".into());
    config.queries = vec![Query::new("SELECT note FROM orders WHERE id = 20000").equals("changed")];
    let verifier = Sqlite::new(config, &ctx).unwrap().against(record.of("db"));
    let verdict = verifier.verify(&restored, SystemClock.wall()).await.unwrap();
    assert!(verdict.passed() && verdict.checks.len() == 4, "{verdict:?}");

    let mut config = FilesConfig::default();
    config.name = "blobs".into();
    config.path = format!("files{}", bench.files().display()).into();
    let verdict = Files::new(config, &ctx)
        .unwrap()
        .against(manifest)
        .verify(&restored, SystemClock.wall())
        .await
        .unwrap();
    assert!(verdict.passed(), "{verdict:?}");
}

fn folder_bytes(folder: &Path) -> u64 {
    let entries = folder.read_dir().unwrap().flatten();
    entries
        .map(|entry| {
            if entry.path().is_dir() { folder_bytes(&entry.path()) } else { entry.metadata().unwrap().len() }
        })
        .sum()
}
