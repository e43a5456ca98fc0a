//! Layered configuration with provenance, validation before swap, hot reload and feature flags
