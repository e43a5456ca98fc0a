//! Any bytes as what a sound gzip stream holds.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    documents::process("a.gz", encoder.finish().unwrap());
});
