use buttress_docpipeline::{Error, Format};

use crate::compound::compound;
use crate::{halves, process, read, utf16, words};

fn atom(kind: u16, data: &[u8]) -> Vec<u8> {
    instance(0, kind, data)
}

fn instance(instance: u16, kind: u16, data: &[u8]) -> Vec<u8> {
    let head = [halves(&[instance << 4, kind]), words(&[u32::try_from(data.len()).unwrap()])].concat();
    [head, data.to_vec()].concat()
}

fn container(kind: u16, of: &[Vec<u8>]) -> Vec<u8> {
    instance(0, kind, &of.concat())
}

/// A text of a kind: 0 is a title, 1 a body, 2 notes, 4 any other.
fn text(kind: u32, text: &str) -> Vec<Vec<u8>> {
    vec![atom(0x0f9f, &words(&[kind])), atom(0x0fa0, &utf16(text))]
}

fn shape(of: &[Vec<u8>]) -> Vec<u8> {
    container(0xf004, of)
}

fn text_box(of: &[Vec<u8>]) -> Vec<u8> {
    shape(&[container(0xf00d, of)])
}

fn drawing(shapes: &[Vec<u8>]) -> Vec<u8> {
    container(0x040c, &[container(0xf002, &[container(0xf003, shapes)])])
}

fn slide(notes: u32, rest: &[Vec<u8>]) -> Vec<u8> {
    container(0x03ee, &[vec![atom(0x03ef, &words(&[0, 0, 0, 0, notes, 0]))], rest.to_vec()].concat())
}

fn listed(part: u32, id: u32) -> Vec<u8> {
    atom(0x03f3, &words(&[part, 0, 0, id, 0]))
}

/// A presentation of a document and further parts, which have the numbers 1, 2, …
fn presentation(parts: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
    let (mut stream, mut places) = (Vec::new(), Vec::new());
    for part in parts {
        places.push(u32::try_from(stream.len()).unwrap());
        stream.extend(part);
    }
    let directory = u32::try_from(stream.len()).unwrap();
    let count = u32::try_from(parts.len()).unwrap();
    stream.extend(atom(0x1772, &words(&[&[count << 20 | 1], &places[..]].concat())));
    let edit = u32::try_from(stream.len()).unwrap();
    stream.extend(atom(0x0ff5, &words(&[0, 0, 0, directory, 1, 9, 0])));
    (stream, atom(0x0ff6, &words(&[20, 0xe391_c05f, edit, 0])))
}

fn ppt(parts: &[Vec<u8>]) -> Vec<u8> {
    let (stream, user) = presentation(parts);
    compound(&[("PowerPoint Document", &stream), ("Current User", &user)])
}

#[test]
fn slides_come_in_order_with_their_notes() {
    let style = [words(&[4]), halves(&[0]), words(&[0]), words(&[6]), halves(&[1]), words(&[0])].concat();
    let outline = [text(0, "Tides"), text(1, "sea\rmoon"), vec![atom(0x0fa1, &style)]].concat();
    let reference = |index: u32| text_box(&[atom(0x0f9e, &words(&[index]))]);
    let list = [vec![listed(3, 256)], outline, vec![listed(2, 257)]].concat();
    let document = container(
        0x03e8,
        &[
            instance(1, 0x0ff0, &[vec![listed(9, 1)], text(0, "Click to edit the title")].concat().concat()),
            instance(0, 0x0ff0, &list.concat()),
            instance(2, 0x0ff0, &listed(4, 300)),
        ],
    );
    let number =
        [container(0xf011, &[atom(0x0bc3, &[0, 0, 0, 0, 8, 0, 0, 0])]), container(0xf00d, &text(4, "*"))];
    let second = slide(0, &[drawing(&[text_box(&text(4, "line\u{b}break")), shape(&number)])]);
    let first = slide(300, &[drawing(&[reference(1), reference(0)])]);
    let notes = container(0x03f0, &[drawing(&[text_box(&text(2, "Say hello."))])]);
    let document = read("a.ppt", ppt(&[document, second, first, notes]));
    assert_eq!(document.format, Format::Ppt);
    assert_eq!(document.text, "## Tides\n\n- sea\n  - moon\n\nNotes:\n\nSay hello.\n\nline\nbreak");
    assert_eq!(document.pages.len(), 2);
    assert_eq!(document.slice(document.pages[1]), "line\nbreak");
}

