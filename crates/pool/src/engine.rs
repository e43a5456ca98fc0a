//! The one trait of all engines.
