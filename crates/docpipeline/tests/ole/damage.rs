//! Compound files that are damaged, made to hurt, or something else.

use buttress_docpipeline::{Error, Format};

use crate::compound::compound;
use crate::{process, read};

/// The first bytes of a workbook without sheets, long enough for sectors of its own.
fn workbook() -> Vec<u8> {
    let mut stream = b"\x09\x08\x10\0\0\x06\x05\0".to_vec();
    stream.resize(20, 0);
    stream.extend(b"\x0a\0\0\0");
    stream.resize(5000, 0);
    stream
}

#[test]
fn a_chain_that_runs_in_a_circle_ends() {
    let mut bytes = compound(&[("Workbook", &workbook())]);
    assert!(read("a.xls", bytes.clone()).text.is_empty());
    // The last sector is the table; every sector leads to itself.
    let table = bytes.len() - 512;
    for (i, next) in bytes[table..].chunks_mut(4).enumerate() {
        next.copy_from_slice(&u32::try_from(i).unwrap().to_le_bytes());
    }
    assert!(process("a.xls", bytes).is_ok());
}

#[test]
fn a_size_that_is_declared_is_only_a_claim() {
    let mut bytes = compound(&[("Workbook", &workbook())]);
    let name: Vec<u8> = "Workbook".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let entry = memchr::memmem::find(&bytes, &name).unwrap();
    bytes[entry + 120..entry + 124].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
    let document = read("a.xls", bytes);
    assert!(
        document.warnings[0].contains("ends after 5120 of its 4294967280 bytes"),
        "{:?}",
        document.warnings
    );
}

#[test]
fn a_directory_with_a_broken_tree_is_searched_whole() {
    let mut bytes = compound(&[("Other", b"x"), ("Workbook", &workbook())]);
    let name: Vec<u8> = "Other".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let entry = memchr::memmem::find(&bytes, &name).unwrap();
    // What stands beside it is said to stand far outside.
    bytes[entry + 72..entry + 76].copy_from_slice(&77_u32.to_le_bytes());
    assert_eq!(read("a.xls", bytes).format, Format::Xls);
}

#[test]
fn a_file_that_breaks_off_is_damaged() {
    let bytes = compound(&[("Workbook", &workbook())]);
    let refusal = process("a.xls", bytes[..700].to_vec());
    assert!(matches!(refusal, Err(Error::Malformed { format: Format::Xls, .. })), "{refusal:?}");
    let refusal = process("a.doc", compound(&[("WordDocument", b"nothing of it")]));
    assert!(matches!(refusal, Err(Error::Malformed { format: Format::Doc, .. })), "{refusal:?}");
    let refusal = process("a.ppt", compound(&[("PowerPoint Document", b"nothing of it")]));
    assert!(matches!(refusal, Err(Error::Malformed { format: Format::Ppt, .. })), "{refusal:?}");
}

#[test]
fn other_compound_files_are_refused_by_name() {
    for (stream, name) in
        [("__properties_version1.0", "MSG"), ("VisioDocument", "Visio"), ("Stuff", "no known kind")]
    {
        let refusal = process("a.doc", compound(&[(stream, b"x")])).unwrap_err();
        assert!(matches!(&refusal, Error::Unsupported { found } if found.contains(name)), "{refusal}");
    }
}
