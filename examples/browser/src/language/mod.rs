//! Plain sentences turned into workflow steps.
