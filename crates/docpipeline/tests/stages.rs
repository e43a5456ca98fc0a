//! The steps after extraction, held to what they promise on any text.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // A failed unwrap or index is a failed test.

use buttress_docpipeline::{
    ChunkConfig, Fingerprint, Pipeline, PipelineConfig, Source, chunk, count_tokens, normalise,
};
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// Text with everything that the stages look at: scripts, spaces, line ends, marks, headings, long runs.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z]{1,12}",
        "[0-9]{1,6}",
        "[а-я]{1,9}",
        "[一-丏]{1,5}",
        "\\PC{0,4}",
        "[ \t\u{a0}\u{2003}]{1,3}",
        "(\n|\r\n|\r|\u{c}|\u{2028}){1,4}",
        Just("# Heading\n\n".to_owned()),
        Just(". ".to_owned()),
        Just("\u{ad}\u{200b}\u{feff}\0".to_owned()),
        Just("ﬁﬄ".to_owned()),
        Just("x".repeat(200)),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn chunks_cover_the_text_in_order_within_their_size_and_overlap(
        text in any_text(), max in 16_usize..80, overlap in 0_usize..40,
    ) {
        let overlap = overlap.min(max / 2);
        let chunks = chunk(&text, &ChunkConfig::new(max, overlap));
        prop_assert_eq!(chunks.is_empty(), text.is_empty());
        let mut covered = 0;
        let mut last_start = None;
        for chunk in &chunks {
            let slice = text.get(chunk.span.range());
            prop_assert!(slice.is_some(), "offsets stand on character boundaries");
            prop_assert!(chunk.span.start <= covered, "no gap");
            prop_assert!(chunk.span.end > covered, "each chunk brings something new");
            prop_assert!(last_start < Some(chunk.span.start), "in order");
            prop_assert_eq!(chunk.tokens, count_tokens(slice.unwrap()));
            prop_assert!(chunk.tokens <= max);
            let repeated = &text[chunk.span.start..covered];
            prop_assert!(count_tokens(repeated) <= overlap, "{repeated:?}");
            covered = chunk.span.end;
            last_start = Some(chunk.span.start);
        }
        prop_assert_eq!(covered, text.len());
    }

    #[test]
    fn normal_text_is_tidy_and_stays_as_it_is(text in any_text()) {
        let tidy = normalise(text.clone(), &mut []);
        prop_assert!(!tidy.contains("\n\n\n") && !tidy.contains(" \n"));
        let untidy = tidy.contains(['\r', '\u{ad}', '\u{200b}', '\0', 'ﬁ']);
        prop_assert!(!untidy);
        prop_assert_eq!(tidy.trim(), &tidy);
        prop_assert_eq!(normalise(tidy.clone(), &mut []), tidy);
    }

    #[test]
    fn normalising_keeps_every_visible_character(text in any_text()) {
        // Decomposed, and without the marks: those compose with the letter before them and change places.
        let visible = |text: &str| {
            let letters = |c: &char| c.is_alphanumeric() && canonical_combining_class(*c) == 0;
            text.nfkd().filter(letters).collect::<String>()
        };
        prop_assert_eq!(visible(&normalise(text.clone(), &mut [])), visible(&text));
    }

    #[test]
    fn offsets_follow_what_they_pointed_at(text in "[a-z \n\t\r\u{a0}]{0,80}", at in 0_usize..80) {
        let at = text.floor_char_boundary(at);
        let mut offsets = [at];
        let tidy = normalise(text.clone(), &mut offsets);
        let after = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        prop_assert_eq!(after(&tidy[offsets[0]..]), after(&text[at..]));
    }

    #[test]
    fn tokens_add_up_over_words(words in prop::collection::vec("[a-zA-Zа-я0-9]{1,30}", 0..20)) {
        let apart: usize = words.iter().map(|word| count_tokens(word)).sum();
        prop_assert_eq!(count_tokens(&words.join(" ")), apart);
    }
}

#[test]
fn cuts_prefer_headings_to_paragraphs_to_sentences() {
    let paragraph = "Some words stand here. Others stand there.";
    let text = format!("{paragraph}\n\n{paragraph}\n\n# Next\n\n{paragraph}\n\n{paragraph} {paragraph}");
    let chunks = chunk(&text, &ChunkConfig::new(24, 0));
    let starts: Vec<_> = chunks.iter().map(|chunk| &text[chunk.span.start..][..6]).collect();
    assert_eq!(starts, ["Some w", "# Next", "Some w"]);
}

fn fingerprint(text: &str) -> Fingerprint {
    let source = Source { name: Some("a.txt"), bytes: text.to_owned().into() };
    Pipeline::new(PipelineConfig::default()).process(&source).unwrap().document.fingerprint
}

#[test]
fn similarity_follows_the_share_of_common_text() {
    let words: Vec<String> = (0..2000).map(|i| format!("word{}", i * 7919 % 10007)).collect();
    let text = |from: usize, to: usize| words[from..to].join(" ");
    let base = fingerprint(&text(0, 1000));
    assert!((base.similarity(&base) - 1.0).abs() < f64::EPSILON);
    // 750 of 1250 words in common: Jaccard 0.6; five standard errors of 64 values are 0.3.
    let related = base.similarity(&fingerprint(&text(250, 1250)));
    assert!((0.3..0.9).contains(&related), "{related}");
    assert!(base.similarity(&fingerprint(&text(1000, 2000))) < 0.2);
}

#[test]
fn a_fingerprint_does_not_see_case_punctuation_or_layout() {
    let plain = fingerprint("the quick brown fox jumps over the lazy dog and runs away");
    let shouted = fingerprint("The quick, brown FOX\njumps over the lazy dog -- and runs away!");
    assert_eq!(plain.min_hash, shouted.min_hash);
    assert_eq!(plain.bands(), shouted.bands());
    assert_ne!(plain.content, shouted.content);
}

#[test]
fn signatures_never_change() {
    // Stored signatures are compared with new ones: a change of the hash functions is a change of the format.
    let signature = fingerprint("one two three four").min_hash;
    assert_eq!(signature[..3], [3_248_521_606, 801_789_899, 127_288_790]);
}
