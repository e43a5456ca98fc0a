//! The tags of a value, before its body.

use buttress_core::Key;

use super::Unreadable;

/// Tags, each with its mark.
type Marked = Vec<(Key, u64)>;

/// For each tag its mark, the length of its text, and its text; before all of them how many there are.
pub(super) fn write(tags: &[(Key, u64)], to: &mut Vec<u8>) {
    let many = u16::try_from(tags.len()).unwrap_or(u16::MAX);
    to.extend(many.to_le_bytes());
    for (tag, mark) in tags.iter().take(many.into()) {
        let text = tag.as_str().as_bytes();
        to.extend(mark.to_le_bytes());
        // A key has at most 256 bytes.
        to.extend(u16::try_from(text.len()).unwrap_or(0).to_le_bytes());
        to.extend(text);
    }
}

/// The tags, and what comes after them.
pub(super) fn read(bytes: &[u8]) -> Result<(Marked, &[u8]), Unreadable> {
    let (many, mut rest) = split(bytes, u16::from_le_bytes)?;
    let mut tags = Vec::new();
    for _ in 0..many {
        let (mark, after) = split(rest, u64::from_le_bytes)?;
        let (length, after) = split(after, u16::from_le_bytes)?;
        let (text, after) = after.split_at_checked(length.into()).ok_or(Unreadable::Body)?;
        let tag = std::str::from_utf8(text).ok().and_then(|text| Key::new(text).ok());
        tags.push((tag.ok_or(Unreadable::Body)?, mark));
        rest = after;
    }
    Ok((tags, rest))
}

fn split<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Result<(T, &[u8]), Unreadable> {
    let (number, rest) = bytes.split_first_chunk().ok_or(Unreadable::Body)?;
    Ok((read(*number), rest))
}
