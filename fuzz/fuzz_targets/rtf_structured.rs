//! Any bytes in the body of a sound document with fonts, styles and a table.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    documents::process("a.rtf", [&b"{\\rtf1\\ansi\\ansicpg1252{\\fonttbl{\\f0\\fcharset128 A;}}{\\stylesheet{\\s1 heading 1;}}{\\info{\\title T}}\\f0 "[..], bytes, b"\\par\\trowd\\intbl a\\cell b\\cell\\row}"].concat());
});
