//! Any bytes behind the first headers of a message.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    documents::process("a.eml", [&b"From: a@b.example\r\nSubject: s\r\n"[..], bytes, b""].concat());
});
