//! Any bytes as reStructuredText, LaTeX or Org, by the first byte.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let name = ["a.rst", "a.tex", "a.org"][usize::from(kind % 3)];
    documents::process(name, bytes.to_vec());
});
