//! Any bytes behind the mark of PDF.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    documents::process("a.pdf", [&b"%PDF-1.7\n"[..], bytes, b""].concat());
});
