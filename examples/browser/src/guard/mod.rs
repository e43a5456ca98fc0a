//! What pages may reach: a proxy that refuses addresses of private networks.
