//! Workflows: what a job does, as people write it.
