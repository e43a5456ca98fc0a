#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // A failing expectation fails the test.

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use super::*;

fn secrets() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 1..64)
}

/// A threshold, how many shares there are, and which of them are used, in some order: as many as it takes, or more.
fn choices() -> impl Strategy<Value = (u8, u8, Vec<usize>)> {
    (2..=12_u8, 0..8_u8).prop_flat_map(|(threshold, more)| {
        let shares = threshold + more;
        let all: Vec<usize> = (0..usize::from(shares)).collect();
        let chosen = subsequence(all, usize::from(threshold)..=usize::from(shares)).prop_shuffle();
        (Just(threshold), Just(shares), chosen)
    })
}

proptest! {
    #[test]
    fn any_of_them_restore_it((threshold, shares, chosen) in choices(), secret in secrets()) {
        let all = split(&secret, threshold, shares).unwrap();
        let typed: Vec<Share> = chosen.iter().map(|at| all[*at].expose().parse().unwrap()).collect();
        prop_assert!(combine(&typed).unwrap().matches(&secret));
    }

    #[test]
    fn one_less_is_told((threshold, shares, chosen) in choices(), secret in secrets()) {
        let all = split(&secret, threshold, shares).unwrap();
        let some: Vec<Share> = chosen.iter().map(|at| all[*at].clone()).collect();
        let told = combine(&some[..usize::from(threshold) - 1]).unwrap_err();
        prop_assert_eq!(told, ShareError::TooFew { found: usize::from(threshold) - 1, needed: threshold });
    }

    #[test]
    fn a_share_that_was_changed_restores_nothing(secret in secrets(), share: Index, byte: Index, by in 1..=255_u8, more: bool) {
        let mut all = split(&secret, 3, 4).unwrap();
        if !more {
            all.truncate(3);
        }
        let share = share.get_mut(all.as_mut_slice());
        *byte.get_mut(share.values.as_mut_slice()) ^= by;
        prop_assert_eq!(combine(&all).unwrap_err(), ShareError::Changed);
    }

    /// 32 bits of a hash: one slip in four billion goes unseen.
    #[test]
    fn a_slip_is_found(secret in secrets(), at: Index, letter in "[0-9A-TV-Z]") {
        let text = split(&secret, 2, 2).unwrap()[0].expose();
        let at = at.index(text.len());
        let mut slip = text.clone();
        slip.replace_range(at..=at, &letter);
        let read: Result<Share, _> = slip.parse();
        let same = |a: &str| a.replace(['O', 'o'], "0").replace(['I', 'L'], "1");
        prop_assume!(same(&slip) != same(&text) && &text[at..=at] != "-");
        prop_assert!(matches!(read.unwrap_err(), ShareError::Checksum | ShareError::NotShare));
    }

    #[test]
    fn no_text_is_a_panic(text in "\\PC*", tail in "[0-9A-Za-z -]*") {
        let _ = text.parse::<Share>();
        let _ = format!("BTSS{tail}").parse::<Share>();
    }
}

#[test]
fn it_is_typed_as_people_type() {
    let share = &split(b"key", 2, 3).unwrap()[1];
    let text = share.expose();
    assert!(text.starts_with("BTSS-"), "{text}");
    for typed in [
        text.to_lowercase(),
        text.replace('-', ""),
        text.replace('-', " - ") + "\n",
        text.replace('0', "O").replace('1', "l"),
    ] {
        assert_eq!(typed.parse::<Share>().unwrap().expose(), text, "{typed}");
    }
}

#[test]
fn every_error_says_what_to_do() {
    let [one, other] = [b"one", b"two"].map(|secret| split(secret, 2, 3).unwrap());
    let text = one[0].expose();
    let long = vec![0; MAX_SECRET + 1];
    let parse = |text: &str| text.parse::<Share>().unwrap_err();
    for (error, told) in [
        (split(b"x", 1, 3).unwrap_err(), "at least 2"),
        (split(b"x", 4, 3).unwrap_err(), "4 of 3"),
        (split(b"", 2, 3).unwrap_err(), "1 to 1024"),
        (split(&long, 2, 3).unwrap_err(), "share the key"),
        (combine(&[]).unwrap_err(), "no share"),
        (combine(&[one[0].clone(), one[0].clone()]).unwrap_err(), "number 1 was given twice"),
        (combine(&[one[0].clone(), other[1].clone()]).unwrap_err(), "share 2 is of the set"),
        (parse("hunter2"), "begin with BTSS"),
        (parse(""), "begin with BTSS"),
        (parse(&text[..text.len() - 1]), "letter by letter"),
        (parse(&"B".repeat(1 << 20)), "no share"),
    ] {
        assert!(error.to_string().contains(told), "{error}");
    }
    assert_eq!(one[0].number(), 1);
    assert!(!format!("{:?}", one[0]).contains(&text[30..40]));
    assert_eq!(split(&long[1..], 2, 2).unwrap()[1].expose().parse::<Share>().unwrap().threshold(), 2);
}

#[test]
fn there_may_be_255() {
    let all = split(b"many", 255, 255).unwrap();
    assert!(combine(&all).unwrap().matches(b"many"));
}

/// Of two: over all polynomials, a share is each of the 256 values once, whatever the secret is.
#[test]
fn one_of_two_shares_tells_nothing() {
    for secret in 0..=255 {
        for number in [1, 2, 255] {
            let mut seen = [0_u32; 256];
            for coefficient in 0..=255 {
                seen[usize::from(shares_at(number, &[secret], &[coefficient], 2)[0])] += 1;
            }
            assert!(seen.iter().all(|times| *times == 1));
        }
    }
}

/// Of three: over all polynomials, two shares are each of the 65,536 pairs once, whatever the secret is.
#[test]
fn two_of_three_shares_tell_nothing() {
    for secret in [0, 1, 0x53, 255] {
        let mut seen = vec![0_u32; 1 << 16];
        for (a, b) in (0..=255).flat_map(|a| (0..=255).map(move |b| (a, b))) {
            let [one, two] = [1, 2].map(|number| usize::from(shares_at(number, &[secret], &[a, b], 3)[0]));
            seen[one << 8 | two] += 1;
        }
        assert!(seen.iter().all(|times| *times == 1));
    }
}
