//! Whose word on the client's address counts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue};
use buttress_core::Validate;
use buttress_service::ProxiesConfig;
use proptest::prelude::*;

fn headers(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
    }
    headers
}

fn trusted(networks: &[&str]) -> ProxiesConfig {
    let mut config = ProxiesConfig::default();
    config.trusted = networks.iter().map(|network| network.parse().unwrap()).collect();
    config
}

fn hops(hops: usize) -> ProxiesConfig {
    let mut config = ProxiesConfig::default();
    config.hops = hops;
    config
}

#[test]
fn the_list_is_believed_from_its_end_as_far_as_ones_own_proxies_wrote_it() {
    let own = trusted(&["10.0.0.0/8", "fd00::/8"]);
    for (config, peer, lines, client) in [
        (&ProxiesConfig::default(), "10.0.0.1", &["1.1.1.1"][..], "10.0.0.1"),
        (&own, "10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
        (&own, "10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.2"], "1.1.1.1"),
        (&own, "10.0.0.1", &["6.6.6.6", "1.1.1.1", "10.0.0.2"], "1.1.1.1"),
        (&own, "10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (&own, "9.9.9.9", &["1.1.1.1"], "9.9.9.9"),
        (&own, "10.0.0.1", &["1.1.1.1, nonsense"], "10.0.0.1"),
        (&own, "10.0.0.1", &[], "10.0.0.1"),
        (&own, "fd00::1", &["[2001:db8::1]:443"], "2001:db8::1"),
        (&own, "::ffff:10.0.0.1", &["::ffff:1.1.1.1"], "1.1.1.1"),
        (&hops(1), "9.9.9.9", &["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
        (&hops(2), "9.9.9.9", &["6.6.6.6, 1.1.1.1, 8.8.8.8"], "1.1.1.1"),
        (&hops(3), "9.9.9.9", &["1.1.1.1"], "1.1.1.1"),
    ] {
        let peer: IpAddr = peer.parse().unwrap();
        assert_eq!(config.client(peer, &headers(lines)).to_string(), client, "{config:?} {peer} {lines:?}");
    }
}

#[test]
fn proxies_are_known_by_network_or_by_number_and_not_by_both() {
    let mut both = trusted(&["10.0.0.0/8"]);
    both.hops = 1;
    assert!(both.validate().is_err());
}

proptest! {
    #[test]
    fn a_stranger_cannot_choose_its_address(list in "[ -~]{0,60}", peer: u32) {
        let peer = IpAddr::V4(peer.into());
        let own = trusted(&["10.0.0.0/8"]);
        prop_assume!(!own.trusted[0].contains(peer));
        prop_assert_eq!(own.client(peer, &headers(&[&list])), peer);
    }
}
