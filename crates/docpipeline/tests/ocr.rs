//! Pages of pictures: read by the real tesseract, and by programs that hang, fail, or never stop writing.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)] // A failed step is a failed test.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use buttress_core::{ByteSize, Validate};
use buttress_docpipeline::{Document, OcrConfig, OcrMode, Pipeline, PipelineConfig, Source};
use buttress_testkit::Program;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use tempfile::{TempDir, tempdir};

const JPEG: &[u8] = include_bytes!("fixtures/ocr/words.jpg");
const FAX: &[u8] = include_bytes!("fixtures/ocr/words.g4");
const PIXELS: &[u8] = include_bytes!("fixtures/ocr/words.pbm");

/// The size of all three pictures, and of one that is placed on a page at 200 pixels an inch.
const SIZE: &str = "/Width 520 /Height 112";
const PLACED: &str = "187.2 0 0 40.32 50 600 cm";

/// The pixels of a picture of one bit, without the header; 1 is black there.
fn bits() -> Vec<u8> {
    PIXELS[PIXELS.len() - 65 * 112..].to_vec()
}

/// The same, each bit turned into the bytes of `black` or `white`.
fn samples(black: &[u8], white: &[u8]) -> Vec<u8> {
    let bits = bits().into_iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
    bits.flat_map(|is_black| if is_black { black.to_vec() } else { white.to_vec() }).collect()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What a page shows, and how it is turned.
struct Page {
    content: String,
    entries: &'static str,
    /// The entries and the bytes of its picture, if it has one.
    picture: Option<(String, Vec<u8>)>,
}

fn words(words: &str) -> Page {
    Page { content: format!("BT /F 12 Tf 50 700 Td ({words}) Tj ET"), entries: "", picture: None }
}

fn picture(entries: &str, bytes: &[u8]) -> Page {
    let picture = (format!("{SIZE} {entries}"), bytes.to_vec());
    Page { content: format!("q {PLACED} /P Do Q"), entries: "", picture: Some(picture) }
}

fn jpeg() -> Page {
    picture("/ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /DCTDecode", JPEG)
}

fn pdf(pages: &[Page]) -> Vec<u8> {
    let mut file = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n".to_vec();
    file.extend_from_slice(b"3 0 obj\n<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>\nendobj\n");
    let mut stream = |number: usize, entries: &str, bytes: &[u8]| {
        write!(file, "{number} 0 obj\n<< {entries} /Length {} >>\nstream\n", bytes.len()).unwrap();
        file.extend_from_slice(bytes);
        file.extend_from_slice(b"\nendstream\nendobj\n");
    };
    let (mut kids, mut leaves) = (Vec::new(), Vec::new());
    for (index, page) in pages.iter().enumerate() {
        let (leaf, content, object) = (10 + 3 * index, 11 + 3 * index, 12 + 3 * index);
        kids.push(format!("{leaf} 0 R"));
        leaves.push(format!(
            "{leaf} 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {content} 0 R {} \
             /Resources << /Font << /F 3 0 R >> /XObject << /P {object} 0 R >> >> >>\nendobj\n",
            page.entries,
        ));
        stream(content, "", page.content.as_bytes());
        if let Some((entries, bytes)) = &page.picture {
            stream(object, &format!("/Type /XObject /Subtype /Image {entries}"), bytes);
        }
    }
    let (count, kids, leaves) = (pages.len(), kids.join(" "), leaves.concat());
    write!(file, "{leaves}2 0 obj\n<< /Type /Pages /Kids [{kids}] /Count {count} >>\nendobj\n").unwrap();
    // Readers find the objects by themselves.
    file.extend_from_slice(b"trailer\n<< /Root 1 0 R >>\n%%EOF\n");
    file
}

fn ocr(program: &Path) -> PipelineConfig {
    let mut config = PipelineConfig::default();
    config.ocr.mode = OcrMode::Auto;
    program.to_str().unwrap().clone_into(&mut config.ocr.program);
    config
}

fn tesseract() -> PipelineConfig {
    ocr(&Program::TESSERACT.path())
}

fn read(pages: &[Page], config: PipelineConfig) -> Document {
    config.validate().unwrap();
    let source = Source { name: Some("scan.pdf"), bytes: pdf(pages).into() };
    Pipeline::new(config).process(&source).unwrap().document
}

/// The text on one line.
fn line(document: &Document) -> String {
    document.text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A shell script in place of tesseract, with a folder of its own.
fn script(commands: &str) -> (TempDir, std::path::PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("reader");
    fs::write(&path, format!("#!/bin/sh\ncd {}\n{commands}\n", folder.path().display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, path)
}

/// The warning of a picture between two pages of text, which are read whatever the program does.
fn warning_between(commands: &str, change: impl FnOnce(&mut PipelineConfig)) -> String {
    let (_folder, program) = script(commands);
    let mut config = ocr(&program);
    change(&mut config);
    let document = read(&[words("before"), jpeg(), words("after")], config);
    assert_eq!(line(&document), "before after");
    let [warning] = document.warnings.as_slice() else { panic!("{:?}", document.warnings) };
    warning.clone()
}

const WORDS: &str = "The harbour never sleeps, and the ferry waits for the tide.";

#[test]
fn a_page_of_a_picture_is_read_where_it_stands() {
    let document = read(&[words("before"), jpeg(), words("after")], tesseract());
    assert_eq!(line(&document), format!("before {WORDS} after"));
    assert_eq!(document.warnings, Vec::<String>::new());
    let page = document.pages[1];
    assert!(document.text[page.start..page.end].contains("the ferry waits"));
}

#[test]
fn pictures_of_every_coding_are_read() {
    let gray = samples(&[0], &[255]);
    let numbered = samples(&[1], &[0]);
    let inverted: Vec<u8> = bits().into_iter().map(|byte| !byte).collect();
    let pages = [
        ("JPEG", jpeg()),
        ("JPEG, deflated", picture("/Filter [/FlateDecode /DCTDecode]", &deflated(JPEG))),
        ("fax", picture("/Filter /CCITTFaxDecode /DecodeParms << /K -1 /Columns 520 >>", FAX)),
        (
            "fax, twice the other way round",
            picture(
                "/Decode [1 0] /ColorSpace /DeviceGray /Filter /CCITTFaxDecode \
                 /DecodeParms << /K -1 /Columns 520 /BlackIs1 true >>",
                FAX,
            ),
        ),
        ("stencil", picture("/ImageMask true /Filter /FlateDecode", &deflated(&inverted))),
        ("bits", picture("/ColorSpace /DeviceGray /BitsPerComponent 1 /Decode [1 0]", &bits())),
        (
            "gray",
            picture("/ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /FlateDecode", &deflated(&gray)),
        ),
        (
            "colour",
            picture(
                "/ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /FlateDecode",
                &deflated(&samples(&[0, 0, 90], &[255, 250, 240])),
            ),
        ),
        (
            "print",
            picture(
                "/ColorSpace /DeviceCMYK /BitsPerComponent 8 /Filter /FlateDecode",
                &deflated(&samples(&[0, 0, 0, 255], &[0, 0, 0, 0])),
            ),
        ),
        (
            "ink",
            picture(
                "/ColorSpace [/Separation /Black /DeviceCMYK 9 0 R] /BitsPerComponent 8",
                &samples(&[255], &[0]),
            ),
        ),
        (
            "palette",
            picture("/ColorSpace [/Indexed /DeviceRGB 1 <FFFFE0201000>] /BitsPerComponent 8", &numbered),
        ),
    ];
    for (name, page) in pages {
        let document = read(&[page], tesseract());
        assert_eq!((line(&document).as_str(), document.warnings), (WORDS, Vec::new()), "{name}");
    }
}

/// What the TIFF file that the program got says of its pixels: 0 when zero is white, 1 when it is black.
fn told_of_zero(page: Page) -> u16 {
    let (folder, program) = script("cat > seen");
    read(&[page], ocr(&program));
    let file = fs::read(folder.path().join("seen")).unwrap();
    let entry = file[10..].chunks(12).find(|entry| entry.starts_with(&262_u16.to_le_bytes())).unwrap();
    u16::from_le_bytes([entry[8], entry[9]])
}

#[test]
fn dark_is_told_from_light() {
    // The program tries what is light on dark too, so that it reads well proves nothing.
    let fax = |entries: &str, parameters: &str| {
        picture(&format!("{entries} /Filter /CCITTFaxDecode /DecodeParms << /K -1 {parameters} >>"), FAX)
    };
    assert_eq!(told_of_zero(fax("", "")), 0);
    assert_eq!(told_of_zero(fax("/Decode [1 0]", "")), 1);
    assert_eq!(told_of_zero(fax("", "/BlackIs1 true")), 1);
    assert_eq!(told_of_zero(fax("/Decode [1 0]", "/BlackIs1 true")), 0);
    assert_eq!(told_of_zero(fax("/ColorSpace [/Indexed /DeviceRGB 1 <000000FFFFFF>]", "")), 0);
    assert_eq!(told_of_zero(fax("/ColorSpace [/Indexed /DeviceRGB 1 <FFFFFF000000>]", "")), 1);
    let bits = |entries: &str| picture(&format!("{entries} /BitsPerComponent 1"), &bits());
    assert_eq!(told_of_zero(bits("/ColorSpace /DeviceGray")), 1);
    assert_eq!(told_of_zero(bits("/ColorSpace /DeviceGray /Decode [1 0]")), 0);
    assert_eq!(told_of_zero(bits("/ColorSpace [/Separation /Black /DeviceGray 9 0 R]")), 0);
    assert_eq!(told_of_zero(bits("/ImageMask true")), 1);
}

#[test]
fn text_on_the_page_makes_ocr_needless() {
    let (_folder, program) = script("echo read");
    let mut page = jpeg();
    page.content += " BT /F 12 Tf 50 700 Td (A caption.) Tj ET";
    assert_eq!(line(&read(&[page], ocr(&program))), "A caption.");
}

#[test]
fn the_program_is_told_size_language_and_whether_the_page_is_turned() {
    let (_folder, program) = script("cat > /dev/null; echo \"$*\"");
    let mut config = ocr(&program);
    config.ocr.languages = "deu+eng".to_owned();
    let turned = Page { entries: "/Rotate 90", ..jpeg() };
    let document = read(&[jpeg(), turned], config);
    let told = |psm: &str| format!("stdin stdout -l deu+eng --dpi 200 --psm {psm} -c page_separator=");
    assert_eq!(line(&document), format!("{} {}", told("3"), told("1")));
}

#[test]
fn with_ocr_off_a_warning_says_what_would_do() {
    let document =
        read(&[words("before"), jpeg(), jpeg(), words("after"), jpeg()], PipelineConfig::default());
    let warning = "pages 2 to 3, 5 have no text, and their pictures were not read: OCR is off; set ocr.mode = \
                   \"auto\" and install tesseract to have such pages read";
    assert_eq!(document.warnings, [warning]);
}

#[test]
fn without_the_program_a_warning_names_it() {
    let document = read(&[jpeg(), words("after")], ocr(Path::new("/nowhere/tesseract")));
    assert_eq!(line(&document), "after");
    let warning = "page 1 has no text, and its picture was not read: the program `/nowhere/tesseract` was not \
                   found; install tesseract, or name its path in ocr.program";
    assert_eq!(document.warnings, [warning]);
}

#[test]
fn a_program_that_hangs_is_killed_with_its_children() {
    let folder = tempdir().unwrap();
    let noted = folder.path().join("children");
    let hang = format!("sleep 600 & echo $! > {noted}; echo $$ >> {noted}; wait", noted = noted.display());
    // Long enough for a shell to start on a busy machine.
    let time = Duration::from_secs(2);
    let warning = warning_between(&hang, |config| config.ocr.page_time = time);
    assert!(warning.starts_with("page 2 ") && warning.contains("took longer than 2s"), "{warning}");
    // The kernel may still be at it.
    let lives = |process: &str| {
        // The state follows the name, which is in parentheses; Z is a process that is dead and not yet waited for.
        let status = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let state = status.rsplit(')').next().unwrap_or_default().trim_start().to_owned();
        !(state.is_empty() || state.starts_with('Z'))
    };
    for process in fs::read_to_string(noted).unwrap().split_whitespace() {
        let dies = (0..100).any(|_| {
            #[allow(clippy::disallowed_methods)] // Another process is waited for, in real time.
            std::thread::sleep(Duration::from_millis(50));
            !lives(process)
        });
        assert!(dies, "process {process} lives");
    }
}

#[test]
fn a_program_that_never_stops_writing_is_killed() {
    let warning = warning_between("exec yes", |_| {});
    assert!(warning.contains("wrote more than 1048576 bytes of text"), "{warning}");
    // Complaints are read and forgotten, so that they do not block the program.
    let complaining =
        "i=0; while [ $i -lt 5000 ]; do echo 'no end of complaints in sight' >&2; i=$((i+1)); done; exit 1";
    let warning = warning_between(complaining, |_| {});
    assert!(warning.ends_with("it said: no end of complaints in sight"), "{warning}");
}

#[test]
fn a_program_that_fails_says_why() {
    let warning = warning_between("cat > /dev/null; echo; echo 'no such language' >&2; exit 3", |_| {});
    assert!(warning.ends_with("ended with exit status: 3; it said: no such language"), "{warning}");
    let warning = warning_between("kill -9 $$", |_| {});
    assert!(warning.contains("signal: 9"), "{warning}");
}

#[test]
fn the_real_program_says_when_a_language_is_missing() {
    let mut config = tesseract();
    config.ocr.languages = "xyz".to_owned();
    let document = read(&[jpeg()], config);
    assert!(document.warnings[0].contains("xyz.traineddata"), "{:?}", document.warnings);
}

#[test]
fn what_is_no_picture_never_reaches_the_program() {
    // tesseract takes it for a list of files to read.
    let (folder, program) = script("cat > seen");
    let list = picture("/Filter /DCTDecode", b"/etc/picture.png\n");
    let document = read(&[list], ocr(&program));
    assert!(document.warnings[0].contains("the picture is damaged"), "{:?}", document.warnings);
    assert!(!folder.path().join("seen").exists());
}

#[test]
fn a_picture_that_claims_to_be_huge_is_not_decoded() {
    let (folder, program) = script("cat > seen");
    let huge = |entries: &str| {
        let mut page = jpeg();
        page.picture = Some((entries.to_owned(), deflated(&vec![0; 1 << 20])));
        page
    };
    let claims =
        huge("/Width 60000 /Height 60000 /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /FlateDecode");
    // It is of the size of a few pixels by its own account.
    let bomb =
        huge("/Width 100 /Height 100 /ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /FlateDecode");
    let document = read(&[claims, bomb, words("after")], ocr(&program));
    assert_eq!(line(&document), "after");
    assert_eq!(document.warnings.len(), 2, "{:?}", document.warnings);
    assert!(document.warnings[0].contains("60000 x 60000"), "{:?}", document.warnings);
    assert!(document.warnings[1].contains("100 x 100"), "{:?}", document.warnings);
    assert!(!folder.path().join("seen").exists());
}

#[test]
fn pages_beyond_the_most_and_beyond_the_time_are_named() {
    let (_folder, program) = script("cat > /dev/null; echo read");
    let mut config = ocr(&program);
    config.ocr.max_pages = 2;
    let document = read(&[jpeg(), jpeg(), jpeg(), jpeg()], config);
    assert_eq!(line(&document), "read read");
    assert!(document.warnings[0].starts_with("pages 3 to 4 "), "{:?}", document.warnings);
    assert!(document.warnings[0].contains("ocr.max_pages"), "{:?}", document.warnings);

    // The first page may take all the time there is, and the document is done in time nevertheless.
    let (_folder, program) = script("sleep 600");
    let mut config = ocr(&program);
    config.limits.time = Duration::from_secs(2);
    let document = read(&[jpeg(), jpeg(), words("after")], config);
    assert_eq!(line(&document), "after");
    assert!(document.warnings[1].contains("limits.time"), "{:?}", document.warnings);
}

#[test]
fn the_program_has_a_limit_of_memory_of_its_own() {
    let (_folder, program) = script("cat > /dev/null; ulimit -v");
    let mut config = ocr(&program);
    config.ocr.memory = ByteSize::mib(300);
    if cfg!(target_os = "linux") {
        assert_eq!(line(&read(&[jpeg()], config)), (300 << 10).to_string());
    }
}

#[test]
fn the_configuration_decides_the_digest_and_is_checked() {
    let off = PipelineConfig::default();
    let mut on = off.clone();
    on.ocr.mode = OcrMode::Auto;
    assert_ne!(off.digest(), on.digest());

    let mut wrong = OcrConfig::default();
    wrong.program = String::new();
    wrong.languages = "eng+-l".to_owned();
    wrong.max_pages = 0;
    wrong.page_time = Duration::ZERO;
    wrong.memory = ByteSize::mib(1);
    let mut config = PipelineConfig::default();
    config.ocr = wrong;
    let violations = config.validate().unwrap_err().to_string();
    for field in ["program", "languages", "max_pages", "page_time", "memory"] {
        assert!(violations.contains(&format!("ocr.{field}")), "{field}: {violations}");
    }
}
