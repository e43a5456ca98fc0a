//! Documents to clean text, chunks, metadata and fingerprints, within limits that hold
