//! Any bytes behind the mark of a compound file.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let file = [&b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[..], bytes].concat();
    documents::process("a.doc", file);
});
