//! Documents that mean harm, beside some that do not: each gets a clear reason, none takes memory or time beyond the
//! limits, and the others do not notice.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // Failing is what a test is for.
#![allow(clippy::format_collect)] // Markup of a few kilobytes, built once.

mod common;

use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::Path;

use common::{dead_letters, folder, process, records};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use tempfile::tempdir;
use zip::write::SimpleFileOptions;

fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in members {
        let mut header = tar::Header::new_ustar();
        // `set_path` would refuse the names that are the point here.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.extend_from_slice(&[0; 1024]);
    archive
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A PDF of the given objects, numbered from 1; the first is the catalogue.
fn pdf(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    let mut pdf = b"%PDF-1.7\n".to_vec();
    let mut offsets = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        offsets.push(pdf.len());
        writeln!(pdf, "{} 0 obj", i + 1).unwrap();
        pdf.extend_from_slice(object);
        pdf.extend_from_slice(b"\nendobj\n");
    }
    let xref = pdf.len();
    write!(pdf, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).unwrap();
    for offset in offsets {
        writeln!(pdf, "{offset:010} 00000 n ").unwrap();
    }
    write!(
        pdf,
        "trailer << /Size {} /Root 1 0 R {trailer} >>\nstartxref\n{xref}\n%%EOF\n",
        objects.len() + 1
    )
    .unwrap();
    pdf
}

fn stream(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let mut object = format!("<< {dictionary} /Length {} >>\nstream\n", data.len()).into_bytes();
    object.extend_from_slice(data);
    object.extend_from_slice(b"\nendstream");
    object
}

fn page_of(content: Vec<u8>) -> Vec<u8> {
    pdf(
        &[
            b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
            b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /MediaBox [0 0 100 100] >>".to_vec(),
            content,
        ],
        "",
    )
}

/// A page that draws the first of the forms; each can draw every other as `/X0`, `/X1` and so on, and set text in `/F`.
fn page_of_forms(forms: &[&str]) -> Vec<u8> {
    let names: String = (0..forms.len()).map(|i| format!("/X{i} {} 0 R ", i + 6)).collect();
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        format!(
            "<< /Type /Page /Parent 2 0 R /Contents 4 0 R /MediaBox [0 0 100 100] \
             /Resources << /Font << /F 5 0 R >> /XObject << {names} >> >> >>"
        )
        .into_bytes(),
        stream("", b"/X0 Do"),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_vec(),
    ];
    objects.extend(forms.iter().map(|form| stream("/Type /XObject /Subtype /Form", form.as_bytes())));
    pdf(&objects, "")
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Sets the flag that says that a member is encrypted, in its own header and in the directory.
fn encrypted(mut archive: Vec<u8>) -> Vec<u8> {
    for (magic, flags) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let at = archive.windows(4).position(|window| window == magic).unwrap();
        archive[at + flags] |= 1;
    }
    archive
}

/// Declares every member as ten bytes, where a reader that trusts headers would look.
fn lying(mut archive: Vec<u8>) -> Vec<u8> {
    let at = archive.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    archive[at + 24..at + 28].copy_from_slice(&10_u32.to_le_bytes());
    archive
}

const XML: &[u8] = b"<?xml version=\"1.0\"?>";

