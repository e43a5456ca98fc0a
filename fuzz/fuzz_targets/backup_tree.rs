//! Any bytes as a tree and as the quoted name of a file: no name leads out of its folder, and all means the same when
//! it is written again.
#![no_main]

use buttress_backup::any;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    any::read_tree(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        any::read_name(text);
    }
});
