//! Any bytes as plain text, in whatever encoding they seem to be.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| documents::process("a.txt", bytes.to_vec()));
