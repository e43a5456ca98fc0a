//! Any bytes as something compressed that claims a length: that long, or refused; never longer than the limit.
#![no_main]

use buttress_backup::any;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    any::decompress(bytes);
});
