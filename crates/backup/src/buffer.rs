//! Memory for what is large and short-lived.

/// What the system's allocator keeps of freed memory is up to 32 MiB a piece, for each thread that ever asked for some. What is larger it takes from the
/// system and gives back, and what is never written to is not taken at all.
const GIVEN_BACK: usize = 33 << 20;
/// What is kept of less does not matter, and takes less time.
const SMALL: usize = 6 << 20;

/// An empty buffer with room for so many bytes, or more.
pub(crate) fn with_room(bytes: usize) -> Vec<u8> {
    Vec::with_capacity(if bytes < SMALL { bytes } else { bytes.max(GIVEN_BACK) })
}
