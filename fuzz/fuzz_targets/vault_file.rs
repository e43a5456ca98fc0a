//! A vault file: any bytes, the same with a digest that fits, and as what a vault holds when it is decrypted.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| buttress_secrets::vault::read_any(bytes));
