//! What one name in a path may be, on every file system that the file may come to.

use unicode_normalization::is_nfc;

use crate::chars;
use crate::error::{Code, Invalid};

/// The longest name of Linux, in bytes.
pub(crate) const LONGEST: usize = 255;

/// Names of devices in Windows, in any case and with any extension.
const DEVICES: [&str; 7] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"];

/// Checks what holds for every part of a path. `start` is where it begins in the whole.
pub(crate) fn check(name: &str, start: usize, what: &'static str) -> Result<(), Invalid> {
    let fail = |code, problem: &'static str, remedy: &'static str| {
        Err(Invalid::new(what, code, problem, remedy).at_byte(start))
    };
    if name.is_empty() {
        return fail(Code::Empty, "has an empty name", "name a file");
    }
    if name.len() > LONGEST {
        return fail(Code::TooLong, "has a name of more than 255 bytes", "choose a shorter one");
    }
    // `...` and `..;` are the parent to some readers too.
    if name == "." || name.starts_with("..") {
        return fail(Code::Traversal, "leads out of its folder", "name a file in it, without `..`");
    }
    for (at, c) in name.char_indices() {
        if let Some(code) = fault(c) {
            let (problem, remedy) = chars::told(code);
            return Err(Invalid::new(what, code, problem, remedy).at_byte(start + at));
        }
    }
    if name.ends_with(['.', ' ']) || name.starts_with(' ') {
        let problem = "has a name with a blank at an end or a dot at its end, which Windows drops";
        return fail(Code::Character, problem, "leave it out");
    }
    if !is_nfc(name) {
        return fail(Code::Encoding, "has a name that is not in Unicode's normal form C", "normalise it");
    }
    if is_device(name) {
        return fail(Code::Reserved, "has a name that is a device in Windows", "choose another");
    }
    Ok(())
}

/// What is wrong with a character in a name.
pub(crate) fn fault(c: char) -> Option<Code> {
    match c {
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => Some(Code::Character),
        c if chars::is_like_slash(c) => Some(Code::Confusable),
        c => chars::fault(c),
    }
}

/// Whether Windows opens a device by this name.
pub(crate) fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    if DEVICES.iter().any(|device| device.eq_ignore_ascii_case(stem)) {
        return true;
    }
    let (Some(port), Some(number)) = (stem.get(..3), stem.get(3..)) else { return false };
    let is_port = port.eq_ignore_ascii_case("COM") || port.eq_ignore_ascii_case("LPT");
    is_port && matches!(number, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
}
