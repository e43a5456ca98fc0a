//! The shared vocabulary of the buttress crates: clock, errors, keys, probes, events, shutdown, units
