//! Values as bytes: read back only as what was written.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::time::{Duration, SystemTime};

use buttress_cache::Error;
use buttress_cache::codec::{Codec, Keyring, Record, Unreadable, decode_any};
use buttress_core::{ByteSize, Key};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    age: u32,
}

/// The same struct a year later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct NewUser {
    age: u32,
    names: Vec<String>,
}

fn user() -> Record<User> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
    Record::new(User { name: "Ada".repeat(300), age: 36 }, now, Duration::from_mins(1))
}

fn codecs() -> Vec<Codec<User>> {
    let plain = || Codec::json("user", 1);
    let keys = || Keyring::new(1, &[1; 32]);
    vec![
        plain(),
        plain().compressed(ByteSize::b(100)),
        plain().sealed(keys()),
        plain().compressed(ByteSize::b(100)).sealed(keys()),
    ]
}

fn reason<T: std::fmt::Debug>(read: Result<T, Error>) -> Unreadable {
    match read.unwrap_err() {
        Error::Unreadable(reason) => reason,
        error => panic!("{error}"),
    }
}

#[test]
fn what_was_written_is_read() {
    for codec in codecs() {
        let bytes = codec.encode(b"key", &user()).unwrap();
        assert_eq!(codec.decode(b"key", &bytes).unwrap(), user());
        let mut nothing = user();
        (nothing.value, nothing.fresh) = (None, None);
        let bytes = codec.encode(b"key", &nothing).unwrap();
        assert_eq!(codec.decode(b"key", &bytes).unwrap(), nothing);
    }
    let [plain, compressed] = [0, 1].map(|at| codecs()[at].encode(b"key", &user()).unwrap().len());
    assert!(compressed * 5 < plain, "{compressed} bytes of {plain}");
}

#[test]
fn any_bit_that_falls_over_and_any_cut_is_seen() {
    for codec in codecs() {
        let bytes = codec.encode(b"key", &user()).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            assert!(codec.decode(b"key", &damaged).is_err(), "byte {at}");
            assert!(codec.decode(b"key", &bytes[..at]).is_err(), "cut at {at}");
        }
        assert_eq!(reason(codec.decode(b"yek", &bytes)), Unreadable::Checksum, "the value of another key");
    }
}

#[test]
fn a_changed_struct_is_an_error_and_never_garbage() {
    let old = Codec::<User>::json("user", 1).encode(b"key", &user()).unwrap();
    assert_eq!(reason(Codec::<NewUser>::json("user", 1).decode(b"key", &old)), Unreadable::Body);
    assert_eq!(reason(Codec::<NewUser>::json("user", 2).decode(b"key", &old)), Unreadable::Schema);
    assert_eq!(reason(Codec::<User>::json("customer", 1).decode(b"key", &old)), Unreadable::Schema);
}

#[test]
fn keys_rotate_and_no_other_opens() {
    let codec = |keys| Codec::<User>::json("user", 1).sealed(keys);
    let (old, new) = ([1; 32], [2; 32]);
    let sealed = codec(Keyring::new(1, &old)).encode(b"key", &user()).unwrap();
    assert!(!sealed.windows(3).any(|window| window == b"Ada"));
    let both = codec(Keyring::new(2, &new).and(1, &old));
    assert_eq!(both.decode(b"key", &sealed).unwrap(), user());
    let resealed = both.encode(b"key", &user()).unwrap();
    assert_eq!(codec(Keyring::new(2, &new)).decode(b"key", &resealed).unwrap(), user());
    assert_eq!(reason(codec(Keyring::new(2, &new)).decode(b"key", &sealed)), Unreadable::Key);
    assert_eq!(reason(codec(Keyring::new(1, &new)).decode(b"key", &sealed)), Unreadable::Seal);
    // Neither an unsealed value where sealed ones are asked for, nor the reverse.
    let plain = Codec::<User>::json("user", 1);
    assert_eq!(reason(both.decode(b"key", &plain.encode(b"key", &user()).unwrap())), Unreadable::Key);
    assert_eq!(reason(plain.decode(b"key", &sealed)), Unreadable::Key);
    assert_eq!(format!("{:?}", Keyring::new(1, &old).and(2, &new)), "Keyring([1, 2])");
}

#[test]
fn a_limit_holds_both_ways() {
    let small = Codec::<User>::json("user", 1).at_most(ByteSize::b(100));
    assert!(matches!(small.encode(b"key", &user()), Err(Error::Encode { .. })));
    for codec in &codecs()[..2] {
        let bytes = codec.encode(b"key", &user()).unwrap();
        assert_eq!(reason(small.decode(b"key", &bytes)), Unreadable::Size);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for codec in codecs() {
            prop_assert!(codec.decode(b"key", &bytes).is_err());
        }
        decode_any(&bytes);
    }

    #[test]
    fn any_value_comes_back(
        name: String, age: u32, nothing: bool, at in 0_u64..1 << 45, fresh in prop::option::of(0_u64..1 << 50),
        kept in 0_u64..1 << 50, cost in 0_u32.., key in prop::collection::vec(any::<u8>(), 0..50),
        tags in prop::collection::vec(("[^\\p{Cc}]{1,60}", any::<u64>()), 0..5),
    ) {
        let mut record = Record::new(User { name, age }, SystemTime::UNIX_EPOCH + Duration::from_millis(at), Duration::ZERO);
        record.fresh = fresh.map(Duration::from_millis);
        record.kept = Duration::from_millis(kept);
        record.cost = Duration::from_millis(u64::from(cost));
        record.tags = tags.into_iter().map(|(tag, mark)| (Key::new(tag).unwrap(), mark)).collect();
        if nothing {
            record.value = None;
        }
        for codec in codecs() {
            let bytes = codec.encode(&key, &record).unwrap();
            prop_assert_eq!(&codec.decode(&key, &bytes).unwrap(), &record);
        }
    }
}
