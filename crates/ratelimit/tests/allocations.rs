//! A check of a known key allocates nothing, whatever it names.
#![allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]

use allocation_counter::measure;
use buttress_core::Ctx;
use buttress_ratelimit::{Limit, Limiter, LimiterConfig, Request, RouteConfig};

#[test]
fn a_check_allocates_nothing() {
    let mut config = LimiterConfig::default();
    config.global = Limit::per_hour(1_000_000).into();
    config.known_address = Limit::per_hour(1_000_000).into();
    config.routes.insert("search".to_owned(), RouteConfig::new(Limit::per_hour(1_000_000)));
    let simple = Limiter::with(&LimiterConfig::default(), &Ctx::default()).unwrap();
    let whole = Limiter::with(&config, &Ctx::default()).unwrap();
    let address = "2001:db8::1".parse().unwrap();
    let everything = Request::user("user").with_key("key").from_ip(address).route("search").tier("pro");
    let _ = (simple.check("user"), whole.check(everything));
    let counted = measure(|| {
        // Admitted at first, refused later, challenged at last. A ban would be told of, and that allocates.
        for _ in 0..90 {
            let _ = (simple.check("user"), whole.check(everything));
            let _ = (simple.peek("user"), whole.peek(everything));
            whole.refund(everything);
        }
    });
    assert_eq!(counted.count_total, 0);
}
