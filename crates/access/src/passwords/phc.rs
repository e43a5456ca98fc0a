//! The text of a stored password: `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH` (the PHC string format).

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use data_encoding::BASE64_NOPAD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{Error, random};

/// What a hash costs (RFC 9106, section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cost {
    /// In KiB.
    pub(super) memory: u32,
    pub(super) passes: u32,
    pub(super) lanes: u32,
}

impl Cost {
    /// The most that a stored text may ask for: a store that is not ours any more must not take all memory.
    const MOST: Self = Self { memory: 512 * 1024, passes: 64, lanes: 16 };

    fn is_sound(self) -> bool {
        let Self { memory, passes, lanes } = Self::MOST;
        (1..=memory).contains(&self.memory)
            && (1..=passes).contains(&self.passes)
            && (1..=lanes).contains(&self.lanes)
            && self.memory >= 8 * self.lanes
    }
}

/// A stored password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Phc {
    pub(super) cost: Cost,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

/// The longest text, in bytes.
const LONGEST: usize = 256;
const SALT: usize = 16;
const HASH: usize = 32;

impl Phc {
    /// Hashes a password with a new salt. Takes the memory of `cost`, and as long.
    pub(super) fn hash(password: &[u8], cost: Cost) -> Result<Self, Error> {
        let mut salt = vec![0; SALT];
        random::fill(&mut salt)?;
        let mut hash = vec![0; HASH];
        derive(password, &salt, cost, &mut hash)?;
        Ok(Self { cost, salt, hash })
    }

    /// Whether it is this password: compared in constant time.
    pub(super) fn is_of(&self, password: &[u8]) -> Result<bool, Error> {
        let mut computed = Zeroizing::new(vec![0; self.hash.len()]);
        derive(password, &self.salt, self.cost, &mut computed)?;
        Ok(computed.ct_eq(&self.hash).into())
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = (text.len() <= LONGEST).then(|| text.split('$'))?;
        if [parts.next()?, parts.next()?, parts.next()?] != ["", "argon2id", "v=19"] {
            return None;
        }
        let mut numbers = parts.next()?.split(',').zip(["m=", "t=", "p="]);
        let mut number = || {
            let (text, name) = numbers.next()?;
            let digits =
                text.strip_prefix(name).filter(|digits| digits.bytes().all(|c| c.is_ascii_digit()))?;
            digits.parse::<u32>().ok()
        };
        let cost = Cost { memory: number()?, passes: number()?, lanes: number()? };
        let (salt, hash) = (decode(parts.next()?)?, decode(parts.next()?)?);
        let holds = cost.is_sound() && (8..=64).contains(&salt.len()) && (16..=64).contains(&hash.len());
        let phc = Self { cost, salt, hash };
        // Written back it is the same: nothing was passed over.
        (holds && phc.to_string() == text).then_some(phc)
    }
}

impl fmt::Display for Phc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { memory, passes, lanes } = self.cost;
        let [salt, hash] = [&self.salt, &self.hash].map(|bytes| BASE64_NOPAD.encode(bytes));
        write!(f, "$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}")
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_NOPAD.decode(text.as_bytes()).ok()
}

/// Argon2id, version 1.3.
fn derive(password: &[u8], salt: &[u8], cost: Cost, out: &mut [u8]) -> Result<(), Error> {
    let unusable = |_| Error::Corrupt { what: "password", problem: "its costs cannot be" };
    let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(out.len())).map_err(unusable)?;
    // What is left in the memory would help to guess.
    let mut memory = Zeroizing::new(vec![Block::default(); params.block_count()]);
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into_with_memory(password, salt, out, memory.as_mut_slice()).map_err(unusable)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// RFC 9106, section 5.3.
    #[test]
    fn the_vector_of_the_rfc_holds() {
        let params = argon2::ParamsBuilder::new()
            .m_cost(32)
            .t_cost(3)
            .p_cost(4)
            .data(argon2::AssociatedData::new(&[4; 12]).unwrap())
            .build()
            .unwrap();
        let argon = Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
        let mut tag = [0; 32];
        argon.hash_password_into(&[1; 32], &[2; 16], &mut tag).unwrap();
        let expected = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659";
        assert_eq!(data_encoding::HEXLOWER.encode(&tag), expected);
    }

    #[test]
    fn texts_of_the_reference_are_read() {
        // From the tests of the reference implementation.
        let texts = [
            (
                "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
                "password",
            ),
            (
                "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
                "password",
            ),
        ];
        for (text, password) in texts {
            let phc = Phc::parse(text).unwrap();
            assert_eq!(phc.to_string(), text);
            assert!(phc.is_of(password.as_bytes()).unwrap(), "{text}");
            assert!(!phc.is_of(b"Password").unwrap());
        }
    }

    #[test]
    fn other_texts_are_not() {
        let good = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert!(Phc::parse(good).is_some());
        for (from, to) in [
            ("argon2id", "argon2d"),
            ("argon2id", "argon2i"),
            ("v=19", "v=16"),
            ("m=256", "m=4294967295"),
            ("m=256", "m=+256"),
            ("m=256", "m=0256"),
            ("m=256", "m=7"),
            ("t=2", "t=0"),
            ("t=2", "t=65"),
            ("p=1", "p=17"),
            (",p=1", ""),
            (",p=1", ",p=1,p=1"),
            ("c29tZXNhbHQ", "c29tZXM"),
            ("c29tZXNhbHQ", "c29tZXNhbHQ="),
            ("c29tZXNhbHQ", "c29tZXNhbHR"),
            ("$nf65", "$$nf65"),
            ("i/4", "i/4$"),
            ("nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "nf65"),
        ] {
            assert!(Phc::parse(&good.replace(from, to)).is_none(), "{from} > {to}");
        }
        assert!(Phc::parse("").is_none() && Phc::parse(&"$".repeat(300)).is_none());
    }
}
