//! How large and how deep JSON may be.

use buttress_core::{ByteSize, Validate, Violations};

/// What a JSON text may be at most.
///
/// | field | default | |
/// |---|---|---|
/// | `bytes` | 1 MiB | of the whole text |
/// | `depth` | 32 | objects and arrays in one another; at most 127, where `serde_json` ends |
/// | `string_bytes` | 64 KiB | of a string as it is written, escapes and all |
/// | `key_bytes` | 256 B | of a member's name as it is written |
/// | `number_bytes` | 64 B | of a number as it is written |
/// | `members` | 1000 | of one object |
/// | `elements` | 10000 | of one array |
/// | `nodes` | 100000 | values in all |
/// | `unique_keys` | yes | whether a name may be in an object only once (RFC 8259, section 4, leaves open what it means) |
///
/// A limiter needs memory for the names on the way to where it reads (`depth` times `key_bytes`), and 8 to 20 bytes for each
/// name of an open object: no more than `depth` times `members`, and no more than `nodes`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct JsonLimits {
    /// The most bytes in all.
    pub bytes: ByteSize,
    /// How deep values may be in one another. A text that is one number has depth 0.
    pub depth: usize,
    /// The most bytes of a string.
    pub string_bytes: ByteSize,
    /// The most bytes of a name.
    pub key_bytes: ByteSize,
    /// The most bytes of a number.
    pub number_bytes: ByteSize,
    /// The most members of one object.
    pub members: usize,
    /// The most elements of one array.
    pub elements: usize,
    /// The most values in all.
    pub nodes: usize,
    /// Whether a name that is there twice is refused.
    pub unique_keys: bool,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self {
            bytes: ByteSize::mib(1),
            depth: 32,
            string_bytes: ByteSize::kib(64),
            key_bytes: ByteSize::b(256),
            number_bytes: ByteSize::b(64),
            members: 1000,
            elements: 10_000,
            nodes: 100_000,
            unique_keys: true,
        }
    }
}

/// Where `serde_json` ends.
const DEEPEST: usize = 127;

impl Validate for JsonLimits {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        wrong.require(self.bytes.bytes() > 0, "bytes", self.bytes, "must be at least 1; 1MiB is usual");
        let depth = "must be between 1 and 127; 32 is usual";
        wrong.require((1..=DEEPEST).contains(&self.depth), "depth", self.depth, depth);
        let key = "must be at most 64KiB; 256B is usual";
        wrong.require(self.key_bytes.bytes() <= 65_536, "key_bytes", self.key_bytes, key);
        wrong.require(self.nodes > 0, "nodes", self.nodes, "must be at least 1; 100000 is usual");
        wrong.into_result()
    }
}
