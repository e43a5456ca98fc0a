//! What a token must say.

use std::time::Duration;

use buttress_core::{ByteSize, Validate, Violations, units};
use serde::{Deserialize, Serialize};

/// What a token must say to be accepted.
///
/// | setting | default | |
/// |---|---|---|
/// | `issuers` | none: must be set | whose tokens are accepted: `iss`, exactly |
/// | `audiences` | none: must be set | as whom we accept them: `aud` must name one of these, exactly |
/// | `token_type` | any | what `typ` must be: `at+jwt` for access tokens (RFC 9068) |
/// | `require_expiry` | `true` | whether a token without `exp` is refused |
/// | `leeway` | `"30s"` | how far clocks may be apart |
/// | `longest` | `"8KiB"` | the longest token |
/// | `roles_claim` | `"roles"` | the claim that holds an array of roles |
/// | `tenant_claim` | none | the claim that names the tenant; a token without it is refused then |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TokenConfig {
    /// Whose tokens are accepted.
    pub issuers: Vec<String>,
    /// As whom we accept them.
    pub audiences: Vec<String>,
    /// What `typ` must be.
    pub token_type: Option<String>,
    /// Whether a token without `exp` is refused.
    pub require_expiry: bool,
    /// How far clocks may be apart.
    #[serde(with = "units::duration")]
    pub leeway: Duration,
    /// The longest token.
    pub longest: ByteSize,
    /// The claim that holds roles.
    pub roles_claim: Option<String>,
    /// The claim that names the tenant.
    pub tenant_claim: Option<String>,
}

impl Default for TokenConfig {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            audiences: Vec::new(),
            token_type: None,
            require_expiry: true,
            leeway: Duration::from_secs(30),
            longest: ByteSize::kib(8),
            roles_claim: Some("roles".to_owned()),
            tenant_claim: None,
        }
    }
}

impl TokenConfig {
    /// Tokens of this issuer for this audience.
    #[must_use]
    pub fn of(issuer: &str, audience: &str) -> Self {
        Self { issuers: vec![issuer.to_owned()], audiences: vec![audience.to_owned()], ..Self::default() }
    }
}

impl Validate for TokenConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        for (field, names) in [("issuers", &self.issuers), ("audiences", &self.audiences)] {
            let holds = (1..=64).contains(&names.len()) && names.iter().all(|name| !name.is_empty());
            let remedy = "must be 1 to 64 names: a token of anybody, or for anybody, proves nothing";
            wrong.require(holds, field, format!("{names:?}"), remedy);
        }
        let leeway = self.leeway <= Duration::from_mins(5);
        let shown = units::format_duration(self.leeway);
        wrong.require(leeway, "leeway", shown, "must be at most 5m; 30s is usual");
        let longest = (256..=64 * 1024).contains(&self.longest.as_usize());
        wrong.require(longest, "longest", self.longest, "must be 256B to 64KiB; 8KiB is usual");
        wrong.into_result()
    }
}
