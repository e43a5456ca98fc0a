//! What is to be decided.

use std::net::IpAddr;
use std::time::SystemTime;

use super::attributes::Attributes;
use super::permission::Permission;
use crate::{Principal, TenantId};

/// What something is done to. Whose it is has to be said: [`of`](Self::of) a tenant, or [`shared`](Self::shared) by all.
#[derive(Debug, Clone, Copy)]
pub struct Resource<'a> {
    pub(super) tenant: Option<&'a TenantId>,
    pub(super) id: Option<&'a str>,
    pub(super) owner: Option<&'a str>,
    pub(super) attributes: &'a Attributes,
}

impl<'a> Resource<'a> {
    /// Belongs to this tenant.
    #[must_use]
    pub fn of(tenant: &'a TenantId) -> Self {
        Self { tenant: Some(tenant), ..Self::shared() }
    }

    /// Belongs to no tenant: a page for all, the service itself.
    #[must_use]
    pub fn shared() -> Self {
        Self { tenant: None, id: None, owner: None, attributes: Attributes::NONE }
    }

    /// Its name: `resource.id`.
    #[must_use]
    pub fn id(mut self, id: &'a str) -> Self {
        self.id = Some(id);
        self
    }

    /// The id of the principal whose it is, of the same tenant: `resource.owner`.
    #[must_use]
    pub fn owner(mut self, owner: &'a str) -> Self {
        self.owner = Some(owner);
        self
    }

    /// What else is known of it.
    #[must_use]
    pub fn attributes(mut self, attributes: &'a Attributes) -> Self {
        self.attributes = attributes;
        self
    }
}

/// Who wants to do what to what, when, and from where.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub(super) principal: Option<&'a Principal>,
    pub(super) principal_attributes: &'a Attributes,
    pub(super) permission: &'a Permission,
    pub(super) resource: Resource<'a>,
    pub(super) now: SystemTime,
    pub(super) address: Option<IpAddr>,
    pub(super) context: &'a Attributes,
}

impl<'a> Request<'a> {
    /// `principal` (nobody that is known: none) wants this at the time `now`.
    #[must_use]
    pub fn new(
        principal: Option<&'a Principal>,
        permission: &'a Permission,
        resource: Resource<'a>,
        now: SystemTime,
    ) -> Self {
        let none = Attributes::NONE;
        Self {
            principal,
            principal_attributes: none,
            permission,
            resource,
            now,
            address: None,
            context: none,
        }
    }

    /// From this address, which the application knows to be the client's.
    #[must_use]
    pub fn from_ip(mut self, address: IpAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// What else is known of the principal.
    #[must_use]
    pub fn principal_attributes(mut self, attributes: &'a Attributes) -> Self {
        self.principal_attributes = attributes;
        self
    }

    /// What else is known of the request.
    #[must_use]
    pub fn context(mut self, attributes: &'a Attributes) -> Self {
        self.context = attributes;
        self
    }

    /// Whether it is about what another tenant has.
    pub(super) fn is_foreign(&self) -> bool {
        let own = self.principal.and_then(|who| who.tenant.as_ref());
        self.resource.tenant.is_some() && self.resource.tenant != own
    }
}
