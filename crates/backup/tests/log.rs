//! A sealed log: what was acknowledged is there, in order, and whatever became of it since is found and named.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use buttress_backup::Error;
use buttress_backup::log::{
    Header, Kind, Log, LogConfig, LogKey, LogSource, Next, Piece, Position, Segment, Shipper, Tip,
};
use buttress_core::{Classify, Ctx, ErrorClass, Probe, Vitality};
use proptest::prelude::*;
use secrecy::SecretString;
use tempfile::TempDir;

const KIND: Kind = Kind(1000);

fn password() -> SecretString {
    "correct horse battery staple".to_owned().into()
}

fn config(folder: &Path) -> LogConfig {
    let mut config = LogConfig::default();
    config.blobs.url = folder.display().to_string();
    config.interval = Duration::from_millis(10);
    config
}

struct Place {
    folder: TempDir,
    log: Log,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::create(&config(folder.path()), &password(), &Ctx::default()).await.unwrap();
        Self { folder, log }
    }

    /// A log of so many segments, of ten bytes each.
    async fn with(segments: u64) -> (Self, Vec<Tip>) {
        let place = Self::new().await;
        let mut writer = place.log.writer(KIND, None).await.unwrap();
        let mut tips = Vec::new();
        for number in 0..segments {
            tips.push(writer.append(piece(number)).await.unwrap());
        }
        (place, tips)
    }

    fn object(&self, number: u64) -> PathBuf {
        self.folder.path().join(format!("log/main/{number:020}"))
    }

    async fn all(&self, known: Option<&Tip>) -> Result<Vec<Segment>, Error> {
        all(&self.log, known).await
    }
}

async fn all(log: &Log, known: Option<&Tip>) -> Result<Vec<Segment>, Error> {
    let mut segments = log.segments(1, known).await?;
    let mut found = Vec::new();
    while let Some(segment) = segments.next().await? {
        found.push(segment);
    }
    Ok(found)
}

fn piece(number: u64) -> Piece {
    Piece {
        epoch: 1,
        first: number * 10,
        last: (number + 1) * 10,
        time: SystemTime::UNIX_EPOCH + Duration::from_secs(number),
        payload: format!("number {number}, {}", "x".repeat(100)).into(),
    }
}

/// The object that an error says is damaged, and what is wrong.
fn damage<T: std::fmt::Debug>(outcome: Result<T, Error>) -> (String, String) {
    match outcome {
        Err(Error::Damaged { object, problem, .. }) => (object, problem),
        other => panic!("damage was not found: {other:?}"),
    }
}

#[tokio::test]
async fn what_was_written_is_read_by_who_has_the_password() {
    let (place, tips) = Place::with(5).await;
    let opened = Log::open(&config(place.folder.path()), &password(), &Ctx::default()).await.unwrap();
    let read = all(&opened, tips.last()).await.unwrap();
    assert_eq!(read.len(), 5);
    for (number, (segment, tip)) in (0..).zip(read.iter().zip(&tips)) {
        assert_eq!(segment.payload, piece(number).payload);
        assert_eq!((segment.tip(), segment.kind), (*tip, KIND));
    }
    assert_eq!(opened.tip().await.unwrap().as_ref(), tips.last());

    let stored = fs::read(place.object(1)).unwrap();
    assert!(!stored.windows(6).any(|window| window == b"number"), "the payload is sealed");

    let wrong = Log::open(&config(place.folder.path()), &"wrong".to_owned().into(), &Ctx::default()).await;
    assert_eq!(wrong.unwrap_err().class(), ErrorClass::Unauthenticated);
    let twice = Log::create(&config(place.folder.path()), &password(), &Ctx::default()).await;
    assert_eq!(twice.unwrap_err().class(), ErrorClass::Conflict);
    let mut other = config(place.folder.path());
    other.name = "other".to_owned();
    let none = Log::open(&other, &password(), &Ctx::default()).await;
    assert_eq!(none.unwrap_err().class(), ErrorClass::NotFound);
    other.name = "../other".to_owned();
    assert!(matches!(Log::create(&other, &password(), &Ctx::default()).await, Err(Error::Config(_))));
}

