//! Any text through normalising and cutting: chunks cover the text, offsets stand on character boundaries, and what is
//! tidy stays as it is.

#![no_main]

use buttress_docpipeline::{ChunkConfig, chunk, count_tokens, normalise};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, u8, u8)| {
    let (raw, max, overlap) = input;
    let tidy = normalise(raw.to_owned(), &mut []);
    assert_eq!(normalise(tidy.clone(), &mut []), tidy);
    let max = usize::from(max).max(16);
    let overlap = usize::from(overlap).min(max / 2);
    let mut covered = 0;
    for chunk in chunk(&tidy, &ChunkConfig::new(max, overlap)) {
        let text = tidy.get(chunk.span.range()).expect("offsets stand on character boundaries");
        assert!(chunk.span.start <= covered && chunk.span.end > covered, "{:?} after {covered}", chunk.span);
        assert!(count_tokens(text) <= max && count_tokens(&tidy[chunk.span.start..covered]) <= overlap);
        covered = chunk.span.end;
    }
    assert_eq!(covered, tidy.len());
});
