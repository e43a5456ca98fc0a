//! Blobs behave alike in a folder and in S3.
#![allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]

use std::time::Duration;

use buttress_connect::blobs::{Blobs, BlobsConfig};
use buttress_connect::{ConnectionConfig, Error};
use buttress_core::{ByteSize, Classify, ErrorClass, Validate, chain};
use buttress_testkit::{FaultProxy, S3, S3Fault};
use bytes::Bytes;

const BUSY: S3Fault = S3Fault::Refused(503, "SlowDown");

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

    for (range, expected) in
        [(0..6, "second"), (2..4, "co"), (3..100, "ond"), (6..7, ""), (99..100, ""), (1..1, "")]
    {
        let bytes = blobs.get_range("a/one", range.clone()).await.unwrap();
        assert_eq!(bytes, expected, "{range:?}");
    }
    for range in [0..1, 1..1] {
        let missing = blobs.get_range("a/none", range).await.unwrap_err();
        assert!(matches!(missing, Error::NoBlob { .. }), "{missing}");
    }
    let large = blobs.get_range("a/one", 0..1025).await.unwrap_err();
    assert_eq!(large.class(), ErrorClass::TooLarge);
    let listed = blobs.list_about("a").await.unwrap();
    let sizes: Vec<_> = listed.iter().map(|blob| (blob.name.as_str(), blob.size)).collect();
    assert_eq!(sizes, [("a/b/two", 0), ("a/one", 6)]);
    let one = blobs.about("a/one").await.unwrap().unwrap();
    assert_eq!(one.size, 6);
    assert!(one.modified.unwrap().elapsed().unwrap_or_default() < std::time::Duration::from_hours(1));
    assert_eq!(blobs.about("a/none").await.unwrap(), None);

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

#[tokio::test]
async fn s3_says_what_is_wrong_with_who_asks() {
    let s3 = S3::start();
    s3.create_bucket("documents");
    let good = in_s3(&s3, "s3://documents");
    let mut guessed = good.clone();
    guessed.s3.secret_access_key = Some("guessed".to_owned());
    let mut unknown = good.clone();
    unknown.s3.access_key_id = Some("nobody".to_owned());
    for (config, told) in [(guessed, "`secret_access_key` is not that"), (unknown, "does not know")] {
        let blobs = Blobs::open(&config, &ConnectionConfig::default()).await.unwrap();
        for error in [
            blobs.list("a").await.unwrap_err(),
            blobs.put("a", Bytes::new()).await.unwrap_err(),
            blobs.put_new("a", Bytes::new()).await.unwrap_err(),
            blobs.get_range("a", 0..1).await.unwrap_err(),
            blobs.delete("a").await.unwrap_err(),
        ] {
            assert_eq!(error.class(), ErrorClass::Forbidden, "{error:?}");
            assert!(chain(&error).contains(told), "{error:?}");
        }
        // The answer to HEAD has no body that could tell more.
        assert_eq!(blobs.has("a").await.unwrap_err().class(), ErrorClass::Forbidden);
    }

    let nowhere = in_s3(&s3, "s3://nowhere");
    let blobs = Blobs::open(&nowhere, &ConnectionConfig::default()).await.unwrap();
    let error = blobs.list("a").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound, "{error:?}");
    assert!(chain(&error).contains("no such bucket"), "{error:?}");
}

#[tokio::test]
async fn s3_says_that_a_clock_is_wrong() {
    let s3 = S3::start_with_another_time();
    s3.create_bucket("documents");
    let config = in_s3(&s3, "s3://documents");
    let blobs = Blobs::open(&config, &ConnectionConfig::default()).await.unwrap();
    let error = blobs.put("a", Bytes::new()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Forbidden, "{error:?}");
    assert!(chain(&error).contains("clocks of this machine and of the server"), "{error:?}");
}

