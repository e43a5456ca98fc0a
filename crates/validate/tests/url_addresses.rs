//! Which addresses are of the public internet.
#![cfg(feature = "url")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a failing expectation fails the test"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use buttress_validate::url::{Reach, Reason, classify};
use proptest::prelude::*;

/// First and last address of every range that is refused, why, and whether the addresses before and after are public.
const EDGES: &[(&str, &str, Reason, bool, bool)] = &[
    ("0.0.0.0", "0.255.255.255", Reason::ThisHost, false, true),
    ("10.0.0.0", "10.255.255.255", Reason::Private, true, true),
    ("100.64.0.0", "100.127.255.255", Reason::Shared, true, true),
    ("100.100.100.200", "100.100.100.200", Reason::Metadata, false, false),
    ("127.0.0.0", "127.255.255.255", Reason::Loopback, true, true),
    ("168.63.129.16", "168.63.129.16", Reason::Metadata, true, true),
    ("169.254.0.0", "169.254.255.255", Reason::LinkLocal, true, true),
    ("169.254.169.254", "169.254.169.254", Reason::Metadata, false, false),
    ("169.254.170.2", "169.254.170.2", Reason::Metadata, false, false),
    ("172.16.0.0", "172.31.255.255", Reason::Private, true, true),
    ("192.0.0.0", "192.0.0.255", Reason::Special, true, true),
    ("192.0.0.192", "192.0.0.192", Reason::Metadata, false, false),
    ("192.0.2.0", "192.0.2.255", Reason::Special, true, true),
    ("192.88.99.0", "192.88.99.255", Reason::Special, true, true),
    ("192.168.0.0", "192.168.255.255", Reason::Private, true, true),
    ("198.18.0.0", "198.19.255.255", Reason::Special, true, true),
    ("198.51.100.0", "198.51.100.255", Reason::Special, true, true),
    ("203.0.113.0", "203.0.113.255", Reason::Special, true, true),
    ("224.0.0.0", "239.255.255.255", Reason::Multicast, true, false),
    ("240.0.0.0", "255.255.255.254", Reason::Reserved, false, false),
    ("255.255.255.255", "255.255.255.255", Reason::Multicast, false, false),
    ("::", "::", Reason::ThisHost, false, false),
    ("::1", "::1", Reason::Loopback, false, false),
    ("::2", "::ffff:ffff", Reason::Reserved, false, false),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Reason::Private, false, false),
    ("100::", "100:0:0:1:ffff:ffff:ffff:ffff", Reason::Special, false, false),
    ("1fff::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Reserved, false, true),
    // Teredo, benchmarks, ORCHID and its second version are in here.
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Special, true, true),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Special, true, true),
    ("3ffe::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Reserved, true, false),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Special, false, true),
    ("4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Reserved, true, false),
    ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Special, false, false),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Private, false, false),
    ("fd00:ec2::254", "fd00:ec2::254", Reason::Metadata, false, false),
    ("fd20:ce::254", "fd20:ce::254", Reason::Metadata, false, false),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::LinkLocal, false, false),
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Private, false, false),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Reason::Multicast, false, false),
];

/// The address one step away, in its own family.
fn step(address: IpAddr, by: i8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::from(u32::from(v4).wrapping_add_signed(by.into())).into(),
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6).wrapping_add_signed(by.into())).into(),
    }
}

#[test]
fn every_range_is_refused_from_its_first_to_its_last_address() {
    for (first, last, reason, before, after) in EDGES {
        let (first, last): (IpAddr, IpAddr) = (first.parse().unwrap(), last.parse().unwrap());
        assert_eq!(classify(first), Reach::Refused(*reason), "{first}");
        assert_eq!(classify(last), Reach::Refused(*reason), "{last}");
        assert_eq!(classify(step(first, -1)) == Reach::Public, *before, "before {first}");
        assert_eq!(classify(step(last, 1)) == Reach::Public, *after, "after {last}");
    }
}

#[test]
fn servers_that_everybody_knows_are_public() {
    for text in ["1.1.1.1", "9.9.9.9", "192.175.48.6", "2606:4700:4700::1111", "2620:fe::fe", "2a00:1450::1"]
    {
        assert_eq!(classify(text.parse().unwrap()), Reach::Public, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_address_that_carries_another_is_judged_by_it(high: u16, low: u16) {
        let inner = classify(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)).into());
        let outer = [
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 7, 0, 0, 0, 1),
        ];
        for outer in outer {
            prop_assert_eq!(classify(outer.into()), inner);
        }
    }

    #[test]
    fn what_lies_between_the_edges_of_a_range_is_refused(at in 0..EDGES.len(), part: u128) {
        let (first, last, ..) = EDGES[at];
        let inside: IpAddr = match (first.parse().unwrap(), last.parse().unwrap()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                let (first, last) = (u32::from(first), u32::from(last));
                let offset = part % (u128::from(last - first) + 1);
                Ipv4Addr::from(first + u32::try_from(offset).unwrap()).into()
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                let (first, last) = (u128::from(first), u128::from(last));
                Ipv6Addr::from(first + part % (last - first + 1)).into()
            }
            _ => unreachable!(),
        };
        prop_assert_ne!(classify(inside), Reach::Public);
    }
}
