use crate::read;

fn text(body: &str) -> String {
    read("a.rtf", format!("{{\\rtf1\\ansi {body}}}")).text
}

#[test]
fn formulas_are_read_and_their_properties_are_not() {
    let root = r"{\mrad{\mradPr{\mdegHide 1}{\mctrlPr\f34 }}{\mdeg}{\me{\mr\mscr0\msty2 x+1}}}";
    let bracket = r"{\md{\mdPr{\mbegChr \u8741 ?}{\mendChr \u8741 ?}}{\me{\mr y}}}";
    let formula = format!(r"{{\mmath{{\*\moMath {root}{bracket}}}{{\mmathPict{{\pict 4242}}}}}}");
    assert_eq!(
        text(&format!(r"Before {{\mmathPara{{\*\moMathPara {formula}}}}} after")),
        "Before x+1y after"
    );
    assert_eq!(text(&format!(r"Body {{\header {formula}}}")), "Body", "where it stands is not read");
}

#[test]
fn a_cell_that_nothing_ends_is_kept() {
    assert!(text(r"\trowd\pard\intbl first\cell second\cell\row\pard\intbl left over").contains("left over"));
}

#[test]
fn the_text_that_stands_for_an_object_is_read() {
    let object = r"{\object\objemb{\*\objdata 0105}{\result {\pard the sum is 7\par}}}";
    assert_eq!(text(&format!(r"Before\par {object}after")), "Before\n\nthe sum is 7\n\nafter");
}
