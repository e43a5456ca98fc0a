//! Which addresses count as one caller.

use std::net::IpAddr;

/// A number for the network of an address that counts as one caller: the address itself for IPv4, also in IPv6 form, and the first
/// `prefix` bits of it for IPv6.
pub(crate) fn caller(address: IpAddr, prefix: u8) -> u128 {
    match address.to_canonical() {
        // Where IPv6 has a place for IPv4, so that no address of IPv6 is the same number.
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => {
            address.to_bits() & u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]
mod tests {
    use super::*;

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
}
