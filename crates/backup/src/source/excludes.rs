//! What is left out of folders.

use std::fmt;

use buttress_core::Violations;
use serde::{Deserialize, Serialize};

/// Patterns of paths that are left out of a snapshot.
///
/// A pattern without a slash fits the name of a file or folder at any depth; one with a slash fits the whole path below the source's
/// folder. A folder that fits is left out with all that is in it. An ending slash fits folders alone.
///
/// | in a pattern | fits |
/// |---|---|
/// | `*` | any characters but `/` |
/// | `?` | one character but `/` |
/// | `**` as a whole part | any number of folders, also none |
/// | `\x` | `x`, whatever it is |
///
/// ```
/// use buttress_backup::source::Excludes;
///
/// let excludes = Excludes::new(["*.tmp", "cache/", "logs/**/*.old"])?;
/// assert!(excludes.leave_out("a/b/c.tmp", false));
/// assert!(excludes.leave_out("a/cache", true) && !excludes.leave_out("a/cache", false));
/// assert!(excludes.leave_out("logs/x/y/z.old", false) && excludes.leave_out("logs/z.old", false));
/// # Ok::<(), buttress_backup::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Excludes(Vec<String>);

/// No pattern needs to be longer, and the work of a match grows with it.
const LONGEST: usize = 1024;

impl Excludes {
    /// These patterns.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) for an empty pattern, or one of more than 1,024 bytes.
    pub fn new<P: Into<String>>(patterns: impl IntoIterator<Item = P>) -> Result<Self, crate::Error> {
        let excludes = Self(patterns.into_iter().map(Into::into).collect());
        let mut wrong = Violations::new();
        excludes.check(&mut wrong);
        wrong.into_result().map_err(crate::Error::Config)?;
        Ok(excludes)
    }

    /// Whether the file or folder at `path`, relative to the source's folder and with `/` between its parts, is left out.
    ///
    /// What is in a folder that is left out is not asked for.
    #[must_use]
    pub fn leave_out(&self, path: &str, is_folder: bool) -> bool {
        self.0.iter().any(|pattern| fits(pattern, path, is_folder))
    }

    /// Whether nothing is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The patterns.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.0
    }

    pub(crate) fn check(&self, wrong: &mut Violations) {
        for pattern in &self.0 {
            let holds = !pattern.trim_matches('/').is_empty() && pattern.len() <= LONGEST;
            wrong.require(
                holds,
                "excludes",
                pattern,
                "must be a pattern like \"*.tmp\", of at most 1024 bytes",
            );
        }
    }
}

impl fmt::Debug for Excludes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn fits(pattern: &str, path: &str, is_folder: bool) -> bool {
    let whole = pattern.trim_end_matches('/');
    if whole.len() < pattern.len() && !is_folder {
        return false;
    }
    if whole.contains('/') {
        let pattern: Vec<&str> = whole.trim_start_matches('/').split('/').collect();
        let path: Vec<&str> = path.split('/').collect();
        matches(&pattern, &path, |part| *part == "**", |pattern, part| part_fits(pattern, part))
    } else {
        part_fits(whole, path.rsplit('/').next().unwrap_or(path))
    }
}

/// Whether one part of a path fits one part of a pattern.
fn part_fits(pattern: &str, part: &str) -> bool {
    let mut characters = pattern.chars();
    let mut wanted = Vec::new();
    while let Some(character) = characters.next() {
        wanted.push(match character {
            '*' => Wanted::Any,
            '?' => Wanted::One,
            '\\' => Wanted::This(characters.next().unwrap_or('\\')),
            other => Wanted::This(other),
        });
    }
    let part: Vec<char> = part.chars().collect();
    let fits = |wanted: &Wanted, found: &char| match wanted {
        Wanted::This(wanted) => wanted == found,
        Wanted::Any | Wanted::One => true,
    };
    matches(&wanted, &part, |wanted| matches!(wanted, Wanted::Any), fits)
}

enum Wanted {
    This(char),
    One,
    Any,
}

/// Whether all of `items` fit all of `pattern`, in which some stand for any number of items. It goes back only to the last of those, so
/// that it takes at most their product of steps.
fn matches<P, I>(
    pattern: &[P],
    items: &[I],
    is_any: impl Fn(&P) -> bool,
    fits: impl Fn(&P, &I) -> bool,
) -> bool {
    let (mut at, mut item) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while item < items.len() {
        match (pattern.get(at), items.get(item)) {
            (Some(any), _) if is_any(any) => {
                back = Some((at, item));
                at += 1;
            }
            (Some(one), Some(found)) if fits(one, found) => {
                at += 1;
                item += 1;
            }
            _ => {
                let Some((any, from)) = back else { return false };
                back = Some((any, from + 1));
                at = any + 1;
                item = from + 1;
            }
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(is_any)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_fits_what_it_says() {
        for (pattern, path, is_folder, expected) in [
            ("*.tmp", "x.tmp", false, true),
            ("*.tmp", "a/b/x.tmp", false, true),
            ("*.tmp", "a.tmp/b", false, false), // The folder is left out, and so what is in it.
            ("?.log", "a.log", false, true),
            ("?.log", "ab.log", false, false),
            ("cache/", "a/cache", true, true),
            ("cache/", "a/cache", false, false),
            ("/cache", "cache", true, true),
            ("/cache", "a/cache", true, false),
            ("a/*/c", "a/b/c", false, true),
            ("a/*/c", "a/b/b/c", false, false),
            ("a/**/c", "a/b/b/c", false, true),
            ("a/**/c", "a/c", false, true),
            ("**/c", "x/y/c", false, true),
            ("a/**", "a/b", false, true),
            (r"\*", "*", false, true),
            (r"\*", "x", false, false),
            ("ä*", "äß", false, true),
        ] {
            assert_eq!(fits(pattern, path, is_folder), expected, "{pattern} {path}");
        }
    }

    /// What `part_fits` does, in the plainest way.
    fn plain(pattern: &[char], part: &[char]) -> bool {
        match (pattern, part) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=part.len()).any(|n| plain(rest, &part[n..])),
            (['?', rest @ ..], [_, tail @ ..]) => plain(rest, tail),
            ([one, rest @ ..], [found, tail @ ..]) => one == found && plain(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_part_fits_as_it_does_by_trying_all_ways(pattern in "[ab*?]{0,8}", part in "[ab]{0,10}") {
            let (p, s): (Vec<_>, Vec<_>) = (pattern.chars().collect(), part.chars().collect());
            prop_assert_eq!(part_fits(&pattern, &part), plain(&p, &s));
        }
    }

    #[test]
    fn an_evil_pattern_ends() {
        let pattern = "*a".repeat(500);
        assert!(!part_fits(&pattern, &"a".repeat(499)));
    }
}
