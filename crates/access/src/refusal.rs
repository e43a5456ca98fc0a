//! Why something that should prove who is asking does not.

use std::fmt;

use buttress_core::ErrorClass;

/// What a caller shows to prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Credential {
    /// An API key.
    ApiKey,
    /// A signed token: JWT.
    Token,
    /// A password.
    Password,
    /// A session's identifier.
    Session,
}

impl Credential {
    /// As a label of a metric: `"api_key"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Token => "token",
            Self::Password => "password",
            Self::Session => "session",
        }
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiKey => "API key",
            Self::Token => "token",
            Self::Password => "password",
            Self::Session => "session",
        })
    }
}

/// Why a credential is refused. A closed set: it is a label of metrics, and holds nothing that the caller sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// There is none.
    Missing,
    /// It is not of the form that it must have.
    Malformed,
    /// It is longer than it may be.
    TooLarge,
    /// Its checksum is not that of its text: a typing error, or a guess.
    Checksum,
    /// Nobody knows it.
    Unknown,
    /// It is known, and the secret in it is another.
    Mismatch,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It was taken back.
    Revoked,
    /// The key that it names must not be used with its algorithm, or the algorithm is none that is known.
    Algorithm,
    /// The signature is not that of the key.
    Signature,
    /// It demands an extension that is not understood (`crit`).
    Critical,
    /// A member stands in it twice.
    Duplicate,
    /// It is of another type (`typ`).
    Type,
    /// Somebody else issued it.
    Issuer,
    /// It is meant for somebody else, or for nobody.
    Audience,
    /// A claim that it must have is not there.
    MissingClaim(&'static str),
    /// A claim does not hold what it should.
    WrongClaim(&'static str),
    /// It is shorter than a new one must be.
    TooShort,
    /// It is on the list of those that everybody tries first.
    Common,
}

impl Refusal {
    /// As a label of a metric: `"wrong_algorithm"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Checksum => "checksum",
            Self::Unknown => "unknown",
            Self::Mismatch => "mismatch",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Revoked => "revoked",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Critical => "critical",
            Self::Duplicate => "duplicate",
            Self::Type => "type",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::MissingClaim(_) => "missing_claim",
            Self::WrongClaim(_) => "wrong_claim",
            Self::TooShort => "too_short",
            Self::Common => "common",
        }
    }

    pub(crate) fn class(self) -> ErrorClass {
        match self {
            Self::TooShort | Self::Common => ErrorClass::Invalid,
            _ => ErrorClass::Unauthenticated,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "there is none",
            Self::Malformed => "it is not well formed",
            Self::TooLarge => "it is too long",
            Self::Checksum => "its checksum is wrong",
            Self::Unknown => "it is not known",
            Self::Mismatch => "it is not the right one",
            Self::Expired => "its time is over",
            Self::NotYetValid => "its time has not come",
            Self::Revoked => "it was revoked",
            Self::Algorithm => "its algorithm is not that of the key",
            Self::Signature => "its signature is wrong",
            Self::Critical => "it demands an extension that is not understood",
            Self::Duplicate => "a member stands in it twice",
            Self::Type => "it is of another type",
            Self::Issuer => "it is of another issuer",
            Self::Audience => "it is for another audience",
            Self::MissingClaim(name) => return write!(f, "its claim `{name}` is missing"),
            Self::WrongClaim(name) => return write!(f, "its claim `{name}` is not what it should be"),
            Self::TooShort => "it is too short; take a longer one",
            Self::Common => "it is among the first that are guessed; take another",
        })
    }
}
