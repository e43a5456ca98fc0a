//! Any bytes as an opened index, snapshot, lock or config: what is taken means the same when it is written again.
#![no_main]

use buttress_backup::any;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    any::read_document(bytes);
});