/// Every hostile document: its name, its content, and what the reason must say; `None` where it may well be read.
fn hostile() -> Vec<(&'static str, Vec<u8>, Option<&'static str>)> {
    let zeros = vec![0_u8; 100 << 20];
    let sample = |path: &str| fs::read(folder("samples").join(path)).unwrap();
    let half = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() / 2);
        bytes
    };
    let bomb = zip(&[("zeros.txt", &zeros)]);
    let docx_bomb = zip(&[("word/document.xml", &[b"<w:document>".as_slice(), &zeros].concat())]);
    let deep = |open: &str, close: &str| [open.repeat(100_000), close.repeat(100_000)].concat().into_bytes();
    let laughs: String =
        (1..10).map(|i| format!("<!ENTITY l{i} \"{}\">", format!("&l{};", i - 1).repeat(10))).collect();
    let laughs = format!("<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY l0 \"lol\">{laughs}]><x>&l9;</x>");
    let outside =
        "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><x>ok &e;</x>";
    let many: String = (0..20_000).map(|i| format!(" a{i}=\"{i}\"")).collect();
    let circle = pdf(
        &[
            b"<< /Type /Catalog /Pages 2 0 R /Outlines 2 0 R >>".to_vec(),
            b"<< /Type /Pages /Kids [2 0 R 3 0 R 2 0 R] /Parent 2 0 R /Count 99999999 >>".to_vec(),
            b"<< /Type /Page /Parent 3 0 R /Contents 3 0 R /Resources 3 0 R >>".to_vec(),
        ],
        "/Prev 9 /Info 2 0 R",
    );
    let itself = page_of_forms(&["BT /F 9 Tf (once) Tj ET /X0 Do /X0 Do"]);
    let forms: Vec<String> = (1..=20)
        .map(|next| format!("BT /F 9 Tf (lol) Tj ET {}", format!("1 0 0 1 9 20 cm /X{next} Do ").repeat(10)))
        .collect();
    let forms = page_of_forms(&forms.iter().map(String::as_str).collect::<Vec<_>>());
    let arrays = page_of(stream("", &[b"[".repeat(100_000), b"]".repeat(100_000), b" TJ".to_vec()].concat()));
    let swelling = page_of(stream("/Filter /FlateDecode", &deflated(&zeros)));
    let swelling_twice = page_of(stream("/Filter [/FlateDecode /FlateDecode]", &deflated(&deflated(&zeros))));
    let swelling_objects = pdf(&[stream("/Type /Obj#53tm /N 1 /First 4 /Filter /Fl", &deflated(&zeros))], "");
    let swelling_font = pdf(
        &[
            b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
            b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>".to_vec(),
            stream("", b"BT /F 9 Tf <80> Tj ET"),
            b"<< /Type /Font /Subtype /Type1 /FontDescriptor << /FontFile 6 0 R >> >>".to_vec(),
            stream("/Filter /FlateDecode", &deflated(&zeros)),
        ],
        "",
    );
    let locked = pdf(
        &[b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(), b"<< /Type /Pages /Kids [] /Count 0 >>".to_vec()],
        "/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O (00000000000000000000000000000000) \
         /U (00000000000000000000000000000000) >> /ID [(0123456789abcdef) (0123456789abcdef)]",
    );
    vec![
        ("zero.pdf", Vec::new(), Some("0 bytes")),
        ("truncated.pdf", half(sample("pdf/harbour.pdf")), None),
        ("truncated.docx", half(sample("docx/harbour.docx")), None),
        ("truncated.zip", half(sample("zip/papers.zip")), None),
        ("truncated.gz", half(sample("gzip/harbour.txt.gz")), None),
        ("truncated.rtf", b"{\\rtf1{\\fonttbl".to_vec(), Some("ends before its text begins")),
        ("locked.pdf", locked, Some("encrypted")),
        ("locked.zip", encrypted(zip(&[("a.txt", b"secret")])), Some("encrypted")),
        ("bomb.zip", bomb.clone(), Some("expansion_ratio")),
        ("bomb-in-bomb.zip", zip(&[("a.zip", &bomb), ("b.zip", &bomb)]), Some("expansion_ratio")),
        ("bomb-that-lies.zip", lying(bomb), None),
        ("bomb.docx", docx_bomb, Some("expansion_ratio")),
        ("bomb.gz", gzip(&zeros), Some("expansion_ratio")),
        ("bomb.pdf", swelling, Some("expansion_ratio")),
        ("bomb-twice.pdf", swelling_twice, Some("expansion_ratio")),
        ("bomb-of-objects.pdf", swelling_objects, Some("expansion_ratio")),
        ("bomb-of-a-font.pdf", swelling_font, Some("expansion_ratio")),
        ("deep.xml", [XML.to_vec(), deep("<a>", "</a>")].concat(), Some("nesting")),
        ("deep.json", deep("[", "]"), Some("nesting")),
        ("deep.html", [b"<html>".to_vec(), deep("<div>", "</div>")].concat(), None),
        ("deep.rtf", [b"{\\rtf1 ".to_vec(), deep("{", "}")].concat(), Some("nesting")),
        ("laughs.xml", laughs.into_bytes(), None),
        ("outside.xml", outside.as_bytes().to_vec(), None),
        ("attributes.xml", [XML, format!("<x{many}>text</x>").as_bytes()].concat(), Some("attributes")),
        (
            "picture.docx",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02".to_vec(),
            Some("PNG image"),
        ),
        ("program.txt", [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 500]].concat(), Some("ELF program")),
        ("noise.pdf", (0..5000_u32).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect(), None),
        (
            "climbing.zip",
            zip(&[("../../etc/passwd", b"root"), ("/etc/shadow", b"x")]),
            Some("points outside the archive"),
        ),
        ("climbing.tar", tar(&[("../../../etc/passwd", b"root")]), Some("points outside the archive")),
        ("circle.pdf", circle, None),
        ("itself.pdf", itself, None),
        ("forms.pdf", forms, Some("cells")),
        ("arrays.pdf", arrays, None),
    ]
}

