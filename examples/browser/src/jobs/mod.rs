//! Jobs: accepted once, run until they end, kept with what they left behind.
