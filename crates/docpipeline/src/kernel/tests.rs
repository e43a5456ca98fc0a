//! Every kernel at every level of this processor, beside its plain definition.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // A failed unwrap or index is a failed test.

use proptest::prelude::*;

use super::Level;
use crate::testing::difference;

/// Text of all that any kernel treats in its own way, and not much else.
fn pieces() -> Vec<&'static str> {
    vec![
        "word",
        "Longer",
        "x",
        "7",
        "1984",
        " ",
        " ",
        "  ",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "\t",
        "\u{b}",
        "\u{c}",
        "\0",
        "\u{1b}",
        "\u{7f}",
        "é",
        "Straße",
        "İ",
        "жук",
        "日本語",
        "です。",
        "\u{a0}",
        "\u{85}",
        "\u{ad}",
        "\u{1680}",
        "\u{2003}",
        "\u{2028}",
        "\u{202f}",
        "\u{205f}",
        "\u{3000}",
        "\u{200b}",
        "\u{200d}",
        "\u{feff}",
        "“",
        "—",
        "…",
        "ﬁ",
        "\u{fdfa}",
        "！",
        "😀",
        ".",
        "? ",
        "|",
        "# ",
        "{",
        "~",
        "[",
        "@",
        "`",
        "/",
        "antidisestablishmentarianism",
    ]
}

/// A text of about so many bytes, of pieces drawn by a plain generator; `plain` draws from ASCII only.
fn text(length: usize, seed: u64, plain: bool) -> String {
    let pieces: Vec<_> = pieces().into_iter().filter(|piece| !plain || piece.is_ascii()).collect();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    while text.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(pieces[usize::try_from(state >> 33).unwrap() % pieces.len()]);
    }
    text
}

fn check(text: &str, offsets: &[usize]) {
    let beginning = &text[..text.floor_char_boundary(600)];
    assert_eq!(difference(text, offsets), None, "of {beginning:?} with {offsets:?}");
}

#[test]
fn every_length_at_every_alignment() {
    for alignment in 0..64 {
        for plain in [true, false] {
            let whole = text(alignment + 300, alignment as u64 + 1, plain);
            let start = whole.ceil_char_boundary(alignment);
            // Both kinds of text, in turn.
            for length in (usize::from(plain)..=256).step_by(2) {
                let end = whole.ceil_char_boundary(start + length);
                check(&whole[start..end], &[length / 3, length / 2]);
            }
        }
    }
}

#[test]
fn every_character_of_small_scripts() {
    // The large blocks, of Han and Hangul, have nothing to be told apart, but for their ends.
    let large =
        |c: &char| matches!(c, '\u{3500}'..='\u{9fef}' | '\u{ac10}'..='\u{d7a0}' | '\u{e010}'..='\u{f8f0}');
    let all: Vec<char> = ('\0'..='\u{1ffff}').filter(|c| !large(c)).collect();
    for some in all.chunks(200) {
        check(&some.iter().flat_map(|c| [*c, 'a']).collect::<String>(), &[]);
    }
}

#[test]
fn a_run_without_an_end_costs_no_more_than_its_length() {
    // A second look at the rest of the run for each piece would take minutes.
    let run = "x".repeat(4 << 20);
    assert_eq!(crate::count_tokens(&run), run.len() / 24 * 4 + (run.len() % 24).div_ceil(6));
}

#[test]
fn the_last_level_is_portable() {
    let names: Vec<_> = Level::all().map(Level::name).collect();
    assert_eq!(names.last(), Some(&"portable"));
    assert_eq!(Level::best().name(), names[0]);
}

proptest! {
    #[test]
    fn any_text_of_what_matters(
        drawn in prop::collection::vec(prop::sample::select(pieces()), 0..200),
        mut offsets in prop::collection::vec(0_usize..800, 0..8),
    ) {
        offsets.sort_unstable();
        check(&drawn.concat(), &offsets);
    }

    #[test]
    fn any_text_at_all(text in "(?s).{0,300}", mut offsets in prop::collection::vec(0_usize..800, 0..8)) {
        offsets.sort_unstable();
        check(&text, &offsets);
    }
}
