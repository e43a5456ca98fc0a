//! Any bytes as a key object, which nobody has authenticated yet: deriving a key from it never takes more than its
//! limit.
#![no_main]

use buttress_backup::any;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    any::read_key(bytes);
});
