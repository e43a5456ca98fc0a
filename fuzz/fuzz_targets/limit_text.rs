//! Any text as a limit and as a network, and as whoever asks: what is taken reads back as it is shown, and a limiter
//! never admits more than its quota.

#![no_main]

use std::net::IpAddr;

use buttress_core::Cidr;
use buttress_ratelimit::{Limit, Limiter, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, [u8; 16])| {
    let (text, address) = input;
    if let Ok(network) = text.parse::<Cidr>() {
        assert_eq!(network.to_string().parse::<Cidr>().ok(), Some(network));
        let _ = network.contains(IpAddr::from(address));
    }
    let Ok(limit) = text.parse::<Limit>() else { return };
    assert_eq!(limit.to_string().parse::<Limit>().ok(), Some(limit));
    let limiter = Limiter::new(limit);
    let asked = Request::user(text).from_ip(IpAddr::from(address)).route(text).tier(text);
    let most = u64::from(limit.at_once().min(100));
    let admitted = (0..=most).filter(|_| limiter.check(asked).is_admitted()).count();
    // A quota of less than a thousand a second does not come back meanwhile.
    let slow = u128::from(limit.quota()) * 1_000 < limit.window().as_millis();
    assert!(!slow || admitted as u64 <= u64::from(limit.at_once()), "{admitted} of {limit}");
});
