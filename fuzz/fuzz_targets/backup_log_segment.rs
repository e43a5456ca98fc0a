//! Any bytes as a segment of a backup's log: refused, or a header with one encoding. And any bytes inside of a sealed segment, which come back as
//! they were; as the key of a log they are refused before any memory is given to them.

#![no_main]

use std::sync::LazyLock;
use std::time::SystemTime;

use buttress_backup::Id;
use buttress_backup::log::{Header, Kind, LogKey, Piece};
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<LogKey> = LazyLock::new(|| LogKey::generate().expect("random bytes"));

fuzz_target!(|bytes: &[u8]| {
    if let Ok((header, rest)) = Header::decode(bytes) {
        assert_eq!([header.encode().as_slice(), rest].concat(), bytes);
    }
    assert!(KEY.open("main", bytes).is_err());

    let piece =
        Piece { epoch: 1, first: 0, last: 1, time: SystemTime::UNIX_EPOCH, payload: bytes.to_vec().into() };
    let object = KEY.seal("main", 1, Id::of(b""), Kind(1000), &piece).expect("it fits");
    assert_eq!(KEY.open("main", &object).expect("it opens").payload, bytes);
});
