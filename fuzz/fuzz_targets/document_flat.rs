//! Any text as the body of an `OpenDocument` that is one XML file, of its kind by the first byte.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let kind = ["text", "spreadsheet", "presentation"][usize::from(kind % 3)];
    let body = String::from_utf8_lossy(bytes);
    let xml = format!(
        "<?xml version='1.0'?><office:document office:mimetype='application/vnd.oasis.opendocument.{kind}'>\
         <office:body>{body}</office:body></office:document>"
    );
    documents::process("fuzz", xml.into());
});
