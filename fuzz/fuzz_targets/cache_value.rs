//! Any bytes as a value that a tier or a snapshot gives back: an error or a value, and never more memory than allowed.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| buttress_cache::codec::decode_any(bytes));
