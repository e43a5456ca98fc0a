//! Buffers, streams and chunks are one format, and it is the one of `docs/formats/sealed.md`.

use std::io::{Read, Write};

use buttress_secrets::seal::{Key, KeyId, Keyring, SealError, SegmentSize};
use proptest::collection::vec;
use proptest::prelude::*;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::{digest, hmac};

const KEY: [u8; 32] = [0x5e; 32];

pub(crate) fn keys() -> Keyring {
    Keyring::new(KeyId(7), Key::from_bytes(&KEY).unwrap()).segments_of(SegmentSize::new(1024).unwrap())
}

/// HKDF of RFC 5869 for one block.
fn hkdf(salt: &[u8], secret: &[u8], info: &[u8]) -> Vec<u8> {
    let prk = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), secret);
    let last = [info, &[1]].concat();
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, prk.as_ref()), &last).as_ref().to_vec()
}

/// The whole format in one function: what a stream under [`KEY`] holds, or `None`.
fn opened(sealed: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
    let (header, mut rest) = sealed.split_at_checked(74)?;
    if header[..5] != *b"BTSL\x01" || header[6..10] != 7_u32.to_be_bytes() || !(10..=20).contains(&header[5])
    {
        return None;
    }
    let bound = [&header[..42], digest::digest(&digest::SHA256, aad).as_ref()].concat();
    let derive = |label: &str| hkdf(&header[10..42], &KEY, &[label.as_bytes(), &bound].concat());
    if derive("buttress sealed v1 commitment") != header[42..] {
        return None;
    }
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &derive("buttress sealed v1 key")).unwrap());
    let size = (1 << header[5]) + 16;
    let mut plain = Vec::new();
    for number in 0_u64.. {
        let last = rest.len() <= size;
        let (segment, after) = rest.split_at(rest.len().min(size));
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&number.to_be_bytes());
        nonce[11] = u8::from(last);
        let mut segment = segment.to_vec();
        let text = key
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut segment)
            .ok()
            .filter(|text| number == 0 || !text.is_empty())?;
        plain.extend_from_slice(text);
        if last {
            return Some(plain);
        }
        rest = after;
    }
    None
}

/// Texts around the borders of segments, most often.
pub(crate) fn texts() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![
        0..6000_usize,
        (0..5_usize, 0..3_usize).prop_map(|(segments, more)| (segments * 1024 + more).saturating_sub(1)),
    ];
    length.prop_flat_map(|length| vec(any::<u8>(), length))
}

proptest! {
    #[test]
    fn chunks_and_buffers_are_one_format(text in texts(), aad in vec(any::<u8>(), 0..40), sizes in vec(0..3000_usize, 1..8)) {
        let keys = keys();
        let mut sizes = sizes.into_iter().cycle();
        let mut sealed = Vec::new();
        let mut sealer = keys.sealer(&aad).unwrap();
        let mut rest = &text[..];
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(rest.len().min(sizes.next().unwrap().max(1)));
            sealer.push(chunk, &mut sealed).unwrap();
            rest = after;
        }
        sealer.finish(&mut sealed).unwrap();
        prop_assert_eq!(sealed.len(), 74 + text.len() + 16 * text.len().div_ceil(1024).max(1));
        prop_assert_eq!(&opened(&sealed, &aad).unwrap(), &text);
        prop_assert_eq!(&keys.open(&sealed, &aad).unwrap(), &text);
        prop_assert_eq!(&opened(&keys.seal(&text, &aad).unwrap(), &aad).unwrap(), &text);

        let mut plain = Vec::new();
        let mut opener = keys.opener(&aad);
        let mut rest = &sealed[..];
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(rest.len().min(sizes.next().unwrap().max(1)));
            opener.push(chunk, &mut plain).unwrap();
            prop_assert!(text.starts_with(&plain));
            rest = after;
        }
        opener.finish(&mut plain).unwrap();
        prop_assert_eq!(plain, text);
    }

    #[test]
    fn readers_and_writers_are_the_same_format(text in texts(), sizes in vec(1..3000_usize, 1..8)) {
        let keys = keys();
        let mut writer = keys.seal_to(Vec::new(), b"x").unwrap();
        for chunk in text.chunks(sizes[0]) {
            writer.write_all(chunk).unwrap();
            writer.flush().unwrap();
        }
        let sealed = writer.finish().unwrap();
        prop_assert_eq!(&opened(&sealed, b"x").unwrap(), &text);

        let mut sizes = sizes.into_iter().chain([1000]).cycle(); // not only interruptions
        let mut reader = keys.open_from(Slow(&sealed, sizes.clone()), b"x");
        let mut plain = Vec::new();
        loop {
            let mut buffer = vec![0; sizes.next().unwrap()];
            let length = reader.read(&mut buffer).unwrap();
            plain.extend_from_slice(&buffer[..length]);
            if length == 0 {
                break;
            }
        }
        prop_assert_eq!(plain, text);
    }

    /// What is no stream of ours opens for neither; and nothing is a panic.
    #[test]
    fn both_refuse_the_same(text in texts(), cuts in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..3)) {
        let keys = keys();
        let mut sealed = keys.seal(&text, b"x").unwrap();
        // Whole segments are moved, cut out and doubled.
        for (from, to) in cuts {
            let mut pieces: Vec<_> = sealed[74..].chunks(1040).map(<[u8]>::to_vec).collect();
            if pieces.is_empty() {
                break;
            }
            let piece = pieces.remove(from.index(pieces.len()));
            let at = to.index(pieces.len() + 2);
            if at <= pieces.len() {
                pieces.insert(at, piece.clone());
            }
            sealed.truncate(74);
            sealed.extend(pieces.concat());
        }
        prop_assert_eq!(keys.open(&sealed, b"x").ok(), opened(&sealed, b"x"));
    }
}

/// Reads some of what there is, and is interrupted now and then.
struct Slow<'a, I>(&'a [u8], I);

impl<I: Iterator<Item = usize>> Read for Slow<'_, I> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let length = self.1.next().unwrap();
        if length.is_multiple_of(7) {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        let to_length = to.len().min(length);
        self.0.read(&mut to[..to_length])
    }
}

#[test]
fn the_size_of_a_segment_is_a_power_of_two_within_limits() {
    for (bytes, fine) in
        [(1024, true), (1 << 20, true), (512, false), (1 << 21, false), (1025, false), (0, false)]
    {
        let size = SegmentSize::new(bytes);
        assert_eq!(size.map(SegmentSize::bytes), if fine { Ok(bytes) } else { Err(SealError::SegmentSize) });
    }
    assert_eq!(SegmentSize::default().bytes(), 64 << 10);
}

#[test]
fn two_streams_of_one_text_differ_everywhere() {
    let [one, other] = [(); 2].map(|()| keys().seal(&[0; 64], b"").unwrap());
    assert_eq!(one[..10], other[..10]);
    assert!(one[10..].iter().zip(&other[10..]).filter(|(a, b)| a == b).count() < 20);
}
