//! Names that people are known by, which must not look like another's.

use unicode_normalization::UnicodeNormalization;
use unicode_security::{
    GeneralSecurityProfile, MixedScript, RestrictionLevel, RestrictionLevelDetection, skeleton,
};

use crate::chars;
use crate::error::{Code, Invalid};

const WHAT: &str = "handle";
const LONGEST: usize = 64;

/// The name of a user, a project or a channel: letters and digits of one script (or of scripts that are written together,
/// UTS 39 "highly restrictive"), with `_`, `-` and `.` between them; at most 64 characters in NFC.
///
/// Whether two handles look alike is asked of [`skeleton`](Handle::skeleton): keep it unique.
///
/// ```
/// use buttress_validate::{Code, Handle};
///
/// let ours: Handle = "paypal".parse()?;
/// let cyrillic: Handle = "раураl".parse::<Handle>().unwrap_or_else(|error| {
///     assert_eq!(error.code(), Code::Confusable); // the last letter is Latin
///     "раура".parse().unwrap()
/// });
/// assert_eq!("paypa".parse::<Handle>()?.skeleton(), cyrillic.skeleton());
/// # Ok::<(), buttress_validate::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(Box<str>);

text_type!(Handle);

impl Handle {
    fn check(text: &str) -> Result<Box<str>, Invalid> {
        let fail = |code, problem, remedy| Invalid::new(WHAT, code, problem, remedy);
        if text.is_empty() {
            return Err(fail(Code::Empty, "is empty", "choose one"));
        }
        if text.len() > 4 * LONGEST || text.chars().count() > LONGEST {
            return Err(fail(Code::TooLong, "is longer than 64 characters", "choose a shorter one"));
        }
        check_signs(text)?;
        // What is kept has to hold as well: letters that are allowed apart may become one that is not.
        let plain: String = text.nfc().collect();
        if let (true, Err(invalid)) = (plain != text, check_signs(&plain)) {
            return Err(fail(
                invalid.code(),
                "has characters that become one that is not allowed",
                "use other letters",
            ));
        }
        let restricted = plain.chars().filter(|c| !is_joint(*c)).collect::<String>();
        let scripts_fit = restricted.is_single_script()
            || restricted.as_str().check_restriction_level(RestrictionLevel::HighlyRestrictive);
        if !scripts_fit {
            let (problem, remedy) =
                ("has letters of scripts that are not written together", "use letters of one script");
            return Err(fail(Code::Confusable, problem, remedy));
        }
        if plain.chars().count() > LONGEST {
            return Err(fail(Code::TooLong, "is longer than 64 characters", "choose a shorter one"));
        }
        Ok(plain.into())
    }

    /// What all handles have in common that look like this one (UTS 39, section 4), in lower case. To compare and to keep
    /// unique; not to show.
    #[must_use]
    pub fn skeleton(&self) -> String {
        let lower = self.0.to_lowercase();
        skeleton(&lower).collect()
    }
}

/// Letters and digits, with punctuation between them.
fn check_signs(text: &str) -> Result<(), Invalid> {
    let fail = |code, problem, remedy| Invalid::new(WHAT, code, problem, remedy);
    let mut between = false;
    for (at, c) in text.char_indices() {
        if let Some(code) = chars::fault(c) {
            let (problem, remedy) = chars::told(code);
            return Err(fail(code, problem, remedy).at_byte(at));
        }
        let letter =
            c.is_alphanumeric() && c.identifier_allowed() || chars::is_mark(c) && at > 0 && !is_joint(c);
        if !(letter || is_joint(c) && between) {
            let remedy = "use letters and digits, and `_`, `-` or `.` between them";
            return Err(fail(Code::Character, "has a character that is not allowed", remedy).at_byte(at));
        }
        between = letter;
    }
    if between {
        Ok(())
    } else {
        Err(fail(Code::Character, "ends with punctuation", "end with a letter or digit"))
    }
}

fn is_joint(c: char) -> bool {
    matches!(c, '_' | '-' | '.')
}
