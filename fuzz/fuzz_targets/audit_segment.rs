//! Any bytes as a segment of an audit log: so many entries as hold, each with one encoding, and no more memory than there are bytes. And
//! as what stands beside it: an entry, a checkpoint, a verifier key.

#![no_main]

use buttress_audit::{NoteVerifier, Record, SignedCheckpoint};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    buttress_audit::segment::scan_any(bytes);
    if let Ok(record) = Record::decode(bytes) {
        assert_eq!(record.encode().ok().as_deref(), Some(bytes));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(note) = text.parse::<SignedCheckpoint>() {
            assert_eq!(note.to_string(), text);
        }
        let _ = text.parse::<NoteVerifier>();
    }
});
