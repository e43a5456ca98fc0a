//! Any bytes as the members of a cell, between two that are sound.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let before = br##"{"nbformat": 4, "cells": [{"cell_type": "markdown", "source": "# a"}, {"cell_type": "code", "source": ["b"], "outputs": [{"##;
    let after = br#"}]}, {"cell_type": "raw", "source": "c"}], "metadata": {"title": "d"}}"#;
    documents::process("a.ipynb", [before, bytes, after].concat());
});
