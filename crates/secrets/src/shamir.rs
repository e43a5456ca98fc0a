//! A secret in shares, of which some number restores it and any fewer tell nothing.
//!
//! Shamir's scheme ("How to share a secret", 1979) over GF(2^8): each byte is the value at 0 of a random polynomial, and a share is
//! the polynomials' values at a place of its own. For the key of a vault, kept by people: three of five bring it back.
//!
//! ```
//! use buttress_secrets::shamir::{Share, combine, split};
//!
//! let shares = split(b"the key of the vault", 2, 3)?;
//! let paper: Vec<String> = shares.iter().map(Share::expose).collect(); // BTSS-…, one for each person
//!
//! let found: Result<Vec<Share>, _> = [&paper[2], &paper[0]].map(|text| text.parse()).into_iter().collect();
//! assert!(combine(&found?)?.matches(b"the key of the vault"));
//! # Ok::<(), buttress_secrets::shamir::ShareError>(())
//! ```
//!
//! A share as text has a checksum, so that a slip of the pen is told from a wrong share; the number of its set, so that shares of two
//! secrets are not mixed; and the threshold. The secret is shared together with a hash of 8 bytes, so that shares that were changed on
//! purpose restore nothing. Text: `docs/formats/share.md`.
//!
//! The arithmetic has no table and no branch that depends on a secret.

mod field;
mod text;

use std::fmt;

use buttress_core::{Classify, ErrorClass};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use self::field::{interpolate, value_at, weights};
use crate::Secret;

/// The longest secret that is shared, in bytes: a key, not a file. Seal the file, and share the key.
pub const MAX_SECRET: usize = 1024;
/// The hash that is shared behind the secret.
const CHECK: usize = 8;

/// Why there are no shares, or no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// So many shares cannot be made.
    #[error(
        "{threshold} of {shares} shares cannot be: at least 2 restore the secret, and there are at most 255"
    )]
    Count {
        /// How many were to restore it.
        threshold: u8,
        /// How many were to be made.
        shares: u8,
    },
    /// The secret is empty or too long.
    #[error(
        "a secret of {0} bytes cannot be shared: it must have 1 to {MAX_SECRET}; seal what is longer, and share the key"
    )]
    Length(usize),
    /// The text is no share.
    #[error(
        "this is no share: it must begin with BTSS and have nothing but letters, digits, spaces and hyphens"
    )]
    NotShare,
    /// The share is in a newer format.
    #[error("the share is in version {0} of the format, and this program knows version 1: update it")]
    Version(u8),
    /// A character of the text is wrong or missing.
    #[error(
        "the share does not have the checksum that it ends with: compare it letter by letter with the original"
    )]
    Checksum,
    /// The share has a sound checksum and a content that cannot be.
    #[error("the share is damaged: its content cannot be")]
    Damaged,
    /// No share was given.
    #[error("no share was given")]
    None,
    /// Two shares belong to different secrets, or to different splits of one.
    #[error(
        "share {index} is of the set {found}, and the others are of {expected}: use shares of one set only"
    )]
    OtherSet {
        /// The place of the share among those given, from 1.
        index: usize,
        /// Its set.
        found: SetId,
        /// The set of the first.
        expected: SetId,
    },
    /// A share was given twice.
    #[error("the share number {0} was given twice: each counts once")]
    Twice(u8),
    /// The secret needs more shares.
    #[error("{found} shares are too few: {needed} of this set restore the secret")]
    TooFew {
        /// How many were given.
        found: usize,
        /// How many it takes.
        needed: u8,
    },
    /// What the shares restore is not the secret.
    #[error(
        "these shares restore nothing: at least one of them was changed on purpose, and has a sound checksum"
    )]
    Changed,
    /// The system has no random numbers to give.
    #[error("the system gives no random numbers")]
    NoRandom,
}

impl Classify for ShareError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Version(_) => ErrorClass::Unsupported,
            Self::Checksum | Self::Damaged | Self::Changed => ErrorClass::Corrupt,
            Self::NoRandom => ErrorClass::Unavailable,
            _ => ErrorClass::Invalid,
        }
    }
}

/// Which shares belong together: drawn anew at each split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SetId([u8; 5]);

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::encoded(&self.0))
    }
}

