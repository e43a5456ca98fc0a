#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::{Duration, SystemTime};

use buttress_core::Outcome;
use proptest::prelude::*;

use super::*;
use crate::merkle::leaf_hash;
use crate::{Entry, Record, Value};

fn header() -> Header {
    Header {
        log: [7; 16],
        number: 3,
        first: 10,
        opened: 5,
        session: 2,
        marker: *b"\xf0marker\xf1",
        root: leaf_hash(b"root"),
        chain: leaf_hash(b"chain"),
        previous_length: 99,
        previous_times: (-1, 1),
        previous_failed: true,
    }
}

fn record(sequence: u64) -> Record {
    let entry = Entry::new(SystemTime::UNIX_EPOCH, "test.run", Outcome::Success).with("n", 7);
    Record { sequence, recorded: SystemTime::UNIX_EPOCH, ticks: Duration::from_secs(1), entry }
}

/// A segment with frames of so many entries.
fn segment(frames: &[u64]) -> Vec<u8> {
    let header = header();
    let (mut bytes, mut chain, mut sequence) = (header.encode(), header.chain_start(), header.first);
    for count in frames {
        let (mut frame, mut leaves) = (vec![0; FRAME_HEADER], Vec::new());
        let first = sequence;
        for _ in 0..*count {
            let entry = record(sequence).encode().unwrap();
            frame.extend(u32::try_from(entry.len()).unwrap().to_be_bytes());
            leaves.push(leaf_hash(&entry));
            frame.extend(entry);
            sequence += 1;
        }
        chain = build(&mut frame, first, &leaves, header.marker, &chain);
        bytes.extend(frame);
    }
    bytes
}

#[test]
fn a_header_reads_as_written_and_every_flipped_bit_is_seen() {
    let bytes = header().encode();
    assert_eq!(bytes.len(), HEADER);
    assert_eq!(Header::decode(&bytes).unwrap(), header());
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Header::decode(&flipped).is_err(), "bit {bit}");
    }
}

#[test]
fn every_flipped_bit_of_a_frame_stops_the_scan_before_it() {
    let bytes = segment(&[2, 1, 3]);
    assert_eq!(scan_any(&bytes), 6);
    for bit in HEADER * 8..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(scan_any(&flipped) < 6, "bit {bit}");
    }
}

#[test]
fn a_torn_end_is_told_from_a_hole() {
    let bytes = segment(&[2, 1]);
    let second = segment(&[2]).len();
    for length in HEADER..bytes.len() {
        let whole = if length >= second { 2 } else { 0 };
        assert_eq!(scan_any(&bytes[..length]), whole);
    }
    let marker = header().marker;
    // The first frame is damaged, and the second is there: entries were acknowledged.
    assert!(later_frame(&bytes[HEADER + 1..], marker, 10).unwrap());
    // The second is damaged, and nothing follows.
    assert!(!later_frame(&bytes[second + 1..], marker, 12).unwrap());
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::Float),
        ".{0,8}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..8).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map(".{0,4}", inner, 0..4).prop_map(Value::Map),
        ]
    })
}

proptest! {
    #[test]
    fn an_entry_reads_as_written(
        at in -4_000_000_000_000_000_000_i64..4_000_000_000_000_000_000,
        action in ".{0,20}",
        actor in prop::option::of(".{0,20}"),
        detail in prop::option::of(".{0,20}"),
        data in prop::collection::btree_map(".{0,4}", value(), 0..4),
    ) {
        let mut record = record(9);
        record.entry.at = crate::entry::time_of(at).unwrap();
        record.entry.action = action;
        record.entry.actor = actor;
        record.entry.detail = detail;
        record.entry.data = data;
        let bytes = record.encode().unwrap();
        prop_assert_eq!(Record::decode(&bytes).unwrap(), record);
    }

    #[test]
    fn whatever_reads_as_an_entry_is_its_encoding(bytes in prop::collection::vec(any::<u8>(), 0..200), bit in 0_usize..1000) {
        let mut near = record(9).encode().unwrap();
        let at = bit % (near.len() * 8);
        near[at / 8] ^= 1 << (at % 8);
        for bytes in [bytes, near] {
            if let Ok(record) = Record::decode(&bytes) {
                prop_assert_eq!(record.encode().unwrap(), bytes);
            }
        }
    }

    #[test]
    fn any_bytes_scan(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0_usize..500) {
        scan_any(&bytes);
        let mut whole = segment(&[1, 2]);
        whole.truncate(cut.max(HEADER));
        whole.extend(bytes);
        scan_any(&whole);
    }
}

#[test]
fn an_encoding_that_is_not_canonical_is_refused() {
    let mut record = record(0);
    record.entry.data = [("a".to_owned(), Value::Null), ("b".to_owned(), Value::Null)].into();
    let bytes = record.encode().unwrap();
    let swapped: Vec<u8> = bytes
        .iter()
        .map(|byte| match byte {
            b'a' => b'b',
            b'b' => b'a',
            other => *other,
        })
        .collect();
    assert!(Record::decode(&bytes).is_ok());
    assert!(Record::decode(&swapped).is_err());
    assert!(Record::decode(&[&bytes[..], &[0]].concat()).is_err());
    let deep = (0..20).fold(Value::Null, |inner, _| Value::List(vec![inner]));
    record.entry.data = [("deep".to_owned(), deep)].into();
    assert!(record.encode().is_err());
    record.entry.data = [("nan".to_owned(), Value::Float(f64::NAN))].into();
    assert!(record.encode().is_err());
    record.entry.data = [("long".to_owned(), Value::Bytes(vec![0; crate::LONGEST_ENTRY]))].into();
    assert!(matches!(record.encode(), Err(crate::Error::TooLong { .. })));
}
