//! Our crates beside their rivals, in one run on the same work: `cargo xtask bench AREA`.
//!
//! An area is a criterion bench in a file beside this one. A group in it is a case; a function in a group is a
//! subject; ours is called `buttress`, a rival by its own name. Where the amount of work counts, the group says so
//! by its throughput. Every subject of a case does the same work and hands back the same result.
//!
//! The folder `documents` is for the area of that name, which is no criterion bench: our document pipeline and its
//! rivals from other languages, each a worker process (`worker.rs`, `rivals.py`), read the same files; `truth.py` writes
//! documents whose text is known.
