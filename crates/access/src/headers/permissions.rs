//! What pages may use of the browser.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use buttress_core::{Validate, Violations};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::origin::{Origin, OriginError};

/// `Permissions-Policy`: features of the browser, and who may use them: `camera = ["self", "https://meet.example.org"]`.
///
/// By default nobody may use `camera`, `display-capture`, `geolocation`, `microphone`, `payment` and `usb`. Others are as the browser
/// has them. A configuration replaces the whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PermissionsPolicy(
    /// By feature.
    pub BTreeMap<String, Vec<Allowed>>,
);

/// Who may use a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Allowed {
    /// One's own pages: `"self"`.
    Own,
    /// All, also what is embedded: `"*"`.
    All,
    /// Pages of this origin that are embedded.
    Origin(Origin),
}

impl FromStr for Allowed {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        match text {
            "self" => Ok(Self::Own),
            "*" => Ok(Self::All),
            origin => origin.parse().map(Self::Origin),
        }
    }
}

/// As the header has it.
impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("self"),
            Self::All => f.write_str("*"),
            Self::Origin(origin) => write!(f, "\"{origin}\""),
        }
    }
}

impl Serialize for Allowed {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Origin(origin) => to.serialize_str(origin.as_str()),
            word => to.collect_str(word),
        }
    }
}

impl<'de> Deserialize<'de> for Allowed {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Default for PermissionsPolicy {
    fn default() -> Self {
        let features = ["camera", "display-capture", "geolocation", "microphone", "payment", "usb"];
        Self(features.into_iter().map(|feature| (feature.to_owned(), Vec::new())).collect())
    }
}

impl Validate for PermissionsPolicy {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.require(self.0.len() <= 64, "features", self.0.len(), "must be at most 64");
        for (feature, allowed) in &self.0 {
            let letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            let good = (1..=64).contains(&feature.len()) && feature.bytes().all(letter);
            wrong.require(good, "features", format!("{feature:?}"), "must be a feature like \"camera\"");
            let alone = allowed.len() <= 1 || !allowed.contains(&Allowed::All);
            wrong.require(
                alone && allowed.len() <= 32,
                feature,
                allowed.len(),
                "must be \"*\" alone, or at most 32 others",
            );
        }
        wrong.into_result()
    }
}

impl PermissionsPolicy {
    #[cfg(feature = "tower")]
    pub(super) fn value(&self) -> Option<String> {
        let feature = |(feature, allowed): (&String, &Vec<Allowed>)| match allowed.as_slice() {
            [Allowed::All] => format!("{feature}=*"),
            allowed => {
                let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
                format!("{feature}=({})", allowed.join(" "))
            }
        };
        (!self.0.is_empty()).then(|| self.0.iter().map(feature).collect::<Vec<_>>().join(", "))
    }
}
