//! Any bytes as a mailbox.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| documents::process("a.mbox", bytes.to_vec()));
