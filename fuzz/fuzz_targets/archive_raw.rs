//! Any bytes behind the mark of a ZIP member.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    documents::process("a.zip", [&b"PK\x03\x04"[..], bytes, b""].concat());
});
