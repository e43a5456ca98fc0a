//! Any bytes as a sealed stream, and any text sealed, changed and opened: what opens is what was sealed, whole or in chunks.

#![no_main]

use std::io::Read;
use std::sync::LazyLock;

use buttress_secrets::seal::{Key, KeyId, Keyring, SealError, SegmentSize, key_of};
use libfuzzer_sys::fuzz_target;

static KEYS: LazyLock<Keyring> = LazyLock::new(|| {
    let key = |byte| Key::from_bytes(&[byte; 32]).unwrap();
    let ring = Keyring::new(KeyId(1), key(1)).rotated(KeyId(2), key(2)).unwrap();
    ring.segments_of(SegmentSize::new(1024).unwrap())
});

fuzz_target!(|input: (&[u8], &[u8], u16, usize, u8)| {
    let (bytes, aad, chunk, at, flip) = input;
    let chunk = usize::from(chunk).max(1);
    let _ = key_of(bytes);
    let _ = agrees(bytes, aad, chunk);

    let mut sealed = Vec::new();
    let mut sealer = KEYS.sealer(aad).unwrap();
    for piece in bytes.chunks(chunk) {
        sealer.push(piece, &mut sealed).unwrap();
    }
    sealer.finish(&mut sealed).unwrap();
    assert_eq!(agrees(&sealed, aad, chunk).as_deref(), Ok(bytes));
    let at = at % sealed.len();
    sealed[at] ^= flip;
    assert_eq!(agrees(&sealed, aad, chunk).is_ok(), flip == 0);
    sealed[at] ^= flip;
    sealed.truncate(at);
    assert!(agrees(&sealed, aad, chunk).is_err());
});

/// Opened whole, in chunks and by a reader, it is the same; in chunks at least the beginning.
fn agrees(sealed: &[u8], aad: &[u8], chunk: usize) -> Result<Vec<u8>, SealError> {
    let whole = KEYS.open(sealed, aad);
    let mut opener = KEYS.opener(aad);
    let mut plain = Vec::new();
    let pushed = sealed.chunks(chunk).try_for_each(|piece| opener.push(piece, &mut plain));
    let finished = pushed.and_then(|()| opener.finish(&mut plain));
    let mut read = Vec::new();
    let outcome = KEYS.open_from(sealed, aad).read_to_end(&mut read);
    assert_eq!(finished.err(), whole.as_ref().err().copied());
    assert_eq!(outcome.is_ok(), whole.is_ok());
    assert_eq!(plain, read);
    match &whole {
        Ok(whole) => assert_eq!(*whole, plain),
        Err(_) => assert_eq!(plain.len() % 1024, 0), // only whole segments went out
    }
    whole
}
