//! Any bytes behind a mark of UTF-16, where every pair of them is a character.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    documents::process("a.txt", [&b"\xff\xfe"[..], bytes, b""].concat());
});
