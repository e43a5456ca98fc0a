//! Any bytes as a message between two others.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let separator = &b"From a@b.example Thu Jan  1 00:00:00 1998\n"[..];
    let message = &b"From: a@b.example\nSubject: c\n\nd\n\n"[..];
    documents::process(
        "a.mbox",
        [separator, message, separator, bytes, b"\n\n", separator, message].concat(),
    );
});
