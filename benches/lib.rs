//! Our crates beside their rivals, in one run on the same work.