/// One of the shares. It is a part of a secret: never shown but by [`expose`](Share::expose), and wiped when it is dropped.
#[derive(Clone)]
pub struct Share {
    set: SetId,
    threshold: u8,
    /// Where the polynomials were taken; never 0, where the secret is.
    number: u8,
    values: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share")
            .field("set", &self.set.to_string())
            .field("threshold", &self.threshold)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Share {
    /// Which shares it belongs to.
    #[must_use]
    pub fn set(&self) -> SetId {
        self.set
    }

    /// How many shares of the set restore the secret.
    #[must_use]
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// Its number within the set, from 1.
    #[must_use]
    pub fn number(&self) -> u8 {
        self.number
    }
}

/// Splits a secret into `shares`, any `threshold` of which restore it.
///
/// # Errors
///
/// [`ShareError::Count`] unless `2 <= threshold <= shares`; [`ShareError::Length`]; [`ShareError::NoRandom`].
pub fn split(secret: &[u8], threshold: u8, shares: u8) -> Result<Vec<Share>, ShareError> {
    if threshold < 2 || threshold > shares {
        return Err(ShareError::Count { threshold, shares });
    }
    if secret.is_empty() || secret.len() > MAX_SECRET {
        return Err(ShareError::Length(secret.len()));
    }
    let random = SystemRandom::new();
    let mut set = SetId([0; 5]);
    random.fill(&mut set.0).map_err(|_| ShareError::NoRandom)?;
    let mut shared = Zeroizing::new(Vec::with_capacity(secret.len() + CHECK));
    shared.extend_from_slice(secret);
    shared.extend_from_slice(&check(set, threshold, secret));
    let mut coefficients = Zeroizing::new(vec![0; shared.len() * usize::from(threshold - 1)]);
    random.fill(&mut coefficients).map_err(|_| ShareError::NoRandom)?;
    let shares = (1..=shares).map(|number| Share {
        set,
        threshold,
        number,
        values: shares_at(number, &shared, &coefficients, threshold),
    });
    Ok(shares.collect())
}

/// Restores the secret from at least as many shares of one set as it takes. Those beyond that many must agree with the others.
///
/// # Errors
///
/// [`ShareError`] says which share is in the way, or that there are too few.
pub fn combine(shares: &[Share]) -> Result<Secret, ShareError> {
    let first = shares.first().ok_or(ShareError::None)?;
    let mut seen = [false; 256];
    for (index, share) in shares.iter().enumerate() {
        if share.set != first.set {
            return Err(ShareError::OtherSet { index: index + 1, found: share.set, expected: first.set });
        }
        if share.threshold != first.threshold || share.values.len() != first.values.len() {
            return Err(ShareError::Changed);
        }
        if let Some(seen) = seen.get_mut(usize::from(share.number))
            && std::mem::replace(seen, true)
        {
            return Err(ShareError::Twice(share.number));
        }
    }
    let Some((used, others)) = shares.split_at_checked(usize::from(first.threshold)) else {
        return Err(ShareError::TooFew { found: shares.len(), needed: first.threshold });
    };
    let numbers: Vec<u8> = used.iter().map(Share::number).collect();
    let at = |place: u8| -> Zeroizing<Vec<u8>> {
        let weights = weights(place, &numbers);
        let values = (0..first.values.len()).map(|byte| {
            let known = used.iter().map(|share| share.values.get(byte).copied().unwrap_or_default());
            interpolate(&weights, known)
        });
        Zeroizing::new(values.collect())
    };
    for other in others {
        if !bool::from(at(other.number).ct_eq(&other.values)) {
            return Err(ShareError::Changed);
        }
    }
    let shared = at(0);
    let length = shared.len().saturating_sub(CHECK);
    let (secret, hash) = shared.split_at(length);
    if !bool::from(check(first.set, first.threshold, secret).ct_eq(hash)) {
        return Err(ShareError::Changed);
    }
    Ok(Secret::new(secret.to_vec()))
}

/// The value of each byte's polynomial at `number`. `coefficients` holds those of each byte together, without the constant one.
fn shares_at(number: u8, shared: &[u8], coefficients: &[u8], threshold: u8) -> Zeroizing<Vec<u8>> {
    let polynomials = shared.iter().zip(coefficients.chunks_exact(usize::from(threshold - 1)));
    Zeroizing::new(polynomials.map(|(byte, rest)| value_at(number, *byte, rest)).collect())
}

/// What is shared behind the secret, to know it again.
fn check(set: SetId, threshold: u8, secret: &[u8]) -> [u8; CHECK] {
    let mut hashed = Zeroizing::new(Vec::with_capacity(64 + secret.len()));
    hashed.extend_from_slice(b"buttress share v1 check");
    hashed.extend_from_slice(&set.0);
    hashed.push(threshold);
    hashed.extend_from_slice(secret);
    let mut check = [0; CHECK];
    for (place, byte) in check.iter_mut().zip(digest(&SHA256, &hashed).as_ref()) {
        *place = *byte;
    }
    check
}

#[cfg(test)]
mod tests;