#[tokio::test]
async fn an_escrow_opens_a_log_whose_key_is_lost() {
    let (place, _) = Place::with(2).await;
    let vault: SecretString = "another, in the safe".to_owned().into();
    let escrow = place.log.key().escrow("main", &vault).unwrap();
    fs::remove_file(place.folder.path().join("log/main/key")).unwrap();
    assert!(Log::open(&config(place.folder.path()), &password(), &Ctx::default()).await.is_err());

    let wrong = LogKey::unseal(&escrow, "main", &password(), "the safe");
    assert_eq!(wrong.unwrap_err().class(), ErrorClass::Unauthenticated);
    let renamed = LogKey::unseal(&escrow, "other", &vault, "the safe");
    assert_eq!(renamed.unwrap_err().class(), ErrorClass::Unauthenticated);
    let key = LogKey::unseal(&escrow, "main", &vault, "the safe").unwrap();
    let opened = Log::with_key(&config(place.folder.path()), key, &Ctx::default()).await.unwrap();
    assert_eq!(all(&opened, None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_key_file_that_asks_for_the_moon_is_refused() {
    let escrow = LogKey::generate().unwrap().escrow("main", &password()).unwrap();
    for (at, what) in [(32, "memory"), (36, "passes"), (40, "lanes")] {
        let mut greedy = escrow.to_vec();
        greedy[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        let (object, _) = damage(LogKey::unseal(&greedy, "main", &password(), "here"));
        assert_eq!(object, "log/main/key", "{what}");
    }
    damage(LogKey::unseal(&escrow[..escrow.len() - 1], "main", &password(), "here"));
    damage(LogKey::unseal(b"", "main", &password(), "here"));
}

#[tokio::test]
async fn a_lost_segment_is_named() {
    let (place, tips) = Place::with(5).await;
    fs::remove_file(place.object(3)).unwrap();
    let (object, problem) = damage(place.all(None).await);
    assert!(object.ends_with("00003") && problem.contains("missing"), "{object}: {problem}");
    damage(place.log.writer(KIND, None).await);
    damage(place.log.writer(KIND, tips.last()).await);
}

#[tokio::test]
async fn an_end_that_is_lost_is_known_by_who_kept_a_tip() {
    let (place, tips) = Place::with(5).await;
    fs::remove_file(place.object(5)).unwrap();
    fs::remove_file(place.object(4)).unwrap();
    assert_eq!(place.all(tips.get(2)).await.unwrap().len(), 3, "the chain alone cannot tell");
    let (object, problem) = damage(place.all(tips.last()).await);
    assert!(object.ends_with("00004") && problem.contains("lost"), "{object}: {problem}");
    damage(place.log.writer(KIND, tips.last()).await);
}

#[tokio::test]
async fn segments_in_anothers_place_are_named() {
    let (place, tips) = Place::with(5).await;
    let (third, fourth) = (fs::read(place.object(3)).unwrap(), fs::read(place.object(4)).unwrap());
    fs::write(place.object(3), &fourth).unwrap();
    fs::write(place.object(4), &third).unwrap();
    let (object, problem) = damage(place.all(None).await);
    assert!(object.ends_with("00003") && problem.contains("number 4"), "{object}: {problem}");

    // A former history of the same log: the same numbers, sealed with the same key.
    fs::write(place.object(3), &third).unwrap();
    fs::remove_file(place.object(4)).unwrap();
    fs::remove_file(place.object(5)).unwrap();
    place.log.writer(KIND, None).await.unwrap().append(piece(3)).await.unwrap();
    let rewritten = fs::read(place.object(4)).unwrap();
    place.log.writer(KIND, None).await.unwrap().append(piece(4)).await.unwrap();
    fs::write(place.object(4), &fourth).unwrap();
    let (object, problem) = damage(place.all(None).await);
    assert!(object.ends_with("00005") && problem.contains("does not follow"), "{object}: {problem}");
    fs::write(place.object(4), &rewritten).unwrap();
    assert_eq!(place.all(None).await.unwrap().len(), 5);
    let (object, problem) = damage(place.all(tips.last()).await);
    assert!(object.ends_with("00005") && problem.contains("replaced"), "{object}: {problem}");

    let (other, _) = Place::with(5).await;
    fs::copy(other.object(2), place.object(2)).unwrap();
    let (object, problem) = damage(place.all(None).await);
    assert!(object.ends_with("00002") && problem.contains("another log"), "{object}: {problem}");
}

#[tokio::test]
async fn every_changed_bit_and_every_cut_is_found() {
    let (place, _) = Place::with(3).await;
    let whole = fs::read(place.object(2)).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(place.object(2), &changed).unwrap();
        let (object, _) = damage(place.all(None).await);
        assert!(object.ends_with("00002"), "{object}, byte {at}");
    }
    for length in 0..whole.len() {
        fs::write(place.object(2), &whole[..length]).unwrap();
        assert!(damage(place.all(None).await).0.ends_with("00002"), "cut to {length}");
    }
    fs::write(place.object(2), [whole.as_slice(), b"x"].concat()).unwrap();
    assert!(damage(place.all(None).await).0.ends_with("00002"));
    fs::write(place.object(2), &whole).unwrap();
    assert_eq!(place.all(None).await.unwrap().len(), 3);
}

#[tokio::test]
async fn of_two_writers_one_is_refused() {
    let (place, _) = Place::with(2).await;
    let mut one = place.log.writer(KIND, None).await.unwrap();
    let mut two = place.log.writer(KIND, None).await.unwrap();
    one.append(piece(2)).await.unwrap();
    let refused = two.append(piece(2)).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Conflict, "{refused}");
    assert!(two.append(piece(3)).await.is_err(), "it has to look first");
    one.append(piece(3)).await.unwrap();
    let mut two = place.log.writer(KIND, None).await.unwrap();
    two.append(piece(4)).await.unwrap();
    assert_eq!(place.all(None).await.unwrap().len(), 5);
    let foreign = place.log.writer(Kind(1001), None).await.unwrap_err();
    assert_eq!(foreign.class(), ErrorClass::Conflict, "{foreign}");
}

#[tokio::test]
async fn positions_have_no_gap() {
    let (place, _) = Place::with(2).await;
    let at = |epoch, first, last| Piece { epoch, first, last, ..piece(0) };
    for (wrong, what) in [
        (at(1, 21, 30), "a gap"),
        (at(1, 19, 30), "back"),
        (at(2, 21, 30), "a gap before a fork"),
        (at(0, 20, 30), "a former epoch"),
        (at(1, 20, 19), "an end before its begin"),
    ] {
        let mut writer = place.log.writer(KIND, None).await.unwrap();
        let refused = writer.append(wrong).await.unwrap_err();
        assert_eq!(refused.class(), ErrorClass::Conflict, "{what}: {refused}");
    }
    let mut writer = place.log.writer(KIND, None).await.unwrap();
    writer.append(at(3, 15, 30)).await.unwrap();
    writer.append(at(3, 30, 30)).await.unwrap();
    assert_eq!(place.all(None).await.unwrap().len(), 4);
}

#[tokio::test]
async fn retention_lets_go_what_no_base_needs() {
    let (place, tips) = Place::with(10).await;
    let at = |offset| Position { epoch: 1, offset };
    for (offset, number) in
        [(0, Some(1)), (9, Some(1)), (10, Some(2)), (55, Some(6)), (99, Some(10)), (100, None)]
    {
        assert_eq!(place.log.locate(at(offset)).await.unwrap(), number, "{offset}");
    }
    assert_eq!(place.log.retain(at(55)).await.unwrap(), 5);
    assert_eq!(place.log.retain(at(55)).await.unwrap(), 0);
    let left = place.all(tips.get(2)).await.unwrap();
    assert_eq!(left.iter().map(|segment| segment.sequence).collect::<Vec<_>>(), [6, 7, 8, 9, 10]);
    assert_eq!(place.log.retain(at(1000)).await.unwrap(), 4, "the newest stays");
    place.log.writer(KIND, tips.last()).await.unwrap().append(piece(10)).await.unwrap();
}

/// Counts: everything up to `now` exists.
struct Counter {
    now: u64,
}

impl LogSource for Counter {
    const KIND: Kind = KIND;

    async fn next(&mut self, tip: Option<&Tip>) -> Result<Next, Error> {
        let number = tip.map_or(0, |tip| tip.position.offset / 10);
        let complete = Next::Complete(SystemTime::UNIX_EPOCH + Duration::from_secs(number));
        Ok(if number < self.now { Next::Piece(piece(number)) } else { complete })
    }

    async fn shipped(&mut self, _: &Tip) -> Result<(), Error> {
        Ok(())
    }
}

#[tokio::test]
async fn a_shipper_goes_on_after_the_store_was_away() {
    let place = Place::new().await;
    let note = tempfile::tempdir().unwrap();
    let start = |now, log: &Log| {
        Shipper::start(log.clone(), Counter { now }, note.path(), Duration::from_secs(5)).unwrap()
    };
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);

    let ctx = Ctx::default();
    let log = Log::open(&config(place.folder.path()), &password(), &ctx).await.unwrap();
    let shipper = start(7, &log);
    assert!(shipper.complete_at(at(7)).await);
    assert!(
        matches!(shipper.check().await, Vitality::Fail(why) if why.contains("behind")),
        "1970 is long ago"
    );
    ctx.shutdown.stop();
    ctx.shutdown.finished().await;

    // The store is away, and comes back.
    let folder = place.folder.path().join("log/main");
    let aside = place.folder.path().join("log/aside");
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "").unwrap();
    let ctx = Ctx::default();
    let key = LogKey::unseal(&fs::read(aside.join("key")).unwrap(), "main", &password(), "").unwrap();
    let log = Log::with_key(&config(place.folder.path()), key, &ctx).await.unwrap();
    let shipper = start(20, &log);
    while shipper.status().failure.is_none() {
        tokio::task::yield_now().await;
    }
    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    assert!(shipper.complete_at(at(20)).await);
    assert_eq!(place.all(shipper.status().tip.as_ref()).await.unwrap().len(), 20);

    // The end is lost while it runs: the probe asks the store, and a new shipper refuses to write over the hole.
    fs::remove_file(place.object(20)).unwrap();
    assert!(place.log.tip().await.unwrap().is_some_and(|tip| tip.sequence == 19));
    ctx.shutdown.stop();
    ctx.shutdown.finished().await;
    let ctx = Ctx::default();
    let log = Log::open(&config(place.folder.path()), &password(), &ctx).await.unwrap();
    let shipper = start(30, &log);
    while shipper.status().failure.is_none() {
        tokio::task::yield_now().await;
    }
    assert!(shipper.status().failure.unwrap().contains("lost"));
    assert!(!place.object(20).exists());
    ctx.shutdown.stop();
    ctx.shutdown.finished().await;
}

