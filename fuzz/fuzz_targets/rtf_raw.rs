//! Any bytes behind the mark of RTF.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    documents::process("a.rtf", [&b"{\\rtf1"[..], bytes, b""].concat());
});
