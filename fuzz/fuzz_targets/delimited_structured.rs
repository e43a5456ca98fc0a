//! Any bytes as the rows of a table with a header.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    documents::process("a.tsv", [&b"a\tb\tc\n1\t2\t3\n"[..], bytes, b"\n4\t5\t6\n"].concat());
});
