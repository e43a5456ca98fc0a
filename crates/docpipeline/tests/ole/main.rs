//! The Office formats before 2007: what people see comes out, what hurts is refused.
//!
//! Inputs are built here, so that each test shows what it is about.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)] // A failed step is a failed test.

mod compound;
mod damage;
mod doc;
mod ppt;
mod xls;

use buttress_docpipeline::{Document, Error, Pipeline, PipelineConfig, Source};

fn process(name: &str, bytes: Vec<u8>) -> Result<Document, Error> {
    let pipeline = Pipeline::new(PipelineConfig::default());
    pipeline.process(&Source { name: Some(name), bytes: bytes.into() }).map(|processed| processed.document)
}

fn read(name: &str, bytes: Vec<u8>) -> Document {
    process(name, bytes).unwrap()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Little-endian halves and words one after another.
fn halves(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// A set of properties ([MS-OLEPS]): ids, types, values.
fn properties(of: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let mut section = words(&[0, u32::try_from(of.len()).unwrap()]);
    let mut at = 8 + 8 * of.len();
    for (id, _, value) in of {
        section.extend(words(&[*id, u32::try_from(at).unwrap()]));
        at += 4 + value.len();
    }
    for (_, kind, value) in of {
        section.extend(words(&[*kind]));
        section.extend(*value);
    }
    let mut set = halves(&[0xfffe, 0]);
    set.resize(24, 0);
    set.extend(words(&[1, 0, 0, 0, 0, 48]));
    set.extend(section);
    set
}

/// A text of a set of properties in its code page.
fn text_property(text: &[u8]) -> Vec<u8> {
    let mut value = words(&[u32::try_from(text.len() + 1).unwrap()]);
    value.extend(text);
    value.push(0);
    value
}
