//! Any text as the name of a file: what is taken is one name; what is put right is always taken, and stays as it is.

#![no_main]

use std::path::{Component, Path};

use buttress_validate::SafeFileName;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let right = SafeFileName::sanitize(text);
    assert_eq!(right.as_str().parse::<SafeFileName>().as_ref(), Ok(&right));
    assert_eq!(SafeFileName::sanitize(right.as_str()), right);
    let parts: Vec<_> = Path::new(right.as_str()).components().collect();
    assert!(matches!(*parts, [Component::Normal(_)]));
    if let Ok(name) = text.parse::<SafeFileName>() {
        assert_eq!(name, right);
    }
});