#[tokio::test]
async fn s3_is_asked_again_after_a_failure_that_passes_and_not_for_ever() {
    let s3 = S3::start();
    s3.create_bucket("documents");
    let config = in_s3(&s3, "s3://documents");
    let blobs = Blobs::open(&config, &ConnectionConfig::default()).await.unwrap();
    s3.fail(0, 2, BUSY);
    blobs.put("one", Bytes::from_static(b"1")).await.unwrap();
    s3.fail(0, 2, BUSY);
    assert_eq!(blobs.get("one").await.unwrap(), "1");
    s3.fail(0, 2, BUSY);
    assert_eq!(blobs.list_about("one").await.unwrap(), []);

    s3.fail(0, 100, BUSY);
    let before = s3.requests();
    let error = blobs.get("one").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error:?}");
    assert_eq!(s3.requests() - before, 4);
    s3.heal();

    // Done, but the answer was lost: the second try finds its own blob.
    s3.fail(0, 1, S3Fault::Unanswered);
    assert!(blobs.put_new("new", Bytes::from_static(b"mine")).await.unwrap());
    s3.fail(0, 1, S3Fault::Unanswered);
    assert!(!blobs.put_new("new", Bytes::from_static(b"mine")).await.unwrap());
}

/// AWS says 409 while others write the name, and some servers say 412 for no reason. Neither means that there is a blob.
#[tokio::test]
async fn s3_that_refuses_a_blob_as_there_is_believed_when_it_is_there() {
    let s3 = S3::start();
    s3.create_bucket("documents");
    let blobs = Blobs::open(&in_s3(&s3, "s3://documents"), &ConnectionConfig::default()).await.unwrap();
    let refusals =
        [S3Fault::Refused(409, "ConditionalRequestConflict"), S3Fault::Refused(412, "PreconditionFailed")];
    for (number, refusal) in refusals.into_iter().enumerate() {
        let name = format!("new/{number}");
        s3.fail(0, 100, refusal);
        let before = s3.requests();
        let error = blobs.put_new(&name, Bytes::from_static(b"mine")).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error:?}");
        assert_eq!(s3.requests() - before, 8, "four times, and each time it is looked for");
        let error = blobs.put(&name, Bytes::from_static(b"mine")).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error:?}");
        s3.heal();
        assert!(!blobs.has(&name).await.unwrap());

        s3.fail(0, 2, refusal);
        assert!(blobs.put_new(&name, Bytes::from_static(b"mine")).await.unwrap());
        s3.fail(0, 1, refusal);
        assert!(!blobs.put_new(&name, Bytes::from_static(b"theirs")).await.unwrap(), "it is there");
        assert_eq!(blobs.get(&name).await.unwrap(), "mine");
    }
}

/// The answer to a read of all tells no more than its length; what is asked otherwise is not mistaken.
#[tokio::test]
async fn what_s3_answers_in_part_is_read_on_and_what_it_leaves_out_is_asked_again() {
    let s3 = S3::start();
    s3.create_bucket("documents");
    let blobs = Blobs::open(&in_s3(&s3, "s3://documents"), &ConnectionConfig::default()).await.unwrap();
    let bytes: Bytes = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    blobs.put("a/one", bytes.clone()).await.unwrap();
    for times in 1..3 {
        s3.fail(0, times, S3Fault::Cut);
        assert!(blobs.get("a/one").await.unwrap() == bytes);
        s3.fail(0, times, S3Fault::Cut);
        assert!(blobs.get_range("a/one", 7..300_000).await.unwrap() == bytes.slice(7..300_000));
    }
    for fault in [S3Fault::Cut, S3Fault::Empty] {
        s3.fail(0, 1, fault);
        let error = blobs.list("a").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unavailable, "{error:?}");
    }
    s3.fail(0, 1, S3Fault::Empty);
    let error = blobs.get_range("a/one", 7..300_000).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error:?}");
    assert_eq!(blobs.list("a").await.unwrap(), ["a/one"]);
    let refusals = [(429, ErrorClass::Throttled), (408, ErrorClass::Timeout), (507, ErrorClass::Overloaded)];
    for (status, class) in refusals {
        s3.fail(0, 100, S3Fault::Refused(status, "Busy"));
        assert_eq!(blobs.get("a/one").await.unwrap_err().class(), class);
        s3.heal();
    }
}