proptest! {
    #[test]
    fn a_header_has_one_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = bytes;
        prop_assert!(Header::decode(&bytes).is_err());
        if bytes.len() >= 16 {
            bytes[..16].copy_from_slice(b"buttress-log   1");
        }
        if let Ok((header, rest)) = Header::decode(&bytes) {
            prop_assert_eq!([header.encode().as_slice(), rest].concat(), bytes);
        }
    }

    #[test]
    fn what_is_sealed_opens(payload in proptest::collection::vec(any::<u8>(), 0..5000), numbers in any::<[u64; 4]>(), nanos in any::<i64>()) {
        let key = LogKey::generate().unwrap();
        let [sequence, epoch, one, two] = numbers;
        let sequence = sequence.max(1);
        let span = Duration::from_nanos(nanos.unsigned_abs());
        let time = if nanos < 0 { SystemTime::UNIX_EPOCH - span } else { SystemTime::UNIX_EPOCH + span };
        let piece = Piece { epoch, first: one.min(two), last: one.max(two), time, payload: payload.into() };
        let previous = buttress_backup::Id::of(b"previous");
        let object = key.seal("main", sequence, previous, KIND, &piece).unwrap();
        let segment = key.open("main", &object).unwrap();
        prop_assert_eq!(segment.payload, piece.payload);
        prop_assert_eq!(segment.first, Position { epoch, offset: piece.first });
        prop_assert_eq!(segment.last, Position { epoch, offset: piece.last });
        prop_assert_eq!((segment.sequence, segment.time), (sequence, time));
        prop_assert!(key.open("other", &object).is_err());
        prop_assert!(LogKey::generate().unwrap().open("main", &object).is_err());
    }
}
