//! Any text as a share: what is taken reads back as it is shown, and shares of one split restore what was split.

#![no_main]

use buttress_secrets::shamir::{MAX_SECRET, Share, combine, split};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8], u8, u8, usize)| {
    let (text, secret, threshold, shares, from) = input;
    let typed = format!("BTSS{text}");
    for share in [text, &typed].into_iter().filter_map(|text| text.parse::<Share>().ok()) {
        let again: Share = share.expose().parse().unwrap();
        assert_eq!(again.expose(), share.expose());
        let _ = combine(&[share, again]);
    }
    // Many shares of a long secret take long.
    let (threshold, shares) = (threshold % 16, shares % 16);
    let Ok(mut made) = split(secret, threshold, shares) else {
        assert!(threshold < 2 || threshold > shares || secret.is_empty() || secret.len() > MAX_SECRET);
        return;
    };
    let by = from % made.len();
    made.rotate_left(by);
    made.truncate(usize::from(threshold));
    assert!(combine(&made).unwrap().matches(secret));
    made.pop();
    assert!(combine(&made).is_err());
});