#[tokio::test]
async fn a_request_to_s3_may_take_long_as_long_as_it_moves() {
    let s3 = S3::start();
    s3.create_bucket("documents");
    let proxy = FaultProxy::to(s3.addr());
    let mut config = in_s3(&s3, "s3://documents");
    config.s3.endpoint = Some(format!("http://{}", proxy.addr()));
    config.s3.stall = Duration::from_secs(5);
    config.validate().unwrap();
    let blobs = Blobs::open(&config, &ConnectionConfig::default()).await.unwrap();
    // It takes more than five seconds to come through, in one request. A part of it lies in buffers of the system.
    let bytes: Bytes = (0..(16_u32 << 20) / 4).flat_map(u32::to_le_bytes).collect();
    proxy.limit(5 << 19);
    blobs.put("large", bytes.clone()).await.unwrap();
    assert!(blobs.get_range("large", 0..14 << 20).await.unwrap() == bytes.slice(..14 << 20));
    proxy.pass();

    config.s3.stall = Duration::from_millis(200);
    let mut connection = ConnectionConfig::default();
    connection.timeout = Duration::from_millis(100);
    let blobs = Blobs::open(&config, &connection).await.unwrap();
    let timed_out = |error: Error| {
        assert_eq!(error.class(), ErrorClass::Timeout, "{error:?}");
        assert!(chain(&error).contains("nothing moved for 200ms"), "{error:?}");
    };
    proxy.stall();
    timed_out(blobs.put("large", bytes.clone()).await.unwrap_err());
    timed_out(blobs.put_new("small", Bytes::from_static(b"small")).await.map(drop).unwrap_err());
    timed_out(blobs.get("large").await.unwrap_err());
    proxy.pass();
    // What was held up comes through now, so that nobody knows which request is the next.
    s3.fail(0, 100, S3Fault::Silence);
    timed_out(blobs.list("large").await.unwrap_err());
    s3.heal();
    assert!(blobs.has("large").await.unwrap());

    config.s3.stall = Duration::ZERO;
    let wrong = config.validate().unwrap_err();
    assert_eq!(wrong.as_slice().first().unwrap().field, "s3.stall");
}

#[tokio::test]
async fn a_large_blob_goes_to_s3_in_parts() {
    let s3 = S3::start();
    s3.create_bucket("documents");
    let config = in_s3(&s3, "s3://documents/with/prefix");
    let blobs = Blobs::open(&config, &ConnectionConfig::default()).await.unwrap();
    let bytes: Bytes = (0..(17_u32 << 20) / 4).flat_map(u32::to_le_bytes).collect();
    let before = s3.requests();
    blobs.put("large", bytes.clone()).await.unwrap();
    assert_eq!(s3.requests() - before, 5, "it is begun, has three parts, and is completed");
    assert!(blobs.get("large").await.unwrap() == bytes);
    let seam = 8 << 20;
    let across = blobs.get_range("large", seam - 3..seam + 5).await.unwrap();
    assert_eq!(across, bytes.slice((8 << 20) - 3..(8 << 20) + 5));

    // In the place of another, with a part refused and an answer lost.
    let other = bytes.slice(4..);
    s3.fail(0, 1, BUSY);
    s3.fail(0, 1, S3Fault::Unanswered);
    blobs.put("large", other.clone()).await.unwrap();
    assert!(blobs.get("large").await.unwrap() == other);
    // Not conditional in parts, so that it is never half an answer.
    assert!(!blobs.put_new("large", bytes.clone()).await.unwrap());
    assert!(blobs.put_new("large-too", bytes.clone()).await.unwrap());
    assert!(blobs.get("large-too").await.unwrap() == bytes);
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
