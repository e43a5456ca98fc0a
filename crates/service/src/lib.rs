//! Runs a production HTTP service: listener, layers, problem+json, probes, ordered start, drain and stop
