//! Live, ready and startup probes answered from background checks
