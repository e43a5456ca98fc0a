//! Keys change, and what they sealed stays readable.

use std::io::Read;

use buttress_secrets::seal::{Key, KeyId, Keyring, MAX_KEYS, Resealed, SealError, key_of};
use proptest::prelude::*;

use crate::model::{keys, texts};

fn key() -> Key {
    Key::generate().unwrap()
}

proptest! {
    #[test]
    fn resealed_it_opens_with_the_new_key_alone(text in texts()) {
        let old = keys();
        let new_key = key();
        let both = old.clone().rotated(KeyId(8), new_key.clone()).unwrap();
        let sealed = old.seal(&text, b"row").unwrap();
        let Resealed::Renewed(renewed) = both.reseal(&sealed, b"row").unwrap() else { panic!("it was needed") };
        let Resealed::Renewed(streamed) = both.reseal_stream(&sealed[..], Vec::new(), b"row").unwrap() else {
            panic!("it was needed")
        };
        for renewed in [renewed, streamed] {
            prop_assert_eq!(key_of(&renewed).unwrap(), KeyId(8));
            prop_assert_eq!(both.reseal(&renewed, b"row").unwrap(), Resealed::Current);
            let alone = Keyring::new(KeyId(8), new_key.clone());
            prop_assert_eq!(&alone.open(&renewed, b"row").unwrap(), &text);
        }
    }
}

#[test]
fn reseal_is_not_fooled() {
    let both = keys().rotated(KeyId(8), key()).unwrap();
    let mut sealed = keys().seal(&[1; 5000], b"row").unwrap();
    assert_eq!(both.reseal(&sealed, b"other").unwrap_err(), SealError::Header);
    let last = sealed.len() - 1;
    sealed[last] ^= 1;
    assert_eq!(both.reseal(&sealed, b"row").unwrap_err(), SealError::Truncated(4));
    let error = both.reseal_stream(&sealed[..], Vec::new(), b"row").unwrap_err();
    assert_eq!(error.to_string(), SealError::Truncated(4).to_string());
    // A header that claims the current key is not believed.
    sealed[6..10].copy_from_slice(&8_u32.to_be_bytes());
    assert_eq!(both.reseal(&sealed, b"row").unwrap_err(), SealError::Header);
    assert!(both.reseal_stream(&sealed[..], Vec::new(), b"row").is_err());
    assert!(both.reseal_stream(&sealed[..10], Vec::new(), b"row").is_err());
    let current = both.seal(b"", b"row").unwrap();
    assert!(matches!(both.reseal_stream(&current[..], Vec::new(), b"row").unwrap(), Resealed::Current));
}

#[test]
fn a_ring_is_bounded_and_its_numbers_are_its_own() {
    let mut ring = Keyring::new(KeyId(0), key());
    assert_eq!(ring.clone().and(KeyId(0), key()).unwrap_err(), SealError::DuplicateKey(KeyId(0)));
    for number in 1..u32::try_from(MAX_KEYS).unwrap() {
        ring = ring.and(KeyId(number), key()).unwrap();
    }
    assert_eq!(ring.current(), KeyId(0));
    assert_eq!(ring.ids().count(), MAX_KEYS);
    assert_eq!(ring.clone().and(KeyId(99), key()).unwrap_err(), SealError::TooManyKeys);
    assert_eq!(ring.clone().sealing_with(KeyId(99)).unwrap_err(), SealError::UnknownKey(KeyId(99)));
    assert_eq!(ring.sealing_with(KeyId(63)).unwrap().current(), KeyId(63));
    assert_eq!(Key::from_bytes(&[0; 31]).unwrap_err(), SealError::KeyLength(31));
}

/// Sealed by the Python of `docs/formats/sealed.md`, to stay readable for ever.
#[test]
fn a_stream_of_the_first_version_opens() {
    let sealed = include_bytes!("../vectors/sealed_v1.bin");
    let key: Vec<u8> = (0..32).collect();
    let ring = Keyring::new(KeyId(0x0102_0304), Key::from_bytes(&key).unwrap());
    let mut plain = Vec::new();
    ring.open_from(&sealed[..], b"example").read_to_end(&mut plain).unwrap();
    let expected: Vec<u8> = (0..2500_u32).map(|at| (at % 251).to_le_bytes()[0]).collect();
    assert_eq!(plain, expected);
}
