//! What is stored of an API key.

use std::fmt;
use std::time::SystemTime;

use buttress_core::Key;

use super::pepper::KeyHash;
use super::text::KeyId;
use crate::{Names, Principal, PrincipalKind, Refusal, TenantId};

/// What is stored of an API key: everything but the key.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyRecord {
    /// Its public name.
    pub id: KeyId,
    /// The keyed hash of its secret.
    pub hash: KeyHash,
    /// With which pepper it is hashed.
    pub pepper: u32,
    /// Who is asking when it is shown.
    pub owner: Key,
    /// Whose data it opens.
    pub tenant: Option<TenantId>,
    /// Roles of its owner when it is used.
    pub roles: Names,
    /// What it may be used for.
    pub scopes: Names,
    /// What people call it.
    pub label: String,
    /// When it was issued.
    pub created: SystemTime,
    /// From when on it is refused.
    pub expires: Option<SystemTime>,
    /// When it was taken back.
    pub revoked: Option<SystemTime>,
    /// The key that took its place.
    pub successor: Option<KeyId>,
    /// When it was last used, as of the last batch.
    pub last_used: Option<SystemTime>,
}

impl KeyRecord {
    /// A record with nothing but what must be; the rest is public.
    #[must_use]
    pub fn new(id: KeyId, hash: KeyHash, pepper: u32, owner: Key, created: SystemTime) -> Self {
        Self {
            id,
            hash,
            pepper,
            owner,
            tenant: None,
            roles: Names::default(),
            scopes: Names::default(),
            label: String::new(),
            created,
            expires: None,
            revoked: None,
            successor: None,
            last_used: None,
        }
    }

    /// Why the key is refused at `now`, although its secret is right.
    #[must_use]
    pub fn refusal(&self, now: SystemTime) -> Option<Refusal> {
        if self.revoked.is_some() {
            return Some(Refusal::Revoked);
        }
        self.expires.is_some_and(|end| now >= end).then_some(Refusal::Expired)
    }

    /// Who is asking.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal::new(PrincipalKind::ApiKey, self.owner.clone())
            .tenant(self.tenant.clone())
            .roles(self.roles.clone())
            .scopes(self.scopes.clone())
    }
}

impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .field("tenant", &self.tenant)
            .field("scopes", &self.scopes)
            .field("expires", &self.expires)
            .field("revoked", &self.revoked)
            .field("successor", &self.successor)
            .finish_non_exhaustive()
    }
}

/// For whom a key is, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewKey {
    /// Who is asking when it is shown.
    pub owner: Key,
    /// Whose data it opens.
    pub tenant: Option<TenantId>,
    /// Roles of its owner when it is used.
    pub roles: Names,
    /// What it may be used for.
    pub scopes: Names,
    /// What people call it: at most 256 bytes.
    pub label: String,
    /// How long it is good; `None` is as long as the configuration says.
    pub lifetime: Option<std::time::Duration>,
}

impl NewKey {
    /// A key for this owner, without tenant, roles and scopes.
    #[must_use]
    pub fn of(owner: Key) -> Self {
        let (roles, scopes) = (Names::default(), Names::default());
        Self { owner, tenant: None, roles, scopes, label: String::new(), lifetime: None }
    }

    /// Opens the data of this tenant.
    #[must_use]
    pub fn tenant(mut self, tenant: TenantId) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Gives these roles.
    #[must_use]
    pub fn roles(mut self, roles: Names) -> Self {
        self.roles = roles;
        self
    }

    /// May be used for these scopes.
    #[must_use]
    pub fn scopes(mut self, scopes: Names) -> Self {
        self.scopes = scopes;
        self
    }

    /// People call it so.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Is good for so long.
    #[must_use]
    pub fn lifetime(mut self, lifetime: std::time::Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }
}
