//! Input turned into types that cannot hold an attack.