#[test]
fn cells_of_a_table_are_told_by_their_places() {
    let cell = |left: u32, top: u32, words_of: &str| {
        let place = atom(0xf00f, &words(&[left, top, left + 10, top + 10]));
        shape(&[place, container(0xf00d, &text(4, words_of))])
    };
    let head = shape(&[atom(0xf122, &[&halves(&[0x039f])[..], &words(&[1])].concat())]);
    // Out of order, with one cell that is not there.
    let cells = [head, cell(10, 0, "High"), cell(0, 0, "Day"), cell(0, 10, "1|2")];
    let list = instance(0, 0x0ff0, &listed(2, 256));
    let parts = [container(0x03e8, &[list]), slide(0, &[drawing(&[container(0xf003, &cells)])])];
    assert_eq!(read("a.ppt", ppt(&parts)).text, "| Day | High |\n| --- | --- |\n| 1\\|2 | |");
}

#[test]
fn comments_stand_behind_the_slide() {
    let comment =
        container(0x2ee0, &[instance(0, 0x0fba, &utf16("Ada")), instance(1, 0x0fba, &utf16("Why?"))]);
    let tags = container(0x1388, &[container(0x138a, &[container(0x138b, &[comment])])]);
    let list = instance(0, 0x0ff0, &listed(2, 256));
    let body = drawing(&[text_box(&[atom(0x0f9f, &words(&[6])), atom(0x0fa8, b"Caf\xe9")])]);
    let parts = [container(0x03e8, &[list]), slide(0, &[body, tags])];
    assert_eq!(read("a.ppt", ppt(&parts)).text, "# Café\n\nComment: Why?");
}

#[test]
fn the_outline_stands_in_for_a_lost_slide() {
    let list = [vec![listed(7, 256)], text(0, "Lost"), text(1, "but not all")].concat();
    let document = container(0x03e8, &[instance(0, 0x0ff0, &list.concat())]);
    let document = read("a.ppt", ppt(&[document]));
    assert_eq!(document.text, "Lost\n\n- but not all");
    assert_eq!(document.warnings.len(), 1);
}

#[test]
fn the_newest_edition_holds_and_is_found_without_help() {
    let list = instance(0, 0x0ff0, &listed(2, 256));
    let old = slide(0, &[drawing(&[text_box(&text(4, "old"))])]);
    let (mut stream, _) = presentation(&[container(0x03e8, &[list]), old]);
    let before = u32::try_from(stream.len() - 36).unwrap();
    let place = u32::try_from(stream.len()).unwrap();
    stream.extend(slide(0, &[drawing(&[text_box(&text(4, "new"))])]));
    let directory = u32::try_from(stream.len()).unwrap();
    stream.extend(atom(0x1772, &words(&[1 << 20 | 2, place])));
    stream.extend(atom(0x0ff5, &words(&[0, 0, before, directory, 1, 9, 0])));
    assert_eq!(read("a.ppt", compound(&[("PowerPoint Document", &stream)])).text, "new");
}

#[test]
fn an_encrypted_presentation_says_so() {
    let (stream, mut user) = presentation(&[container(0x03e8, &[])]);
    user[12..16].copy_from_slice(&0xf3d1_c4df_u32.to_le_bytes());
    let bytes = compound(&[("PowerPoint Document", &stream), ("Current User", &user)]);
    assert_eq!(process("a.ppt", bytes), Err(Error::Encrypted { format: Format::Ppt }));
}

#[test]
fn shapes_that_share_a_text_pay_for_it_each_time() {
    let outline = text(4, &"x".repeat(1 << 20));
    let list = [vec![listed(2, 256)], outline].concat();
    let reference = text_box(&[atom(0x0f9e, &words(&[0]))]);
    let parts = [
        container(0x03e8, &[instance(0, 0x0ff0, &list.concat())]),
        slide(0, &[drawing(&vec![reference; 1000])]),
    ];
    assert!(matches!(process("a.ppt", ppt(&parts)), Err(Error::OverLimit { .. })));
}
