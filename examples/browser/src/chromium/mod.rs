//! Chromium, driven over the DevTools protocol.
