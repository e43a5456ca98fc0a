//! The name of a file that somebody else chose.

use unicode_normalization::UnicodeNormalization;

use crate::chars;
use crate::component;
use crate::error::{Code, Invalid};

const WHAT: &str = "file name";

/// What an extension may have, with its dot, so that it survives when a name is cut.
const LONGEST_EXTENSION: usize = 32;

/// One name of a file, as a user may choose it: safe in a folder of any system, as an argument of a program, in a header and in a log.
///
/// At most 255 bytes in NFC. No separators, no characters that Windows refuses, no controls, nothing that changes the direction
/// of text or is not seen; not hidden (`.htaccess`), not an option (`-rf`), not a device (`NUL.txt`), no dot or blank at the end.
///
/// ```
/// use buttress_validate::SafeFileName;
///
/// let name: SafeFileName = "report 2026.pdf".parse()?;
/// assert_eq!(name.extension(), Some("pdf"));
/// assert!("../../etc/passwd".parse::<SafeFileName>().is_err());
/// assert_eq!(SafeFileName::sanitize("..\\..\\evil\u{202e}fdp.exe").as_str(), "evil_fdp.exe");
/// # Ok::<(), buttress_validate::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafeFileName(Box<str>);

text_type!(SafeFileName);

impl SafeFileName {
    fn check(name: &str) -> Result<Box<str>, Invalid> {
        component::check(name, 0, WHAT)?;
        let fail = |code, problem, remedy| Err(Invalid::new(WHAT, code, problem, remedy).at_byte(0));
        match name.chars().next() {
            Some('.') => fail(Code::Reserved, "begins with a dot, which hides the file", "leave the dot out"),
            Some('-') => {
                fail(Code::Option, "begins with a dash, as options do", "begin with a letter or digit")
            }
            Some('~') => fail(Code::Reserved, "begins with `~`, which shells expand", "leave it out"),
            // It would be put onto whatever is written before the name.
            Some(first) if chars::is_mark(first) => {
                fail(Code::Marks, "begins with a combining mark", "begin with a letter or digit")
            }
            _ => Ok(name.into()),
        }
    }

    /// A name that is always valid: the last part of a path, what is refused replaced by `_`, cut so that the
    /// extension stays, and `file` where nothing is left.
    #[must_use]
    pub fn sanitize(name: &str) -> Self {
        let last = name.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or_default();
        // No more than can matter: a character is at most 4 bytes, and NFC makes of each at most 3.
        let kept: String = if last.len() > 8 * component::LONGEST {
            shorten(last, 4 * component::LONGEST)
        } else {
            last.into()
        };
        let mut plain: String =
            kept.nfc().map(|c| if component::fault(c).is_some() { '_' } else { c }).collect();
        plain = plain
            .trim_start_matches(|c: char| matches!(c, '.' | ' ' | '-' | '~') || chars::is_mark(c))
            .to_owned();
        if component::is_device(&plain) {
            plain.insert(0, '_');
        }
        let mut short = shorten(&plain, component::LONGEST);
        short.truncate(short.trim_end_matches(['.', ' ']).len());
        // Cutting may have made a name that was not there before; then none of it is kept.
        Self::parse(&short).unwrap_or_else(|_| Self("file".into()))
    }

    /// What stands after the last dot, if anything stands before it.
    #[must_use]
    pub fn extension(&self) -> Option<&str> {
        self.0.rsplit_once('.').map(|(_, extension)| extension)
    }
}

/// At most `most` bytes of `name`, with its extension.
fn shorten(name: &str, most: usize) -> String {
    if name.len() <= most {
        return name.to_owned();
    }
    let extension = name.rfind('.').and_then(|dot| name.get(dot..)).filter(|e| e.len() <= LONGEST_EXTENSION);
    let extension = extension.unwrap_or_default();
    let stem = name.get(..name.floor_char_boundary(most - extension.len())).unwrap_or_default();
    format!("{}{extension}", stem.trim_end())
}
