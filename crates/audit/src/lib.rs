//! A log that cannot be rewritten unnoticed.
