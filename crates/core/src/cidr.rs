//! Networks of addresses.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Classify, ErrorClass};

/// A network in CIDR notation (RFC 4632, RFC 4291): `"10.0.0.0/8"`, `"fd00::/8"`, or one address.
///
/// IPv4 and IPv6 are apart: `::/0` holds every IPv6 address and no IPv4 address, `0.0.0.0/0` the other way round. An IPv4 address that is
/// written as IPv6 (`::ffff:192.0.2.7`, as a listener for both hands it out) is the IPv4 address, here and in
/// [`contains`](Cidr::contains); so `::ffff:10.0.0.0/104` is `10.0.0.0/8`. Bits after the prefix are cleared.
///
/// ```
/// use buttress_core::Cidr;
///
/// let network: Cidr = "10.1.2.3/8".parse()?;
/// assert_eq!(network.to_string(), "10.0.0.0/8");
/// assert!(network.contains("10.9.9.9".parse()?));
/// assert!(network.contains("::ffff:10.9.9.9".parse()?));
/// assert!(!"::/0".parse::<Cidr>()?.contains("10.9.9.9".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    /// Never an IPv4 address in IPv6 form.
    first: IpAddr,
    /// At most 32 or 128, as the family has bits.
    prefix: u8,
}

impl Cidr {
    /// Whether the network holds `address`.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => address.to_bits() & self.mask_v4() == first.to_bits(),
            (IpAddr::V6(first), IpAddr::V6(address)) => address.to_bits() & self.mask_v6() == first.to_bits(),
            _ => false,
        }
    }

    /// The first address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// The last address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        match self.first {
            IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits() | !self.mask_v4()).into(),
            IpAddr::V6(first) => Ipv6Addr::from_bits(first.to_bits() | !self.mask_v6()).into(),
        }
    }

    /// How many bits its addresses have in common: up to 32 or 128.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    fn mask_v4(&self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }

    fn mask_v6(&self) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0)
    }

    fn cleared(self) -> Self {
        let first = match self.first {
            IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits() & self.mask_v4()).into(),
            IpAddr::V6(first) => Ipv6Addr::from_bits(first.to_bits() & self.mask_v6()).into(),
        };
        Self { first, ..self }
    }

    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().ok()?;
        let first = written.to_canonical();
        let (most, most_written) = (bits(first), bits(written));
        let prefix = match prefix {
            None => most,
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                // `::ffff:10.0.0.0/8` would be a network of IPv6; who writes it means another.
                digits.parse::<u8>().ok()?.checked_sub(most_written - most)?
            }
            Some(_) => return None,
        };
        (prefix <= most).then(|| Self { first, prefix }.cleared())
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// A text that is not a [`Cidr`]: its beginning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network; write it like \"10.0.0.0/8\", \"fd00::/8\" or \"192.0.2.7\"")]
pub struct CidrError(String);

impl Classify for CidrError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        Self::parse(text.trim()).ok_or_else(|| CidrError(text.chars().take(80).collect()))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    proptest! {
        #[test]
        fn a_network_of_ipv4_holds_what_shares_its_first_bits(base: u32, flipped in 0..32_u32, prefix in 0..=32_u8) {
            let [one, other] = [base, base ^ (1 << flipped)].map(Ipv4Addr::from_bits);
            let network = network(&format!("{one}/{prefix}"));
            let inside = u32::from(prefix) <= 31 - flipped;
            prop_assert!(network.contains(one.into()) && network.contains(one.to_ipv6_mapped().into()));
            prop_assert_eq!(network.contains(other.into()), inside);
            prop_assert_eq!(network.contains(other.to_ipv6_mapped().into()), inside);
            prop_assert_eq!((network.first()..=network.last()).contains(&IpAddr::from(other)), inside);
            let mapped = format!("{}/{}", one.to_ipv6_mapped(), prefix + 96);
            prop_assert_eq!(network, mapped.parse().unwrap());
        }

        #[test]
        fn a_network_of_ipv6_holds_what_shares_its_first_bits(base: u128, flipped in 0..128_u32, prefix in 0..=128_u8) {
            let [one, other] = [base, base ^ (1 << flipped)].map(Ipv6Addr::from_bits);
            prop_assume!(one.to_ipv4_mapped().is_none() && other.to_ipv4_mapped().is_none());
            let network = network(&format!("{one}/{prefix}"));
            let inside = u32::from(prefix) <= 127 - flipped;
            prop_assert!(network.contains(one.into()));
            prop_assert_eq!(network.contains(other.into()), inside);
            prop_assert_eq!((network.first()..=network.last()).contains(&IpAddr::from(other)), inside);
        }

        #[test]
        fn what_is_shown_reads_back(text in "[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,3}|[0-9a-f:./]{0,40}|\\PC{0,40}") {
            if let Ok(network) = text.parse::<Cidr>() {
                prop_assert_eq!(network.to_string().parse(), Ok(network));
                prop_assert!(network.contains(network.first()) && network.contains(network.last()));
            }
        }
    }

    #[test]
    fn ipv4_and_ipv6_are_apart() {
        let [one, other] = ["192.0.2.7", "2001:db8::7"].map(|text| text.parse().unwrap());
        assert!(network("0.0.0.0/0").contains(one) && !network("0.0.0.0/0").contains(other));
        assert!(!network("::/0").contains(one) && network("::/0").contains(other));
        // Around `::ffff:0:0/96`, where IPv4 is in IPv6.
        assert!(!network("::/64").contains("::ffff:192.0.2.7".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "/8",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "fd00::/129",
            "fd00::/256",
            "::ffff:10.0.0.0/8",
            "example.org/8",
        ] {
            let error = text.parse::<Cidr>().unwrap_err();
            assert!(error.to_string().contains("write it like \"10.0.0.0/8\""), "{text}");
        }
    }
}
