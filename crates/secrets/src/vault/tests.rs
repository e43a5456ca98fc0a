//! Every bit of a vault counts. Beside the code, since a file system would make it slow.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::time::{Duration, SystemTime};

use ring::digest::{SHA256, digest};

use super::format::{self, DIGEST_AT, WRAPPED_AT};
use super::vault::{NewKey, Vault};
use crate::slots::Slots;
use crate::store::{Expect, put};
use crate::{Error, Name, Secret};

fn key() -> Secret {
    Secret::new(vec![9; 32])
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn small() -> Vault {
    let mut vault = Vault::new(&NewKey { secret: &key(), cost: None }).unwrap();
    for (number, value) in ["one", "two", "three"].into_iter().enumerate() {
        let name = Name::new(if number == 2 { "b" } else { "a" }).unwrap();
        let version = vault.secrets.get(&name).map_or(1, Slots::upcoming);
        let sealed = vault.seal(&name, version, &Secret::from(value.to_owned())).unwrap();
        put(&mut vault.secrets, &name, sealed, Expect::Anything, now(), 10).unwrap();
    }
    vault
}

fn open(bytes: &[u8]) -> Result<Vault, Error> {
    Vault::open(bytes, "test", || Ok(key()))
}

#[test]
fn what_is_written_reads_back() {
    let mut vault = small();
    let bytes = vault.write(now()).unwrap();
    let read = open(&bytes).unwrap();
    assert_eq!((read.generation, &read.secrets), (1, &vault.secrets));
    let versions = read.versions(&Name::new("a").unwrap(), "test").unwrap().unwrap();
    assert!(versions.current.secret.matches(b"two") && versions.previous.unwrap().secret.matches(b"one"));
    read.verify("test").unwrap();
}

#[test]
fn every_flipped_bit_is_found_also_where_the_digest_is_made_to_fit() {
    let bytes = small().write(now()).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(open(&bad), Err(Error::Damaged { .. })), "bit {bit}");
        if bit / 8 < DIGEST_AT {
            let sum = digest(&SHA256, &bad[..DIGEST_AT]);
            bad[DIGEST_AT..DIGEST_AT + 32].copy_from_slice(sum.as_ref());
            let outcome = open(&bad);
            assert!(matches!(outcome, Err(Error::Damaged { .. } | Error::WrongKey { .. })), "bit {bit}");
        }
    }
}

#[test]
fn every_truncation_and_every_addition_is_found() {
    let bytes = small().write(now()).unwrap();
    for length in 0..bytes.len() {
        assert!(matches!(open(&bytes[..length]), Err(Error::Damaged { .. })), "{length} bytes");
    }
    for more in [1, 16, 1000] {
        let longer = [bytes.as_slice(), &vec![0; more]].concat();
        assert!(matches!(open(&longer), Err(Error::Damaged { .. })), "{more} bytes more");
    }
}

/// Whoever can write the file, and has old copies of it, puts parts of one into another.
#[test]
fn parts_of_two_states_make_no_third() {
    let mut vault = small();
    let (first, second) = (vault.write(now()).unwrap(), vault.write(now()).unwrap());
    assert_eq!(first.len(), second.len());
    for cut in [WRAPPED_AT, 152, 168, DIGEST_AT, DIGEST_AT + 32, first.len() - 16, first.len() - 1] {
        for (one, other) in [(&first, &second), (&second, &first)] {
            let mut mixed = [&one[..cut], &other[cut..]].concat();
            let same = mixed == *one || mixed == *other;
            assert!(same || open(&mixed).is_err(), "cut at {cut}");
            let sum = digest(&SHA256, &mixed[..DIGEST_AT]);
            mixed[DIGEST_AT..DIGEST_AT + 32].copy_from_slice(sum.as_ref());
            let same = mixed == *one || mixed == *other;
            assert!(same || open(&mixed).is_err(), "cut at {cut}, with its digest");
        }
    }
}

/// Also who has the root key for a moment cannot pass one value for another.
#[test]
fn a_value_is_bound_to_its_name_and_version() {
    let (a, b) = (Name::new("a").unwrap(), Name::new("b").unwrap());
    let mut swapped = small();
    let value = swapped.secrets[&b].current.value.clone();
    swapped.secrets.get_mut(&a).unwrap().current.value = value;
    assert!(matches!(swapped.versions(&a, "test"), Err(Error::Damaged { .. })));
    let mut older = small();
    let slots = older.secrets.get_mut(&a).unwrap();
    slots.current.value = slots.previous.clone().unwrap().value;
    let bytes = older.write(now()).unwrap();
    let read = open(&bytes).unwrap();
    assert!(matches!(read.versions(&a, "test"), Err(Error::Damaged { .. })));
}

#[test]
fn no_key_is_used_for_two_messages() {
    let mut vault = small();
    let mut salts = std::collections::HashSet::new();
    for _ in 0..100 {
        let bytes = vault.write(now()).unwrap();
        assert!(salts.insert(format::read_file(&bytes).unwrap().0.salt));
    }
    let values = vault.secrets.values().flat_map(|slots| {
        let slots = [Some(&slots.current), slots.previous.as_ref(), slots.next.as_ref()];
        slots.into_iter().flatten()
    });
    assert!(values.into_iter().all(|slot| salts.insert(slot.value.salt)));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
        let _ = open(&bytes);
        if let Ok(secrets) = format::read_body(&bytes) {
            // There is one way to write each vault.
            proptest::prop_assert_eq!(format::write_body(&secrets), bytes);
        }
    }
}

/// RFC 9106, 5.3: the test vector of Argon2id, with the library that is used here.
#[test]
fn argon2id_is_that_of_the_rfc() {
    let mut params = argon2::ParamsBuilder::new();
    params.m_cost(32).t_cost(3).p_cost(4).data(argon2::AssociatedData::new(&[4; 12]).unwrap());
    let secret = [3; 8];
    let argon = argon2::Argon2::new_with_secret(
        &secret,
        argon2::Algorithm::Argon2id,
        argon2::Version::V0x13,
        params.build().unwrap(),
    );
    let mut tag = [0; 32];
    argon.unwrap().hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
    let expected = [
        0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c, 0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53, 0xc9, 0xd0,
        0x1e, 0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e, 0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01, 0xe6, 0x59,
    ];
    assert_eq!(tag, expected);
}
