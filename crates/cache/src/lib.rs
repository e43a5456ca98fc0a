//! A cache with single flight, stale-while-revalidate, tags and a shared second tier.
