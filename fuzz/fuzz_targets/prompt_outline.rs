//! A command on the first line and any page below it: an outline within its limit, the same each time.

#![no_main]

use browser::language::{estimate_tokens, outline};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (command, html) = text.split_once('\n').unwrap_or_default();
    let most = u64::from(bytes.first().copied().unwrap_or_default()) * 4;
    let lines = outline(html, command, most);
    assert!(estimate_tokens(&lines) <= most);
    assert!(lines.is_empty() || lines.ends_with('\n'));
    assert!(!lines.chars().any(|c| c.is_control() && c != '\n'));
    assert_eq!(lines, outline(html, command, most));
});
