//! Every change is found, and nothing is told but that.

use std::io::Read;

use buttress_core::{Classify, ErrorClass};
use buttress_secrets::seal::{Key, KeyId, Keyring, SealError, key_of};

use crate::model::keys;

/// Three segments, the last of them not full.
fn stream() -> (Vec<u8>, Vec<u8>) {
    let text: Vec<u8> = (0..2500_u32).map(|at| at.to_le_bytes()[0]).collect();
    let sealed = keys().seal(&text, b"table/row").unwrap();
    (text, sealed)
}

/// What a reader hands out, and whether it said at the end that this was all.
fn read(sealed: &[u8]) -> (Vec<u8>, bool) {
    let mut plain = Vec::new();
    let whole = keys().open_from(sealed, b"table/row").read_to_end(&mut plain).is_ok();
    (plain, whole)
}

#[test]
fn every_flip_of_a_bit_is_found() {
    let (text, mut sealed) = stream();
    for bit in 0..sealed.len() * 8 {
        sealed[bit / 8] ^= 1 << (bit % 8);
        assert!(keys().open(&sealed, b"table/row").is_err(), "bit {bit}");
        sealed[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(keys().open(&sealed, b"table/row").unwrap(), text);
}

#[test]
fn every_truncation_is_found_and_only_verified_text_is_handed_out() {
    let (text, sealed) = stream();
    for length in 0..sealed.len() {
        let error = keys().open(&sealed[..length], b"table/row").unwrap_err();
        let expected = match length {
            ..74 => matches!(error, SealError::NotSealed),
            _ => matches!(error, SealError::Truncated(_)),
        };
        assert!(expected, "{length}: {error}");
        let (plain, whole) = read(&sealed[..length]);
        assert!(!whole && text.starts_with(&plain), "{length}");
        assert_eq!(plain.len() % 1024, 0, "only whole segments go out");
    }
    assert_eq!(read(&sealed), (text, true));
}

#[test]
fn every_extension_is_found() {
    let (_, sealed) = stream();
    for more in [&[0][..], &[0; 16], &[0; 1040], &sealed[74..], &sealed[74..74 + 1040], &sealed] {
        let longer = [&sealed, more].concat();
        assert!(keys().open(&longer, b"table/row").is_err());
        assert!(!read(&longer).1);
    }
}

#[test]
fn a_segment_of_another_stream_is_found() {
    let ((_, one), (_, other)) = (stream(), stream());
    let mixed = [&one[..74 + 1040], &other[74 + 1040..]].concat();
    assert_eq!(keys().open(&mixed, b"table/row").unwrap_err(), SealError::Segment(1));
    let headed = [&one[..74], &other[74..]].concat();
    assert_eq!(keys().open(&headed, b"table/row").unwrap_err(), SealError::Segment(0));
}

#[test]
fn it_opens_for_its_purpose_and_with_its_key_only() {
    let (_, sealed) = stream();
    for aad in [&b""[..], b"table/ro", b"table/row\0", b"table/rox"] {
        assert_eq!(keys().open(&sealed, aad).unwrap_err(), SealError::Header);
    }
    let same_number = Keyring::new(KeyId(7), Key::generate().unwrap());
    assert_eq!(same_number.open(&sealed, b"table/row").unwrap_err(), SealError::Header);
    let other_number = Keyring::new(KeyId(8), Key::generate().unwrap());
    assert_eq!(other_number.open(&sealed, b"table/row").unwrap_err(), SealError::UnknownKey(KeyId(7)));
}

#[test]
fn what_is_no_stream_says_so() {
    let (_, mut sealed) = stream();
    assert_eq!(keys().open(b"", b"").unwrap_err(), SealError::NotSealed);
    assert_eq!(keys().open(&[b'x'; 200], b"").unwrap_err(), SealError::NotSealed);
    assert_eq!(key_of(&sealed).unwrap(), KeyId(7));
    sealed[5] = 40;
    assert_eq!(key_of(&sealed).unwrap_err(), SealError::SegmentSize);
    sealed[4] = 2;
    let error = keys().open(&sealed, b"").unwrap_err();
    assert_eq!((error, error.class()), (SealError::Version(2), ErrorClass::Unsupported));
}

#[test]
fn after_an_error_nothing_comes_any_more() {
    let (_, mut sealed) = stream();
    sealed[74 + 1040] ^= 1;
    let mut opener = keys().opener(b"table/row");
    let mut plain = Vec::new();
    assert_eq!(opener.push(&sealed, &mut plain).unwrap_err(), SealError::Segment(1));
    assert_eq!(plain.len(), 1024, "the first segment is verified");
    assert_eq!(opener.push(&sealed[74 + 1040..], &mut plain).unwrap_err(), SealError::Segment(1));
    assert_eq!(opener.finish(&mut plain).unwrap_err(), SealError::Segment(1));
    assert_eq!(plain.len(), 1024);

    let mut reader = keys().open_from(&sealed[..], b"table/row");
    let mut buffer = [0; 4096];
    assert_eq!(reader.read(&mut buffer).unwrap(), 1024);
    for _ in 0..2 {
        let error = reader.read(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert_eq!(error.to_string(), SealError::Segment(1).to_string());
    }
}

#[test]
fn no_key_and_no_text_is_shown() {
    let key = Key::from_bytes(&[0xab; 32]).unwrap();
    let ring = Keyring::new(KeyId(1), key.clone());
    let mut sealer = ring.sealer(b"purpose").unwrap();
    sealer.push(b"planted", &mut Vec::new()).unwrap();
    let shown = format!("{key:?} {ring:?} {sealer:?} {:?}", ring.opener(b"purpose"));
    for secret in ["171", "ab", "planted", "112", "purpose"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