#[test]
fn each_gets_its_reason_and_the_others_do_not_notice() {
    let dir = tempdir().unwrap();
    let (input, out) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir_all(&input).unwrap();
    let documents = hostile();
    for (name, content, _) in &documents {
        fs::write(input.join(name), content).unwrap();
    }
    // Two gigabytes that take no room on the disk.
    File::create(input.join("sparse.txt")).unwrap().set_len(2 << 30).unwrap();
    let good = ["pdf/harbour.pdf", "docx/garden.docx", "text/library-koi8r.txt"];
    for path in good {
        let name = Path::new(path).file_name().unwrap();
        fs::copy(folder("samples").join(path), input.join(name)).unwrap();
    }
    let limits = ["--set", "pipeline.limits.time=60s", "--set", "pipeline.limits.cells=100000"];
    let summary = process(&[&input], &out, &limits);

    let (reasons, records) = (dead_letters(&out), records(&out));
    let read = |name: &str| records.keys().any(|path| path.ends_with(&format!("/{name}")));
    let mut wrong = Vec::new();
    for (name, said) in
        documents.iter().map(|(name, _, said)| (*name, *said)).chain([("sparse.txt", Some("input_bytes"))])
    {
        let reason = reasons.get(name).map(|reason| reason["message"].as_str().unwrap().to_owned());
        let typed = reasons.get(name).is_none_or(|reason| {
            !matches!(reason["error"]["cause"].as_str(), Some("panicked" | "worker_died" | "broken"))
        });
        let right = match (said, &reason) {
            (Some(said), Some(reason)) => reason.contains(said) && typed,
            (Some(_), None) => false,
            (None, Some(_)) => typed,
            (None, None) => read(name),
        };
        if !right {
            wrong.push(format!("{name}: expected {said:?}, got {reason:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let once =
        records.iter().find(|(path, _)| path.ends_with("/itself.pdf")).map(|(_, record)| &record["text"]);
    assert_eq!(once.unwrap(), "once", "a form inside itself is read once");
    for path in good {
        assert!(read(path.rsplit('/').next().unwrap()), "{path} is read as if it were alone");
    }
    assert!(
        !records.values().any(|record| record["text"].as_str().unwrap().contains("root:")),
        "no file got in"
    );
    let peak = summary["peak_worker_bytes"].as_u64().unwrap();
    assert!(peak < 1 << 30, "a worker took {peak} bytes");
}
