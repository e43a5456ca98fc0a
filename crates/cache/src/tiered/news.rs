//! What nodes tell each other.

use buttress_core::Key;

/// What is no longer as it was.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Changed {
    /// A key, by its name in the second tier.
    Name(String),
    Tag(Key),
}

/// Who says so, and what: 8 bytes, one letter, and the rest in UTF-8.
pub(crate) fn write(node: u64, changed: &Changed) -> Vec<u8> {
    let (letter, text) = match changed {
        Changed::Name(name) => (b'n', name.as_str()),
        Changed::Tag(tag) => (b't', tag.as_str()),
    };
    let mut bytes = node.to_le_bytes().to_vec();
    bytes.push(letter);
    bytes.extend(text.as_bytes());
    bytes
}

/// `None` for what is no news of ours, which may be that of a later version.
pub(crate) fn read(bytes: &[u8]) -> Option<(u64, Changed)> {
    let (node, rest) = bytes.split_first_chunk()?;
    let (letter, text) = rest.split_first()?;
    let text = std::str::from_utf8(text).ok()?;
    let changed = match letter {
        b'n' => Changed::Name(text.to_owned()),
        b't' => Changed::Tag(Key::new(text).ok()?),
        _ => return None,
    };
    Some((u64::from_le_bytes(*node), changed))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_told_is_heard(node: u64, name: String, tag in "[a-z]{1,20}") {
            for changed in [Changed::Name(name), Changed::Tag(Key::new(tag).map_err(|_| TestCaseError::reject("no key"))?)] {
                prop_assert_eq!(read(&write(node, &changed)), Some((node, changed)));
            }
        }

        #[test]
        fn any_bytes_are_read_or_not(bytes: Vec<u8>) {
            if let Some((node, changed)) = read(&bytes) {
                prop_assert_eq!(write(node, &changed), bytes);
            }
        }
    }
}
