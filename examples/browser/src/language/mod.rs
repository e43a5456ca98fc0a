//! Plain sentences turned into workflow steps.

pub mod grammar;
