//! Shares as text that people write down and type.

use std::str::FromStr;
use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::{CHECK, MAX_SECRET, SetId, Share, ShareError};

const PREFIX: &str = "BTSS";
const VERSION: u8 = 1;
/// Version, set, threshold, number.
const HEADER: usize = 8;
const CHECKSUM: usize = 4;
/// The longest share in bytes.
const MAX_BYTES: usize = HEADER + MAX_SECRET + CHECK + CHECKSUM;
/// The longest text that is looked at: what the longest share takes, and as much again for spaces.
const MAX_TEXT: usize = 2 * (PREFIX.len() + MAX_BYTES * 8 / 5);
/// Letters between two hyphens.
const GROUP: usize = 5;

/// Crockford's base 32: no letter that looks like another; in either case.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    specification.translate.from.push_str("abcdefghjkmnpqrstvwxyzOoIiLl");
    specification.translate.to.push_str("ABCDEFGHJKMNPQRSTVWXYZ001111");
    #[expect(clippy::expect_used, reason = "constant, and every test of this module needs it")]
    specification.encoding().expect("32 symbols that differ")
});

pub(super) fn encoded(bytes: &[u8]) -> String {
    BASE32.encode(bytes)
}

impl Share {
    /// The share as text: `BTSS-…` in groups of five. Whoever has as many texts as the threshold says has the secret.
    #[must_use]
    pub fn expose(&self) -> String {
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.set.0);
        bytes.extend_from_slice(&[self.threshold, self.number]);
        bytes.extend_from_slice(&self.values);
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        let letters = Zeroizing::new(encoded(&bytes));
        let mut text = String::with_capacity(PREFIX.len() + letters.len() * 2);
        text.push_str(PREFIX);
        for (at, letter) in letters.chars().enumerate() {
            if at % GROUP == 0 {
                text.push('-');
            }
            text.push(letter);
        }
        text
    }
}

impl FromStr for Share {
    type Err = ShareError;

    /// Reads a share, in either case, with spaces and hyphens anywhere; O is read as 0, I and L as 1.
    fn from_str(text: &str) -> Result<Self, ShareError> {
        if text.len() > MAX_TEXT {
            return Err(ShareError::NotShare);
        }
        let mut letters = Zeroizing::new(String::with_capacity(text.len()));
        letters.extend(text.chars().filter(|letter| !letter.is_whitespace() && *letter != '-'));
        let (prefix, letters) = letters.split_at_checked(PREFIX.len()).ok_or(ShareError::NotShare)?;
        if !prefix.eq_ignore_ascii_case(PREFIX)
            || !letters.bytes().all(|letter| letter.is_ascii_alphanumeric())
        {
            return Err(ShareError::NotShare);
        }
        // A letter that is none of Crockford's, a lost letter, and bits left over are slips too.
        let bytes =
            BASE32.decode(letters.as_bytes()).map(Zeroizing::new).map_err(|_| ShareError::Checksum)?;
        let (content, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(ShareError::Checksum)?;
        if checksum(content) != *sum {
            return Err(ShareError::Checksum);
        }
        let (header, values) = content.split_first_chunk::<HEADER>().ok_or(ShareError::Damaged)?;
        let [version, set @ .., threshold, number] = header;
        if *version != VERSION {
            return Err(ShareError::Version(*version));
        }
        let sound =
            *threshold >= 2 && *number >= 1 && (CHECK + 1..=CHECK + MAX_SECRET).contains(&values.len());
        if !sound {
            return Err(ShareError::Damaged);
        }
        Ok(Self {
            set: SetId(*set),
            threshold: *threshold,
            number: *number,
            values: Zeroizing::new(values.to_vec()),
        })
    }
}

/// The beginning of a hash of all that comes before it.
fn checksum(content: &[u8]) -> [u8; CHECKSUM] {
    let mut sum = [0; CHECKSUM];
    for (place, byte) in sum.iter_mut().zip(digest(&SHA256, content).as_ref()) {
        *place = *byte;
    }
    sum
}
