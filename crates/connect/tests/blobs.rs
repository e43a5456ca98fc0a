//! Blobs behave alike in a folder and in S3.
#![allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]

use buttress_connect::blobs::{Blobs, BlobsConfig};
use buttress_connect::{ConnectionConfig, Error};
use buttress_core::{ByteSize, Classify, ErrorClass, Validate};
use buttress_testkit::S3;
use bytes::Bytes;

/// The promises of [`Blobs`], wherever they are.
async fn keeps_its_promises(mut config: BlobsConfig) {
    config.max = ByteSize::kib(1);
    config.validate().unwrap();
    let blobs = Blobs::open(&config, &ConnectionConfig::default()).await.unwrap();
    let missing = blobs.get("a/one").await.unwrap_err();
    assert!(matches!(missing, Error::NoBlob { .. }), "{missing}");
    assert!(!blobs.has("a/one").await.unwrap());

    blobs.put("a/one", Bytes::from_static(b"first")).await.unwrap();
    blobs.put("a/one", Bytes::from_static(b"second")).await.unwrap();
    assert_eq!(blobs.get("a/one").await.unwrap(), "second");
    assert!(!blobs.put_new("a/one", Bytes::from_static(b"third")).await.unwrap(), "it is there");
    assert_eq!(blobs.get("a/one").await.unwrap(), "second");
    assert!(blobs.put_new("a/b/two", Bytes::new()).await.unwrap());
    assert_eq!(blobs.get("a/b/two").await.unwrap(), "");
    blobs.put("other", Bytes::new()).await.unwrap();
    assert_eq!(blobs.list("a").await.unwrap(), ["a/b/two", "a/one"]);
    assert!(blobs.list("nothing").await.unwrap().is_empty());

    blobs.delete("a/one").await.unwrap();
    blobs.delete("a/one").await.unwrap();
    assert!(!blobs.has("a/one").await.unwrap());

    let large = blobs.put("large", vec![0; 1025].into()).await.unwrap_err();
    assert_eq!(large.class(), ErrorClass::TooLarge);
    for name in ["", "../outside", "/etc/passwd", ".hidden", "a b"] {
        assert!(matches!(blobs.get(name).await, Err(Error::BlobName { .. })), "{name}");
    }
}

#[tokio::test]
async fn a_folder_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = BlobsConfig::default();
    config.url = folder.path().join("deep/blobs").display().to_string();
    keeps_its_promises(config).await;
}

#[tokio::test]
async fn s3_keeps_its_promises() {
    let s3 = S3::start();
    s3.create_bucket("documents");
    for url in ["s3://documents", "s3://documents/with/prefix"] {
        keeps_its_promises(in_s3(&s3, url)).await;
    }
}

#[tokio::test]
async fn s3_does_not_let_everybody_in() {
    let s3 = S3::start();
    s3.create_bucket("documents");
    let mut config = in_s3(&s3, "s3://documents");
    config.s3.secret_access_key = Some("guessed".to_owned());
    let blobs = Blobs::open(&config, &ConnectionConfig::default()).await.unwrap();
    let error = blobs.put("a", Bytes::new()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Forbidden, "{error:?}");
}

fn in_s3(s3: &S3, url: &str) -> BlobsConfig {
    let mut config = BlobsConfig::default();
    url.clone_into(&mut config.url);
    config.s3.endpoint = Some(s3.endpoint());
    config.s3.access_key_id = Some(S3::ACCESS_KEY_ID.to_owned());
    config.s3.secret_access_key = Some(S3::SECRET_ACCESS_KEY.to_owned());
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_writers_one_is_told_that_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = BlobsConfig::default();
    config.url = folder.path().display().to_string();
    let blobs = Blobs::open(&config, &ConnectionConfig::default()).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for i in 0..20 {
        let blobs = blobs.clone();
        writers.spawn(async move {
            let wrote = blobs.put_new("one/result", Bytes::from(format!("writer {i}"))).await.unwrap();
            wrote.then_some(i)
        });
    }
    let wrote: Vec<i32> = writers.join_all().await.into_iter().flatten().collect();
    assert_eq!(wrote.len(), 1, "{wrote:?}");
    assert_eq!(blobs.get("one/result").await.unwrap(), format!("writer {}", wrote.first().unwrap()));
}
