//! Who is let in without being counted, or not at all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use buttress_core::Cidr;

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
    /// From this address on to the next, ascending; those of IPv4 come first.
    spans: Box<[(IpAddr, Option<Access>)]>,
}

impl AccessList {
    pub(crate) fn new(allow: &[Cidr], deny: &[Cidr]) -> Self {
        let allowed = allow.iter().map(|network| (*network, Access::Allow));
        let denied = deny.iter().map(|network| (*network, Access::Deny));
        let mut networks: Vec<_> = allowed.chain(denied).collect();
        // Stable: of equal networks, the denied one comes last and so lies on top.
        networks.sort_by_key(|(network, _)| (network.first(), network.prefix()));
        let mut spans: Vec<(IpAddr, Option<Access>)> = Vec::with_capacity(networks.len() * 2);
        // Networks nest or are apart, so those around the present address are a stack.
        let mut around: Vec<(Cidr, Access)> = Vec::new();
        let close_until = |around: &mut Vec<(Cidr, Access)>, spans: &mut Vec<_>, address: Option<IpAddr>| {
            while let Some((network, _)) =
                around.pop_if(|(network, _)| address.is_none_or(|a| network.last() < a))
            {
                if let Some(next) = after(network.last()) {
                    spans.push((next, around.last().map(|&(_, access)| access)));
                }
            }
        };
        for (network, access) in networks {
            close_until(&mut around, &mut spans, Some(network.first()));
            spans.push((network.first(), Some(access)));
            around.push((network, access));
        }
        close_until(&mut around, &mut spans, None);
        // Of several at one address, the last says.
        let mut merged: Vec<(IpAddr, Option<Access>)> = Vec::with_capacity(spans.len());
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
        let address = address.to_canonical();
        let following = self.spans.partition_point(|&(first, _)| first <= address);
        self.spans.get(following.checked_sub(1)?)?.1
    }
}

/// The next address; the first of IPv6 comes after the last of IPv4.
fn after(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let next = address.to_bits().checked_add(1).map(|bits| Ipv4Addr::from_bits(bits).into());
            next.or(Some(Ipv6Addr::UNSPECIFIED.into()))
        }
        IpAddr::V6(address) => address.to_bits().checked_add(1).map(|bits| Ipv6Addr::from_bits(bits).into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Few bits differ, so that networks nest and touch; the ends of both families are among them.
    fn addresses() -> impl Strategy<Value = IpAddr> {
        let v4 = |bits| IpAddr::V4(Ipv4Addr::from_bits(bits));
        let v6 = |bits| IpAddr::V6(Ipv6Addr::from_bits(bits));
        prop_oneof![
            (0..4_u32, 0..4_u32).prop_map(move |(high, low)| v4(high << 30 | low)),
            (0..4_u128, 0..4_u128).prop_map(move |(high, low)| v6(high << 126 | low)),
            (0..4_u32).prop_map(|low| Ipv4Addr::from_bits(low).to_ipv6_mapped().into()),
            Just(v4(u32::MAX)),
            Just(v6(u128::MAX)),
        ]
    }

    fn networks() -> impl Strategy<Value = Vec<Cidr>> {
        let network = (addresses(), 0..=128_u8).prop_map(|(address, prefix)| {
            let address = address.to_canonical();
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
                networks.iter().filter(|network| network.contains(address)).map(Cidr::prefix).max()
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
    }
}
