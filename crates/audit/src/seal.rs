//! Forward-secure sealing: what is sealed stays safe after the key in use is stolen.
//!
//! Each epoch has a key. At its end the log seals how it stands, a MAC under that key, and the key is replaced by its own hash
//! (HMAC-SHA-256, one way) and erased. The seed, from which all keys follow, is kept elsewhere: whoever holds it can check every
//! seal, and whoever holds the key of now can make none of before. The construction is that of Bellare and Yee (1997).

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER_PERMISSIVE;
use ring::hmac::{self, HMAC_SHA256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::merkle::Hash;
use crate::{Error, random};

/// The beginning of all sealing keys of a log. Kept offline; it is shown once, when the log is made. Erased from memory on drop.
///
/// `Debug` shows none of it; [`reveal`](FssSeed::reveal) does.
#[derive(Clone)]
pub struct FssSeed(Zeroizing<[u8; 32]>);

impl FssSeed {
    pub(crate) fn generate() -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; 32]);
        random(&mut *seed)?;
        Ok(Self(seed))
    }

    /// The seed in hexadecimal: for the one time that it is written down.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(data_encoding::HEXLOWER.encode(&*self.0))
    }

    pub(crate) fn first(&self) -> EpochKey {
        EpochKey { epoch: 0, key: self.0.clone() }
    }
}

impl FromStr for FssSeed {
    type Err = Error;

    /// From hexadecimal.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut bytes = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).unwrap_or_default();
        let seed = <[u8; 32]>::try_from(bytes.as_slice()).map(|seed| Self(Zeroizing::new(seed)));
        bytes.zeroize();
        seed.map_err(|_| Error::malformed("a seed is not 64 hexadecimal digits"))
    }
}

impl fmt::Debug for FssSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FssSeed(..)")
    }
}

/// The key of one epoch.
#[derive(Clone)]
pub(crate) struct EpochKey {
    epoch: u64,
    key: Zeroizing<[u8; 32]>,
}

/// The bytes of a key in its file.
pub(crate) const SLOT: usize = 48;

impl EpochKey {
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The key of the next epoch. This one should be dropped and its bytes on the disk overwritten.
    pub(crate) fn next(&self) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        let tag = self.mac(b"next");
        key.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        Self { epoch: self.epoch + 1, key }
    }

    fn mac(&self, text: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(HMAC_SHA256, &*self.key), text)
    }

    /// The MAC over how the log stands. The key for it is another than that from which the next follows.
    pub(crate) fn seal(&self, log: &[u8; 16], stand: &Stand) -> Seal {
        let key = hmac::Key::new(HMAC_SHA256, self.mac(b"seal").as_ref());
        let mut mac = Hash::default();
        let tag = hmac::sign(&key, &stand.bytes(log, self.epoch));
        mac.0.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        Seal { epoch: self.epoch, stand: *stand, mac }
    }

    /// Whether the seal was made with this key.
    pub(crate) fn made(&self, log: &[u8; 16], seal: &Seal) -> bool {
        let ours = self.seal(log, &seal.stand);
        seal.epoch == self.epoch && bool::from(ours.mac.0.ct_eq(&seal.mac.0))
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.epoch == other.epoch && bool::from(self.key.ct_eq(&*other.key))
    }

    /// As it is kept: the epoch, the key, and a sum by which a torn one is known.
    pub(crate) fn slot(&self) -> Zeroizing<[u8; SLOT]> {
        let mut slot = Zeroizing::new([0; SLOT]);
        let (epoch, sum) = (self.epoch.to_be_bytes(), self.sum());
        let bytes = epoch.iter().chain(self.key.iter()).chain(&sum);
        slot.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        slot
    }

    pub(crate) fn from_slot(slot: &[u8]) -> Option<Self> {
        let (epoch, rest) = slot.split_first_chunk()?;
        let (key, sum) = rest.split_first_chunk()?;
        let key = Self { epoch: u64::from_be_bytes(*epoch), key: Zeroizing::new(*key) };
        (key.sum() == *sum).then_some(key)
    }

    fn sum(&self) -> [u8; 8] {
        Hash::of(&[b"buttress-audit key", &self.epoch.to_be_bytes(), &*self.key]).start()
    }
}

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpochKey({}, ..)", self.epoch)
    }
}

