//! Any bytes as a value deep in a sound document.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    documents::process("a.json", [&b"{\"a\": [1, {\"b\": "[..], bytes, b"}]}"].concat());
});
