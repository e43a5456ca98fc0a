//! Any bytes as a ZIP package: its directory, its members, what is left of a broken one.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut package = b"PK\x03\x04".to_vec();
    package.extend(bytes.strip_prefix(b"PK\x03\x04").unwrap_or(bytes));
    documents::process("fuzz.docx", package);
});