/// How a log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stand {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    /// Through the frames and headers of all segments.
    pub(crate) chain: Hash,
    /// The wall clock.
    pub(crate) time: i64,
}

impl Stand {
    fn bytes(&self, log: &[u8; 16], epoch: u64) -> Vec<u8> {
        [
            b"buttress-audit seal 1\n",
            &log[..],
            &epoch.to_be_bytes(),
            &self.size.to_be_bytes(),
            &self.root.0,
            &self.chain.0,
            &self.time.to_be_bytes(),
        ]
        .concat()
    }
}

/// A line of the file of seals: `seal 1 EPOCH SIZE ROOT CHAIN TIME MAC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) epoch: u64,
    pub(crate) stand: Stand,
    pub(crate) mac: Hash,
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stand { size, root, chain, time } = &self.stand;
        let (root, chain, mac) = (root.to_base64(), chain.to_base64(), self.mac.to_base64());
        write!(f, "seal 1 {} {size} {root} {chain} {time} {mac}", self.epoch)
    }
}

impl FromStr for Seal {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self, Error> {
        let wrong = || Error::malformed("a seal is not `seal 1 EPOCH SIZE ROOT CHAIN TIME MAC`");
        let words: Vec<&str> = line.splitn(9, ' ').collect();
        let ["seal", "1", epoch, size, root, chain, time, mac] = words.as_slice() else {
            return Err(wrong());
        };
        let seal = Self {
            epoch: epoch.parse().map_err(|_| wrong())?,
            stand: Stand {
                size: size.parse().map_err(|_| wrong())?,
                root: Hash::from_base64(root)?,
                chain: Hash::from_base64(chain)?,
                time: time.parse().map_err(|_| wrong())?,
            },
            mac: Hash::from_base64(mac)?,
        };
        if seal.to_string() == line { Ok(seal) } else { Err(wrong()) }
    }
}

/// The seals of a file. What follows the last line feed is left out: a crash tore it.
pub(crate) fn seals(file: &str) -> Vec<Result<Seal, Error>> {
    let whole = file.rfind('\n').and_then(|end| file.get(..end));
    whole.map(|lines| lines.lines().map(str::parse).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn seals_read_as_written_and_hold_for_one_key_only() {
        let seed = FssSeed::generate().unwrap();
        let stand = Stand { size: 3, root: Hash([1; 32]), chain: Hash([2; 32]), time: -5 };
        let (first, second) = (seed.first(), seed.first().next());
        let seal = second.seal(&[4; 16], &stand);
        assert_eq!(seal.to_string().parse::<Seal>().unwrap(), seal);
        assert!(second.made(&[4; 16], &seal));
        assert!(!first.made(&[4; 16], &seal) && !second.made(&[5; 16], &seal));
        let other = Seal { stand: Stand { size: 4, ..stand }, ..seal };
        assert!(!second.made(&[4; 16], &other));
        assert!(!second.made(&[4; 16], &Seal { epoch: 2, ..seal }));
    }

    #[test]
    fn a_key_reads_from_its_slot_and_a_torn_one_does_not() {
        let key = FssSeed::generate().unwrap().first().next();
        let slot = key.slot();
        assert!(EpochKey::from_slot(&*slot).unwrap().is(&key));
        for byte in 0..SLOT {
            let mut torn = *slot;
            torn.iter_mut().skip(byte).take(1).for_each(|byte| *byte ^= 1);
            assert!(EpochKey::from_slot(&torn).is_none());
        }
        assert!(EpochKey::from_slot(&[0; SLOT]).is_none());
    }

    #[test]
    fn nothing_shows_a_key() {
        let seed: FssSeed = "0123456789abcdef".repeat(4).parse().unwrap();
        assert_eq!(seed.reveal().as_str(), "0123456789abcdef".repeat(4));
        let shown = format!("{seed:?} {:?}", seed.first());
        assert!(!shown.contains("0123") && !shown.contains("35"), "{shown}");
    }
}
