//! Where sessions are kept.

use std::time::SystemTime;

use buttress_core::{BoxFuture, Key};

use super::id::SessionHash;
use crate::{Error, Names, Principal, PrincipalKind, TenantId};

/// What a store answers.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// Whose sessions: names of users are unique within a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct User {
    /// The tenant, if there is one.
    pub tenant: Option<TenantId>,
    /// The principal's id.
    pub id: Key,
}

impl From<&Principal> for User {
    fn from(principal: &Principal) -> Self {
        Self { tenant: principal.tenant.clone(), id: principal.id.clone() }
    }
}

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Under which it is found.
    pub hash: SessionHash,
    /// Whose it is.
    pub user: User,
    /// The user's roles when it began or was renewed.
    pub roles: Names,
    /// What the session may be used for.
    pub scopes: Names,
    /// When it began. Renewing does not change it.
    pub created: SystemTime,
    /// When it was last used, or a little before.
    pub seen: SystemTime,
}

impl Record {
    pub(super) fn principal(&self) -> Principal {
        let principal = Principal::new(PrincipalKind::Session, self.user.id.clone());
        principal.tenant(self.user.tenant.clone()).roles(self.roles.clone()).scopes(self.scopes.clone())
    }
}

/// Keeps sessions by their hash. What it does it does whole or not at all; `session::contract` (feature `test-util`) is that as tests.
///
/// Expiry is not the store's affair: [`Sessions`](super::Sessions) looks at the times in a [`Record`], and
/// [`sweep`](Self::sweep) only makes room.
pub trait SessionStore: Send + Sync + std::fmt::Debug + 'static {
    /// Puts a session in, of whose user at most `most` are kept: for one more, the one that began first goes. With `instead_of`, only
    /// if that one is there, which goes. Whether it was put in.
    fn put(&self, record: Record, most: usize, instead_of: Option<SessionHash>) -> Answer<'_, bool>;

    /// The session of this hash.
    fn get(&self, hash: SessionHash) -> Answer<'_, Option<Record>>;

    /// Notes that it was used then, if it is there.
    fn touch(&self, hash: SessionHash, seen: SystemTime) -> Answer<'_, ()>;

    /// Takes out the sessions of a user: all, or the one of this hash, or all but that. How many.
    fn remove(&self, user: User, which: Which) -> Answer<'_, u64>;

    /// Takes out those that began before the one time, or were last used before the other. How many.
    fn sweep(&self, created_before: SystemTime, seen_before: SystemTime) -> Answer<'_, u64>;
}

/// Which of a user's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// The one.
    Only(SessionHash),
    /// All but the one.
    Except(SessionHash),
}

impl Which {
    pub(super) fn holds(self, hash: SessionHash) -> bool {
        match self {
            Self::All => true,
            Self::Only(only) => hash == only,
            Self::Except(other) => hash != other,
        }
    }
}
