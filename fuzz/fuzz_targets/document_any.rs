//! Any bytes through the whole pipeline, as a worker would take them: what they are is for the detector to find out.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| documents::process(None, bytes.to_vec()));
