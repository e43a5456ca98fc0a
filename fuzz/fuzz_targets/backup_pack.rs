//! Any bytes as the end of a pack: a list that holds or a clear refusal, never more memory than there are bytes.
#![no_main]

use buttress_backup::any;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    any::read_pack(bytes);
});
