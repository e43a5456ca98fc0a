//! Secrets that rotate without a restart.

pub mod seal;
pub mod shamir;
