//! What a request may be at most.

use std::collections::BTreeMap;

use buttress_core::{ByteSize, Validate, Violations};

use crate::json::JsonLimits;

/// Limits of one request.
///
/// | field | default | answer | |
/// |---|---|---|---|
/// | `uri_bytes` | 8 KiB | 414 | path and query |
/// | `headers` | 100 | 431 | lines |
/// | `header_bytes` | 32 KiB | 431 | names and values |
/// | `body_bytes` | 1 MiB | 413 | of a type that is not listed |
/// | `body_by_type` | none | 413 | media type, without parameters, to size |
/// | `only_types` | none | 415 | if there are any, no other bodies |
/// | `json` | [`JsonLimits`] | 400, 413 | bodies of `application/json` and `…+json` |
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RequestLimits {
    /// The most bytes of path and query.
    pub uri_bytes: ByteSize,
    /// The most header lines.
    pub headers: usize,
    /// The most bytes of all names and values of headers.
    pub header_bytes: ByteSize,
    /// The most bytes of a body.
    pub body_bytes: ByteSize,
    /// The most bytes of a body by its media type: `"multipart/form-data" = "16MiB"`.
    pub body_by_type: BTreeMap<String, ByteSize>,
    /// The only media types, if any.
    pub only_types: Vec<String>,
    /// The limits of JSON; `json.bytes` is the limit of such bodies.
    pub json: JsonLimits,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            uri_bytes: ByteSize::kib(8),
            headers: 100,
            header_bytes: ByteSize::kib(32),
            body_bytes: ByteSize::mib(1),
            body_by_type: BTreeMap::new(),
            only_types: Vec::new(),
            json: JsonLimits::default(),
        }
    }
}

impl RequestLimits {
    pub(super) fn body(&self, media_type: &str) -> ByteSize {
        let listed = self.body_by_type.get(media_type).copied();
        listed.unwrap_or(if is_json(media_type) { self.json.bytes } else { self.body_bytes })
    }
}

pub(super) fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

impl Validate for RequestLimits {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.require(
            self.uri_bytes.bytes() > 0,
            "uri_bytes",
            self.uri_bytes,
            "must be at least 1; 8KiB is usual",
        );
        wrong.require(self.headers > 0, "headers", self.headers, "must be at least 1; 100 is usual");
        let plain = |name: &str| {
            name.contains('/') && !name.contains([';', ' ']) && name.to_ascii_lowercase() == name
        };
        for name in self.body_by_type.keys().chain(&self.only_types) {
            let remedy =
                "must be a media type in lower case without parameters, such as \"application/json\"";
            wrong.require(plain(name), "body_by_type, only_types", name, remedy);
        }
        wrong.nest("json", &self.json);
        wrong.into_result()
    }
}
