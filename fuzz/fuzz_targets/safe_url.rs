//! Any text as a URL: what is taken reads back, has a public host as it stands, and is read alike with a base.

#![no_main]

use buttress_validate::SafeUrl;
use buttress_validate::url::{Host, Reach, classify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (text, location) = input;
    let url = match text.parse::<SafeUrl>() {
        Ok(url) => {
            check(&url);
            url
        }
        Err(_) => "https://example.org/a/b".parse().expect("it is public"),
    };
    if let Ok(onward) = url.redirect(location) {
        check(&onward);
        assert_eq!(onward.redirects(), 1);
        assert!(url.scheme() != "https" || onward.scheme() == "https");
    }
});

fn check(url: &SafeUrl) {
    assert_eq!(url.to_string().parse::<SafeUrl>().as_ref(), Ok(url));
    match url.host() {
        Host::Address(address) => assert_eq!(classify(address), Reach::Public),
        Host::Name(name) => {
            assert!(name.is_ascii() && name.contains('.'));
            assert!(!name.contains(['@', '/', '\\', '%', ' ', '#', '?']));
            assert!(name.parse::<std::net::IpAddr>().is_err());
        }
    }
}
