//! Random numbers for secrets, by the operating system.

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::Error;

/// Digits, capitals, small letters: in the order of ASCII, so that a text sorts as its number does.
pub(crate) const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Fills `bytes`.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    SystemRandom::new().fill(bytes).map_err(|_| Error::Random)
}

/// `N` characters of [`BASE62`], each as likely as any other: 5.95 bits each.
pub(crate) fn base62<const N: usize>() -> Result<Zeroizing<[u8; N]>, Error> {
    let mut text = Zeroizing::new([0; N]);
    let mut places = text.iter_mut();
    let mut drawn = Zeroizing::new([0_u8; 64]);
    let mut next = places.next();
    while next.is_some() {
        fill(&mut *drawn)?;
        for byte in drawn.iter() {
            // 248 is 4 times 62: what is above it would make the first characters likelier.
            let Some(sign) = BASE62.get(usize::from(*byte % 62)).filter(|_| *byte < 248) else { continue };
            let Some(place) = next.take() else { break };
            *place = *sign;
            next = places.next();
        }
    }
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_characters_are_drawn_equally_often() {
        let mut counts = std::collections::BTreeMap::<u8, u32>::new();
        for _ in 0..6_200 {
            for sign in base62::<10>().unwrap().iter() {
                *counts.entry(*sign).or_default() += 1;
            }
        }
        // A thousand are expected of each; eight times the standard deviation is no chance.
        assert_eq!(counts.len(), 62);
        assert!(counts.values().all(|count| (750..1_250).contains(count)), "{counts:?}");
    }
}
