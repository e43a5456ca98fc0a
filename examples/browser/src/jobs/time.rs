//! Points in time, as the database and JSON have them.

use std::time::{Duration, SystemTime};

/// The end of the year 9999, the last that RFC 3339 can write.
const LAST: u64 = 253_402_300_799_999;

/// Milliseconds since 1970.
pub(crate) fn millis(at: SystemTime) -> i64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The point in time of [`millis`].
pub(crate) fn moment(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0).min(LAST))
}

/// `#[serde(with = …)]`: as RFC 3339 writes it, to the millisecond.
pub(crate) mod text {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{millis, moment};

    pub(crate) fn serialize<S: Serializer>(at: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_rfc3339_millis(moment(millis(*at))))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        humantime::parse_rfc3339(&text).map_err(serde::de::Error::custom)
    }
}

/// `#[serde(with = …)]`: the same for one that may be missing.
pub(crate) mod optional_text {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer};

    // The shape that serde's `with` asks for.
    #[allow(clippy::ref_option)]
    pub(crate) fn serialize<S: Serializer>(at: &Option<SystemTime>, to: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::text::serialize(at, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SystemTime>, D::Error> {
        Option::<String>::deserialize(from)?
            .map(|text| humantime::parse_rfc3339(&text).map_err(serde::de::Error::custom))
            .transpose()
    }
}
