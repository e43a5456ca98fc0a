//! Folders are taken as they are, and none that is gone is taken for empty.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing expectation fails the test")]

use std::path::PathBuf;

use buttress_backup::Error;
use buttress_backup::source::{Consistency, DynSource, Folders, FoldersConfig, Source};
use buttress_core::{Ctx, TestClock};

fn config(paths: &[PathBuf]) -> FoldersConfig {
    let mut config = FoldersConfig::default();
    config.name = "files".into();
    config.paths = paths.to_vec();
    config
}

#[tokio::test]
async fn a_folder_lies_under_the_name_of_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let clock = TestClock::new();
    let ctx = Ctx { clock: clock.shared(), ..Ctx::default() };
    let mut config = config(&[folder.path().into()]);
    config.excludes = ["*.tmp", "a/b", "/srv/cache"].map(str::to_owned).to_vec();
    let source = DynSource::new(Folders::new(config, &ctx).unwrap());
    let collected = source.collect(folder.path()).await.unwrap();
    assert_eq!(collected.consistency, Consistency::Crash);
    assert_eq!(collected.taken, ctx.clock.wall());
    let root = collected.roots.first().unwrap();
    assert_eq!(root.on_disk, folder.path());
    assert_eq!(root.in_snapshot, PathBuf::from(format!("/files{}", folder.path().display())));
    assert_eq!(collected.excludes, ["/files/**/*.tmp", "/files/**/a/b", "/files/srv/cache"]);
    collected.release().await.unwrap();
}

#[tokio::test]
async fn a_folder_that_is_gone_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone");
    let source = Folders::new(config(std::slice::from_ref(&gone)), &Ctx::default()).unwrap();
    match source.collect(folder.path()).await {
        Err(Error::File { path, .. }) => assert_eq!(path, gone),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wrong_configuration_says_what_would_do() {
    let paths = |paths: &[&str]| config(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
    for (config, told) in [
        (paths(&[]), "must name a folder"),
        (paths(&["srv"]), "must be absolute"),
        (paths(&["/srv/../etc"]), "must be absolute, without `..`"),
        (paths(&["/srv", "/srv/blobs"]), "lies in another"),
        (paths(&["/srv", "/srv"]), "once"),
        (FoldersConfig::default(), "must be 1 to 64 letters"),
    ] {
        let error = Folders::new(config, &Ctx::default()).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    let mut all = paths(&["/srv"]);
    all.excludes = vec!["/".to_owned()];
    assert!(Folders::new(all, &Ctx::default()).unwrap_err().to_string().contains("excludes"));
}
