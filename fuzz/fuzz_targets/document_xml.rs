//! Any bytes as XML, in whatever encoding they declare.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut xml = b"<?xml".to_vec();
    xml.extend(bytes.strip_prefix(b"<?xml").unwrap_or(bytes));
    documents::process("fuzz.xml", xml);
});
