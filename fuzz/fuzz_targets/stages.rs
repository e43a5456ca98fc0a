//! Any text through normalising and cutting, tidy or as it came: chunks cover it within their sizes, marks stand on
//! character boundaries, no letter is lost, and what is tidy stays as it is.

#![no_main]

use buttress_docpipeline::{ChunkConfig, chunk, count_tokens, normalise};
use libfuzzer_sys::fuzz_target;
use unicode_normalization::UnicodeNormalization;

fuzz_target!(|input: (u8, u8, &str)| {
    let (max, overlap, text) = input;
    let max = usize::from(max).max(16);
    let overlap = usize::from(overlap).min(max / 2);
    let mut marks = [0, text.floor_char_boundary(text.len() / 2), text.len()];
    let tidy = normalise(text, &mut marks);
    assert!(marks.is_sorted() && marks.iter().all(|mark| tidy.is_char_boundary(*mark)), "{marks:?}");
    assert!(!tidy.contains("\n\n\n") && !tidy.contains(" \n") && tidy.trim() == tidy);
    assert_eq!(normalise(&tidy, &mut []), tidy);
    assert_eq!(letters(&tidy), letters(text));
    cut(text, max, overlap);
    cut(&tidy, max, overlap);
});

fn letters(text: &str) -> String {
    text.nfkc().filter(|c| c.is_alphanumeric()).collect()
}

fn cut(text: &str, max: usize, overlap: usize) {
    let mut covered = 0;
    let mut last_start = None;
    for chunk in chunk(text, &ChunkConfig::new(max, overlap)) {
        let (start, end) = (chunk.span.start, chunk.span.end);
        let slice = text.get(chunk.span.range()).expect("chunks end where characters end");
        assert!(last_start < Some(start) && start <= covered && end > covered, "{:?}, {covered}", chunk.span);
        assert_eq!(chunk.tokens, count_tokens(slice));
        assert!(chunk.tokens <= max && count_tokens(&text[start..covered]) <= overlap);
        covered = end;
        last_start = Some(start);
    }
    assert_eq!(covered, text.len());
}
