//! Any text as `Cookie` headers, one a line: the cookie is found as a plain reader finds it, or it is an error.

#![no_main]

use buttress_access::session::SessionHash;
use buttress_access::session::cookie::{CookieError, LONGEST, find};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let headers: Vec<&str> = text.lines().collect();
    let pairs = || headers.iter().flat_map(|header| header.split(';'));
    let values: Vec<&str> = pairs()
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.trim_matches([' ', '\t']) == "s")
        .map(|(_, value)| value.trim_matches([' ', '\t']))
        .collect();
    match find(headers.iter().copied(), "s") {
        Ok(None) => assert!(values.is_empty()),
        Ok(Some(value)) => {
            assert_eq!(values, [value]);
            assert!(value.bytes().all(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)));
            let id = value.len() == 43
                && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            assert_eq!(SessionHash::of(value).is_ok(), id);
        }
        Err(CookieError::Twice) => assert!(values.len() > 1),
        Err(CookieError::TooLarge) => {
            assert!(
                headers.iter().map(|header| header.len()).sum::<usize>() > LONGEST || pairs().count() > 256
            );
        }
        Err(_) => assert_eq!(values.len(), 1),
    }
});
