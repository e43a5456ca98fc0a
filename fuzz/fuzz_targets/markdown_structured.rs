//! Any bytes between front matter and a table.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    documents::process(
        "a.md",
        [&b"---\ntitle: A\n---\n\n# B\n\n"[..], bytes, b"\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"].concat(),
    );
});
