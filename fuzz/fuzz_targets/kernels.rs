//! Any text through the text kernels, at every level that this processor has: each gives what its plain definition
//! gives, bit by bit.

#![no_main]

use buttress_docpipeline::testing::difference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, [u16; 3])| {
    let (text, offsets) = input;
    let mut offsets = offsets.map(usize::from);
    offsets.sort_unstable();
    assert_eq!(difference(text, &offsets), None);
});
