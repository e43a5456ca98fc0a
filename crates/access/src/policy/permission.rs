//! What may be done, as `kind:action`, and patterns of it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use buttress_core::{Classify, ErrorClass};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most segments of a permission: what a look-up may try is bounded by it.
pub(super) const MOST_SEGMENTS: usize = 8;
const LONGEST_SEGMENT: usize = 64;

/// What somebody wants to do: `document:read`, `billing:invoice:refund`. Cheap to clone.
///
/// 1 to 8 segments between colons, of 1 to 64 letters, digits, `_`, `.` and `-` each (ASCII, and case counts).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Permission(Arc<str>);

/// Permissions that a rule is about: as a [`Permission`], where a segment `*` is any one segment, and `**` as the last is one or more.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern(Arc<str>);

/// A text that is no [`Permission`] or [`Pattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PermissionError {
    /// It has no segments, or too many.
    #[error("a permission has 1 to {MOST_SEGMENTS} segments between colons, like `document:read`")]
    Segments,
    /// One of its segments is empty, too long, or holds other characters.
    #[error("segment {0} of a permission must be 1 to {LONGEST_SEGMENT} letters, digits, `_`, `.` and `-`")]
    Segment(
        /// Which one, from 1.
        usize,
    ),
    /// `**` stands before the end.
    #[error("`**` may only be the last segment of a pattern")]
    Rest,
}

impl Classify for PermissionError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// Whether `text` is a name: of a segment, a role, an attribute.
pub(super) fn is_name(text: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=LONGEST_SEGMENT).contains(&text.len()) && text.bytes().all(sign)
}

fn check(text: &str, wild: bool) -> Result<(), PermissionError> {
    let most = MOST_SEGMENTS * (LONGEST_SEGMENT + 1);
    if text.len() > most || text.split(':').count() > MOST_SEGMENTS {
        return Err(PermissionError::Segments);
    }
    let mut segments = text.split(':').enumerate().peekable();
    while let Some((place, segment)) = segments.next() {
        match segment {
            "*" if wild => {}
            "**" if wild && segments.peek().is_none() => {}
            "**" if wild => return Err(PermissionError::Rest),
            segment if is_name(segment) => {}
            _ => return Err(PermissionError::Segment(place + 1)),
        }
    }
    Ok(())
}

impl Permission {
    /// Checks `text`.
    pub fn new(text: impl AsRef<str>) -> Result<Self, PermissionError> {
        let text = text.as_ref();
        check(text, false).map(|()| Self(text.into()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.split(':')
    }
}

impl Pattern {
    /// Checks `text`.
    pub fn new(text: impl AsRef<str>) -> Result<Self, PermissionError> {
        let text = text.as_ref();
        check(text, true).map(|()| Self(text.into()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is about `permission`.
    #[must_use]
    pub fn matches(&self, permission: &Permission) -> bool {
        let mut asked = permission.segments();
        for segment in self.segments() {
            match (segment, asked.next()) {
                ("**", Some(_)) => return true,
                ("*", Some(_)) => {}
                (segment, Some(other)) if segment == other => {}
                _ => return false,
            }
        }
        asked.next().is_none()
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.split(':')
    }
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = PermissionError;

            fn from_str(text: &str) -> Result<Self, PermissionError> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                Self::new(Cow::<'de, str>::deserialize(from)?).map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(Permission Pattern);
