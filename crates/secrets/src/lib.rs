//! Secrets that rotate without a restart.
