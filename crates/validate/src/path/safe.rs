//! Paths as text.

use crate::component;
use crate::error::{Code, Invalid};
use crate::file_name::SafeFileName;

const WHAT: &str = "path";

/// The longest path of Linux less its final NUL, in bytes.
const LONGEST: usize = 4095;
/// Folders in one another.
const DEEPEST: usize = 64;

/// A path below some folder, with `/` between its parts: `reports/2026/q3.pdf`.
///
/// Each part is a name that means the same on every system: at most 255 bytes in NFC, no `..`, no separators of Windows, no
/// streams (`a:b`), no devices (`NUL`), no controls, nothing that is drawn like a slash or not seen, nothing percent-encoded that
/// somebody may decode later. At most 4095 bytes and 64 parts. `.` and empty parts are left out.
///
/// Opening it beside [`Root`](crate::Root) is safe only where nobody else can put links into the folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafePath(Box<str>);

text_type!(SafePath);

impl SafePath {
    fn check(text: &str) -> Result<Box<str>, Invalid> {
        let fail = |code, problem, remedy| Invalid::new(WHAT, code, problem, remedy);
        if text.is_empty() {
            return Err(fail(Code::Empty, "is empty", "name a file"));
        }
        if text.len() > LONGEST {
            return Err(fail(Code::TooLong, "is longer than 4095 bytes", "choose a shorter one"));
        }
        if text.starts_with(['/', '\\']) || has_drive(text) {
            let problem = "begins at the top, and not in its folder";
            return Err(fail(Code::Absolute, problem, "leave the slash or drive out").at_byte(0));
        }
        let mut kept = String::with_capacity(text.len());
        let mut start = 0;
        let mut parts = 0;
        for part in text.split('/') {
            if !(part.is_empty() || part == ".") {
                check_part(part, start)?;
                if !kept.is_empty() {
                    kept.push('/');
                }
                kept.push_str(part);
                parts += 1;
            }
            if parts > DEEPEST {
                return Err(
                    fail(Code::TooDeep, "has more than 64 parts", "choose a shorter one").at_byte(start)
                );
            }
            start += part.len() + 1;
        }
        if kept.is_empty() {
            return Err(fail(Code::Empty, "names no file", "name a file"));
        }
        Ok(kept.into())
    }

    /// The path one name further down.
    ///
    /// # Errors
    ///
    /// It is too long or too deep then.
    pub fn join(&self, name: &SafeFileName) -> Result<Self, Invalid> {
        Self::parse(&format!("{}/{name}", self.0))
    }

    /// The folder that it is in; `None` at the top.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// Its last part.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// Its parts, from the top; one at least.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl AsRef<std::path::Path> for SafePath {
    fn as_ref(&self) -> &std::path::Path {
        std::path::Path::new(&*self.0)
    }
}

fn check_part(part: &str, start: usize) -> Result<(), Invalid> {
    component::check(part, start, WHAT)?;
    let encoded = part.as_bytes().windows(3).position(
        |three| matches!(three, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()),
    );
    match encoded {
        Some(at) => {
            let problem = "has a percent-encoded character, which may be decoded later";
            Err(Invalid::new(WHAT, Code::Character, problem, "decode it first").at_byte(start + at))
        }
        None => Ok(()),
    }
}

fn has_drive(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic())
}
