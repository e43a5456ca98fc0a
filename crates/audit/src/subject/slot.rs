//! One subject in the key file: 128 bytes, in a place of its own, so that erasing overwrites them where they lie.
//!
//! ```text
//!   0  state        1 live, 2 erased and not yet told, 3 erased and told
//!   1  zero         3
//!   4  key id      16  random; what tokens carry
//!  20  tag         32  HMAC-SHA-256 of the subject's name; zero once erased
//!  52  nonce       12  \
//!  64  wrapped     48   } AES-256-GCM of the key, under the master's; zero once erased
//! 112  at           8  milliseconds since 1970, little endian: made, or erased
//! 120  check        8  first bytes of SHA-256 of the 120 before
//! ```

use ring::digest::{SHA256, digest};
use zeroize::Zeroize;

/// Bytes of a slot.
pub(super) const SLOT: usize = 128;
/// Where the part begins that erasing overwrites first, and its length.
pub(super) const SECRET: std::ops::Range<usize> = 20..112;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Live,
    /// The key is gone; the log does not say so yet.
    Erased,
    /// The key is gone, and the log says so.
    Told,
}

/// A subject, as kept: nothing in it can be read without the master key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) state: State,
    pub(super) id: [u8; 16],
    pub(super) tag: [u8; 32],
    pub(super) nonce: [u8; 12],
    pub(super) wrapped: [u8; 48],
    pub(super) at: u64,
}

impl Slot {
    /// The same subject without its key and its name.
    pub(super) fn erased(&self, at: u64) -> Self {
        Self { state: State::Erased, id: self.id, tag: [0; 32], nonce: [0; 12], wrapped: [0; 48], at }
    }

    pub(super) fn forget(&mut self) {
        self.tag.zeroize();
        self.nonce.zeroize();
        self.wrapped.zeroize();
    }

    pub(super) fn encode(&self) -> [u8; SLOT] {
        let mut bytes = [0; SLOT];
        let state = match self.state {
            State::Live => 1,
            State::Erased => 2,
            State::Told => 3,
        };
        let at = self.at.to_le_bytes();
        let parts: [&[u8]; 6] = [&[state, 0, 0, 0], &self.id, &self.tag, &self.nonce, &self.wrapped, &at];
        for (place, byte) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *place = *byte;
        }
        let check = check(&bytes);
        for (place, byte) in bytes.iter_mut().skip(SLOT - 8).zip(check) {
            *place = byte;
        }
        bytes
    }

    /// What 128 bytes say; `None` when they are not what was written.
    pub(super) fn decode(bytes: &[u8; SLOT]) -> Option<Self> {
        if check(bytes) != part::<8>(bytes, 120) {
            return None;
        }
        let state = match part::<4>(bytes, 0) {
            [1, 0, 0, 0] => State::Live,
            [2, 0, 0, 0] => State::Erased,
            [3, 0, 0, 0] => State::Told,
            _ => return None,
        };
        let id = part(bytes, 4);
        let at = u64::from_le_bytes(part(bytes, 112));
        let (tag, nonce) = (part(bytes, 20), part(bytes, 52));
        Some(Self { state, id, tag, nonce, wrapped: part(bytes, 64), at })
    }

    /// The subject of a slot in which an erasure was cut short: the key is overwritten, the rest is as it was.
    pub(super) fn cut_short(bytes: &[u8; SLOT]) -> Option<Self> {
        let gone = bytes.get(SECRET).is_some_and(|secret| secret.iter().all(|byte| *byte == 0));
        let id = part(bytes, 4);
        (gone && id != [0; 16]).then_some(Self {
            state: State::Erased,
            id,
            tag: [0; 32],
            nonce: [0; 12],
            wrapped: [0; 48],
            at: u64::from_le_bytes(part(bytes, 112)),
        })
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slot({:?})", self.state)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.forget();
    }
}

fn check(bytes: &[u8; SLOT]) -> [u8; 8] {
    let (told, _) = bytes.split_at(SLOT - 8);
    let mut check = [0; 8];
    for (place, byte) in check.iter_mut().zip(digest(&SHA256, told).as_ref()) {
        *place = *byte;
    }
    check
}

/// `N` bytes from `from`; zeros where there are none.
fn part<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    let mut part = [0; N];
    for (place, byte) in part.iter_mut().zip(bytes.iter().skip(from)) {
        *place = *byte;
    }
    part
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use proptest::prelude::*;

    use super::*;

    fn slots() -> impl Strategy<Value = Slot> {
        let state = prop_oneof![Just(State::Live), Just(State::Erased), Just(State::Told)];
        (state, any::<[u8; 16]>(), any::<[u8; 32]>(), any::<[u8; 12]>(), any::<[u8; 24]>(), any::<u64>())
            .prop_map(|(state, id, tag, nonce, half, at)| {
                let mut wrapped = [7; 48];
                wrapped[..24].copy_from_slice(&half);
                Slot { state, id, tag, nonce, wrapped, at }
            })
    }

    proptest! {
        #[test]
        fn a_slot_reads_back(slot in slots()) {
            prop_assert!(Slot::decode(&slot.encode()).is_some_and(|read| read == slot));
        }

        #[test]
        fn a_flipped_bit_is_found(slot in slots(), bit in 0..SLOT * 8) {
            let mut bytes = slot.encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Slot::decode(&bytes).is_none());
        }

        #[test]
        fn an_erasure_that_was_cut_short_is_known(slot in slots()) {
            let mut bytes = slot.encode();
            prop_assert!(Slot::cut_short(&bytes).is_none());
            bytes[SECRET].fill(0);
            prop_assert!(slot.id == [0; 16] || Slot::cut_short(&bytes).unwrap().id == slot.id);
        }
    }
}
