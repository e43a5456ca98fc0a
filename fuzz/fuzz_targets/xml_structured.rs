//! Any bytes inside of elements with namespaces, attributes and an entity of their own.

#![no_main]

#[path = "shared/documents.rs"]
mod documents;

use libfuzzer_sys::fuzz_target;

const BEFORE: &[u8] = b"<?xml version='1.0'?><!DOCTYPE r [<!ENTITY e 'x'>]>\
    <r xmlns:a='urn:a'><title>t</title><a:b a:k='v'>";

fuzz_target!(|bytes: &[u8]| {
    documents::process("a.xml", [BEFORE, bytes, b"</a:b><![CDATA[c]]></r>"].concat());
});
