//! Any text as an API key: what is read has the form that it says, and nothing is accepted that is changed anywhere.

#![no_main]

use buttress_access::keys::{KeyText, Peppers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(key) = KeyText::parse(text) else { return };
    assert!(text.len() <= KeyText::LONGEST && text.starts_with(&format!("{}_{}_", key.prefix(), key.id())));
    let shown = format!("{key:?}");
    let secret = text.rsplit('_').nth(1).unwrap();
    assert!(!shown.contains(secret));
    let peppers = Peppers::new(1, &[7; 32]).unwrap();
    let hash = peppers.hash(&key);
    assert!(peppers.matches(&key, 1, &hash) && !peppers.matches(&key, 2, &hash));
    // A checksum of 32 bits finds every change of one sign.
    for place in 0..text.len() {
        let mut other = text.as_bytes().to_vec();
        other[place] = if other[place] == b'x' { b'y' } else { b'x' };
        assert!(KeyText::parse(std::str::from_utf8(&other).unwrap()).is_err(), "{place}");
    }
});
