//! Any bytes as the head of a request to the guard's proxy: however they are cut, the result is the same, and what is
//! written for the server holds one request and nothing else.

#![no_main]

use browser::guard::{Ask, HeadError, HeadReader, RequestHead};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let whole = read(std::iter::once(bytes));
    assert_eq!(whole, read(bytes.chunks(usize::from(piece).max(1))));
    let Ok(Some(RequestHead { ask: Ask::Forward { head, .. }, .. })) = whole else { return };
    let text = head.strip_suffix(b"\r\n\r\n").expect("a head ends with an empty line");
    assert!(!text.windows(4).any(|window| window == b"\r\n\r\n"));
    let lines = text.split(|byte| *byte == b'\n').count();
    assert_eq!(lines, text.windows(2).filter(|pair| *pair == b"\r\n").count() + 1);
    let named = |name: &[u8]| {
        let is_it =
            |line: &&[u8]| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        text.split(|byte| *byte == b'\n').filter(is_it).count()
    };
    assert_eq!(
        (named(b"host:"), named(b"connection:"), named(b"proxy-"), named(b"transfer-encoding:")),
        (1, 1, 0, 0)
    );
    assert!(named(b"content-length:") <= 1);
});

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Option<RequestHead>, HeadError> {
    let mut reader = HeadReader::default();
    for piece in pieces {
        if let Some(head) = reader.push(piece)? {
            return Ok(Some(head));
        }
    }
    Ok(None)
}
