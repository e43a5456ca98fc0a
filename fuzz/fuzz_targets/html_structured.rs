//! Any bytes in a cell of a table in a list in an article.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    documents::process(
        "a.html",
        [
            &b"<!doctype html><title>t</title><article><h1>h</h1><ul><li><table><tr><td>"[..],
            bytes,
            b"</td><td>x</td></tr></table></ul><p>end",
        ]
        .concat(),
    );
});
