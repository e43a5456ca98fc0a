//! What is counted. Labels come from closed sets: never a name of a key, a user or a tenant.

use metrics::{Counter, counter, describe_counter};

use crate::Credential;

/// Credentials that were looked at, by `credential` (`api_key`, `token`, `password`, `session`) and `outcome`: `accepted`, or why not.
pub const CREDENTIALS: &str = "buttress_access_credentials_total";
/// Look-ups in the store of API keys, by `outcome`: `cached`, `read`, `failed`.
pub const KEY_LOOKUPS: &str = "buttress_access_key_lookups_total";
/// Fetches of key sets (JWKS), by `outcome`: `fetched`, `failed`.
pub const JWKS_FETCHES: &str = "buttress_access_jwks_fetches_total";
/// Decisions of policies in front of services, by `outcome`: `allowed`, or why not.
pub const DECISIONS: &str = "buttress_access_decisions_total";
/// Requests that were refused before anybody asked a policy, by `check` (`csrf`, `network`) and `reason`.
pub const REFUSED: &str = "buttress_access_refused_total";
/// Preflights, by `outcome`: `allowed`, or what was not: `origin`, `method`, `headers`, `private_network`.
pub const PREFLIGHTS: &str = "buttress_access_preflights_total";

/// Counts what happens to one kind of credential. Refusals are rare and resolved when they happen; the rest once.
pub(crate) struct Credentials {
    credential: Credential,
    accepted: Counter,
}

impl Credentials {
    pub(crate) fn new(credential: Credential) -> Self {
        describe_counter!(CREDENTIALS, "Credentials that were looked at, by outcome");
        let accepted = counter!(CREDENTIALS, "credential" => credential.as_str(), "outcome" => "accepted");
        Self { credential, accepted }
    }

    pub(crate) fn accepted(&self) {
        self.accepted.increment(1);
    }

    /// `outcome` is of a closed set: of `Refusal` or of `ErrorClass`.
    pub(crate) fn not_accepted(&self, outcome: &'static str) {
        counter!(CREDENTIALS, "credential" => self.credential.as_str(), "outcome" => outcome).increment(1);
    }
}
