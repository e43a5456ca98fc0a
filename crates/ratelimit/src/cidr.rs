//! Networks of addresses, and who is let in without being counted or not at all.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// Where IPv4 addresses are among those of IPv6: `::ffff:0:0/96`.
const MAPPED: u128 = 0xffff << 32;

/// An address as a number, with IPv4 addresses where IPv6 has a place for them; so both forms of one are the same.
pub(crate) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => MAPPED | u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The network of an address that counts as one caller: the address itself for IPv4, its first `prefix` bits for IPv6.
pub(crate) fn caller(address: IpAddr, prefix: u8) -> u128 {
    let number = bits(address);
    if number & !u128::from(u32::MAX) == MAPPED {
        return number;
    }
    number & u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0)
}

/// A network: `"10.0.0.0/8"`, `"fd00::/8"`, or one address. Bits after the prefix are cleared; IPv4 addresses in IPv6 form are
/// IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    first: u128,
    /// Of 128, also for IPv4.
    prefix: u32,
}

impl Cidr {
    /// Whether the network holds `address`.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        (self.first..=self.last()).contains(&bits(address))
    }

    fn last(self) -> u128 {
        self.first | u128::MAX.checked_shr(self.prefix).unwrap_or(0)
    }
}

impl FromStr for Cidr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fail = || Error::Cidr { text: text.chars().take(80).collect() };
        let (address, prefix) =
            text.trim().split_once('/').map_or((text.trim(), None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| fail())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(digits) if digits.len() <= 3 && digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().map_err(|_| fail())?
            }
            Some(_) => return Err(fail()),
        };
        if prefix > most {
            return Err(fail());
        }
        let prefix = prefix + 128 - most;
        let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
        Ok(Self { first: bits(address) & mask, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Ipv6Addr::from_bits(self.first).to_ipv4_mapped() {
            Some(address) if self.prefix >= 96 => write!(f, "{address}/{}", self.prefix - 96),
            _ => write!(f, "{}/{}", Ipv6Addr::from_bits(self.first), self.prefix),
        }
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a list says of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Let in, and not counted.
    Allow,
    /// Not let in.
    Deny,
}

/// Networks that are allowed or denied; of those that hold an address, the one with the longest prefix says. Where a network is in
/// both lists it is denied.
///
/// Kept as spans that do not overlap, so that looking an address up is one binary search however many networks there are.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccessList {
    /// From this address on to the next, ascending.
    spans: Box<[(u128, Option<Access>)]>,
}

impl AccessList {
    pub(crate) fn new(allow: &[Cidr], deny: &[Cidr]) -> Self {
        let allowed = allow.iter().map(|network| (*network, Access::Allow));
        let denied = deny.iter().map(|network| (*network, Access::Deny));
        let mut networks: Vec<_> = allowed.chain(denied).collect();
        // Stable: of equal networks, the denied one comes last and so lies on top.
        networks.sort_by_key(|(network, _)| (network.first, network.prefix));
        let mut spans: Vec<(u128, Option<Access>)> = Vec::with_capacity(networks.len() * 2);
        // Networks nest or are apart, so those around the present address are a stack.
        let mut around: Vec<(Cidr, Access)> = Vec::new();
        let close_until = |around: &mut Vec<(Cidr, Access)>, spans: &mut Vec<_>, address: Option<u128>| {
            while let Some((network, _)) =
                around.pop_if(|(network, _)| address.is_none_or(|a| network.last() < a))
            {
                if let Some(next) = network.last().checked_add(1) {
                    spans.push((next, around.last().map(|&(_, access)| access)));
                }
            }
        };
        for (network, access) in networks {
            close_until(&mut around, &mut spans, Some(network.first));
            spans.push((network.first, Some(access)));
            around.push((network, access));
        }
        close_until(&mut around, &mut spans, None);
        // Of several at one address, the last says.
        let mut merged: Vec<(u128, Option<Access>)> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut() {
                Some(last) if last.0 == span.0 => *last = span,
                _ => merged.push(span),
            }
        }
        merged.dedup_by_key(|span| span.1);
        Self { spans: merged.into() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    pub(crate) fn find(&self, address: IpAddr) -> Option<Access> {
        let address = bits(address);
        let after = self.spans.partition_point(|&(first, _)| first <= address);
        self.spans.get(after.checked_sub(1)?)?.1
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    /// Few bits differ, so that networks nest and touch.
    fn addresses() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            (0..4_u32, 0..4_u32).prop_map(|(high, low)| IpAddr::V4(Ipv4Addr::from_bits(high << 30 | low))),
            (0..4_u128, 0..4_u128).prop_map(|(high, low)| IpAddr::V6(Ipv6Addr::from_bits(high << 126 | low))),
            (0..4_u32).prop_map(|low| IpAddr::V6(Ipv4Addr::from_bits(low).to_ipv6_mapped())),
            Just(IpAddr::V6(Ipv6Addr::from_bits(u128::MAX))),
        ]
    }

    fn networks() -> impl Strategy<Value = Vec<Cidr>> {
        let network = (addresses(), 0..=128_u32).prop_map(|(address, prefix)| {
            let most = if address.is_ipv4() { 32 } else { 128 };
            format!("{address}/{}", prefix.min(most)).parse().unwrap()
        });
        proptest::collection::vec(network, 0..12)
    }

    proptest! {
        #[test]
        fn the_longest_prefix_says(allow in networks(), deny in networks(), asked in proptest::collection::vec(addresses(), 20)) {
            let list = AccessList::new(&allow, &deny);
            let longest = |networks: &[Cidr], address| {
                networks.iter().filter(|network| network.contains(address)).map(|network| network.prefix).max()
            };
            for address in asked {
                let expected = match (longest(&allow, address), longest(&deny, address)) {
                    (None, None) => None,
                    (allowed, denied) if denied >= allowed => Some(Access::Deny),
                    _ => Some(Access::Allow),
                };
                prop_assert_eq!(list.find(address), expected, "{}", address);
            }
        }

        #[test]
        fn a_network_reads_back(address in addresses(), prefix in 0..=32_u32) {
            let network: Cidr = format!("{address}/{prefix}").parse().unwrap();
            prop_assert_eq!(network.to_string().parse::<Cidr>().unwrap(), network);
            prop_assert!(network.contains(address));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|[0-9a-f:./]{0,40}") {
            let _ = text.parse::<Cidr>();
        }
    }

    #[test]
    fn a_caller_is_its_network() {
        let same = |one: &str, other: &str, prefix| {
            caller(one.parse().unwrap(), prefix) == caller(other.parse().unwrap(), prefix)
        };
        assert!(same("2001:db8::1", "2001:db8::ffff:1", 64));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1", 64));
        assert!(!same("192.0.2.1", "192.0.2.2", 64));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1", 64));
        assert!(same("2001:db8::1", "fd00::1", 0));
        assert!(!same("2001:db8::1", "2001:db8::2", 128));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "fd00::/129", "10.0.0.0/+8", "10.0.0.0/", "example.org/8"] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }
}
