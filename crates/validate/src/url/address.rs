//! Which addresses are of the public internet.
//!
//! The ranges are those of the IANA registries of [special-purpose IPv4][v4] and [special-purpose IPv6][v6] addresses
//! (RFC 6890), of [IPv4][space4] and of [IPv6][space6] address space. Of IPv6 only `2000::/3` is given out, so all
//! else is refused, known or not. An IPv6 address that carries an IPv4 address is judged by what it carries.
//!
//! [v4]: https://www.iana.org/assignments/iana-ipv4-special-registry
//! [v6]: https://www.iana.org/assignments/iana-ipv6-special-registry
//! [space4]: https://www.iana.org/assignments/ipv4-address-space
//! [space6]: https://www.iana.org/assignments/ipv6-address-space

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::reason::Reason;

/// Whether an address may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// An address of the public internet.
    Public,
    /// Any other, and what it is.
    Refused(Reason),
}

/// The first range that an address is in counts.
const V4: [(Ipv4Addr, u32, Reason); 21] = [
    // Not a special address, yet every machine of Azure reaches its platform there.
    (Ipv4Addr::new(168, 63, 129, 16), 32, Reason::Metadata),
    (Ipv4Addr::new(169, 254, 169, 254), 32, Reason::Metadata), // AWS, Azure, GCP and most others
    (Ipv4Addr::new(169, 254, 170, 2), 32, Reason::Metadata),   // AWS, containers
    (Ipv4Addr::new(100, 100, 100, 200), 32, Reason::Metadata), // Alibaba
    (Ipv4Addr::new(192, 0, 0, 192), 32, Reason::Metadata),     // Oracle
    (Ipv4Addr::UNSPECIFIED, 8, Reason::ThisHost),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Reason::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Reason::Shared),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Reason::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Reason::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Reason::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Reason::Special), // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24, Reason::Special), // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24, Reason::Special), // relays of 6to4
    (Ipv4Addr::new(192, 168, 0, 0), 16, Reason::Private),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Reason::Special), // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24, Reason::Special), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24, Reason::Special), // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4, Reason::Multicast),
    (Ipv4Addr::BROADCAST, 32, Reason::Multicast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Reason::Reserved),
];

/// The first range that an address is in counts. Asked after addresses that carry an IPv4 address were unwrapped.
const V6: [(Ipv6Addr, u32, Reason); 16] = [
    (Ipv6Addr::UNSPECIFIED, 128, Reason::ThisHost),
    (Ipv6Addr::LOCALHOST, 128, Reason::Loopback),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128, Reason::Metadata), // AWS
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128, Reason::Metadata),  // GCP
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, Reason::Private),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, Reason::LinkLocal),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, Reason::Private), // site-local, deprecated
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, Reason::Multicast),
    // What a network's own translation to IPv4 reaches is the network's to know.
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, Reason::Private),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 48, Reason::Special), // discard-only, dummy
    // Protocol assignments: Teredo, benchmarks, ORCHID and its second version among them.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, Reason::Special),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, Reason::Special), // documentation
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, Reason::Reserved),    // 6bone, given back
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, Reason::Special),     // documentation
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16, Reason::Special),     // segment routing
    (Ipv6Addr::UNSPECIFIED, 96, Reason::Reserved),                         // IPv4-compatible, deprecated
];

/// Judges one address.
///
/// ```
/// use buttress_validate::url::{Reach, Reason, classify};
///
/// assert_eq!(classify("9.9.9.9".parse()?), Reach::Public);
/// assert_eq!(classify("169.254.169.254".parse()?), Reach::Refused(Reason::Metadata));
/// assert_eq!(classify("::ffff:10.0.0.1".parse()?), Reach::Refused(Reason::Private));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub fn classify(address: IpAddr) -> Reach {
    match carried(address) {
        IpAddr::V4(inner) => judge(&V4, |base, bits| holds_v4(base, bits, inner)),
        IpAddr::V6(own) => match judge(&V6, |base, bits| holds_v6(base, bits, own)) {
            Reach::Public if !holds_v6(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3, own) => {
                Reach::Refused(Reason::Reserved)
            }
            reach => reach,
        },
    }
}

fn judge<A: Copy>(table: &[(A, u32, Reason)], holds: impl Fn(A, u32) -> bool) -> Reach {
    let found = table.iter().find(|(base, bits, _)| holds(*base, *bits));
    found.map_or(Reach::Public, |(_, _, reason)| Reach::Refused(*reason))
}

/// The IPv4 address that an IPv6 address stands for: IPv4-mapped, NAT64 (RFC 6052) or 6to4 (RFC 3056). Any other
/// address is its own.
pub(crate) fn carried(address: IpAddr) -> IpAddr {
    let IpAddr::V6(outer) = address else { return address };
    let joined = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match outer.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => joined(high, low),
        _ => address,
    }
}

/// Whether the network of `bits` leading bits of `base` holds `address`.
pub(crate) fn holds_v4(base: Ipv4Addr, bits: u32, address: Ipv4Addr) -> bool {
    (u32::from(base) ^ u32::from(address)).leading_zeros() >= bits
}

/// Whether the network of `bits` leading bits of `base` holds `address`.
pub(crate) fn holds_v6(base: Ipv6Addr, bits: u32, address: Ipv6Addr) -> bool {
    (u128::from(base) ^ u128::from(address)).leading_zeros() >= bits
}
