//! Why a value is not taken, and what else can go wrong.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::time::Duration;

use buttress_core::{Classify, Elapsed, ErrorClass, Violations, units};

/// A result whose error is the crate's.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// What is wrong with a value. A closed set: it labels metrics, and clients may rely on its names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $name,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code in JSON and as a metric's label: `"too_long"`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

codes! {
    /// There is nothing, or nothing but blanks.
    Empty = "empty",
    /// Longer, larger or more than a limit.
    TooLong = "too_long",
    /// Nested deeper than a limit.
    TooDeep = "too_deep",
    /// More members, elements, headers or entries than a limit.
    TooMany = "too_many",
    /// It inflates to far more than was sent.
    Ratio = "ratio",
    /// It does not follow its grammar.
    Syntax = "syntax",
    /// Bytes that are not UTF-8, or half of a surrogate pair.
    Encoding = "encoding",
    /// A character that controls terminals, logs or protocols: C0, C1, line separators, NUL.
    Control = "control",
    /// A character that changes the direction of text (Trojan Source, CVE-2021-42574).
    Bidi = "bidi",
    /// A character that is not seen: zero width, fillers, tags.
    Invisible = "invisible",
    /// A code point that no character is assigned to, or a private one.
    Unassigned = "unassigned",
    /// More combining marks on one character than any script needs.
    Marks = "marks",
    /// Letters of scripts that are not written together, or that look like others.
    Confusable = "confusable",
    /// A character that is not allowed here.
    Character = "character",
    /// It leads out of its folder.
    Traversal = "traversal",
    /// It names a place from the top instead of one below.
    Absolute = "absolute",
    /// A name with a meaning of its own: `CON`, `.`, an unallocated word.
    Reserved = "reserved",
    /// A program would read it as an option.
    Option = "option",
    /// The scheme of a URL.
    Scheme = "scheme",
    /// A user name or password in a URL.
    Credentials = "credentials",
    /// A host that may not be reached.
    Host = "host",
    /// An address that may not be reached.
    Address = "address",
    /// A port that may not be reached.
    Port = "port",
    /// More redirects than a limit, or to less protection.
    Redirect = "redirect",
    /// A member that is there twice.
    Duplicate = "duplicate",
    /// A member that must be there and is not.
    Missing = "missing",
    /// A member that nobody asked for.
    Unknown = "unknown",
    /// A value of another type than asked for.
    Type = "type",
    /// A value that a rule of the application refuses.
    Rule = "rule",
    /// The content is not of the kind that it says it is.
    Mismatch = "mismatch",
    /// The content is of a kind that is not taken.
    Kind = "kind",
    /// The content is of two kinds at once.
    Polyglot = "polyglot",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why one value is not taken: what it was to be, what is wrong with it, where, and what would do.
///
/// It never repeats the value: that may be a secret, or an attack on whoever reads the log.
///
/// ```
/// use buttress_validate::{Code, SafeFileName};
///
/// let error = "report\0.pdf".parse::<SafeFileName>().unwrap_err();
/// assert_eq!((error.code(), error.at()), (Code::Control, Some(6)));
/// assert_eq!(error.to_string(), "the file name has a control character at byte 6; leave it out");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    what: &'static str,
    code: Code,
    problem: Cow<'static, str>,
    at: Option<usize>,
    remedy: Cow<'static, str>,
}

impl Invalid {
    /// `what` the value was to be (`"file name"`), and the `problem` as it follows the value's name: `"has a control
    /// character"`. `remedy` says what would do: `"leave it out"`. None of them may hold the value.
    #[must_use]
    pub fn new(
        what: &'static str,
        code: Code,
        problem: impl Into<Cow<'static, str>>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { what, code, problem: problem.into(), at: None, remedy: remedy.into() }
    }

    /// The same, saying at which byte.
    #[must_use]
    pub fn at_byte(self, at: usize) -> Self {
        Self { at: Some(at), ..self }
    }

    /// The same, of another kind of value: what holds a part that is wrong.
    #[must_use]
    pub fn of(self, what: &'static str) -> Self {
        Self { what, ..self }
    }

    /// What the value was to be: `"file name"`.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// What is wrong, for programs.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// What is wrong, for people: `"has a control character"`.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// The byte of the input at which it is wrong, where there is one.
    #[must_use]
    pub fn at(&self) -> Option<usize> {
        self.at
    }

    /// What would do: `"leave it out"`.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.remedy
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} {}", self.what, self.problem)?;
        if let Some(at) = self.at {
            write!(f, " at byte {at}")?;
        }
        write!(f, "; {}", self.remedy)
    }
}

impl std::error::Error for Invalid {}

impl Classify for Invalid {
    fn class(&self) -> ErrorClass {
        match self.code {
            Code::TooLong | Code::TooDeep | Code::TooMany | Code::Ratio => ErrorClass::TooLarge,
            Code::Host | Code::Address | Code::Port | Code::Redirect => ErrorClass::Forbidden,
            Code::Kind => ErrorClass::Unsupported,
            _ => ErrorClass::Invalid,
        }
    }
}

/// What can go wrong where a value is used, beyond the value itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The value is not taken.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The configuration is wrong.
    #[error("the configuration of validation is wrong: {0}")]
    Config(Violations),
    /// The file system refused.
    #[error("cannot {action} below the root")]
    File {
        /// What was tried: `"open a file"`.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The name has no address.
    #[error("the host's name does not resolve to an address")]
    Unresolved(#[source] io::Error),
    /// It took too long.
    #[error("the host's name was not resolved within {}", units::format_duration(*.0))]
    Timeout(Duration),
}

impl From<Elapsed> for Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::Timeout(elapsed.0)
    }
}

impl Classify for Error {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Invalid(invalid) => invalid.class(),
            Self::Config(_) => ErrorClass::Invalid,
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => ErrorClass::NotFound,
                io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => ErrorClass::Conflict,
                io::ErrorKind::PermissionDenied => ErrorClass::Forbidden,
                _ => ErrorClass::Internal,
            },
            Self::Unresolved(_) => ErrorClass::Unavailable,
            Self::Timeout(_) => ErrorClass::Timeout,
        }
    }
}
