//! Markup and scripts that a browser would run.

use super::Best;
use super::text::{Cursor, contains, find, is_one_of, is_space, starts_with};

/// What scripts of attacks call first.
const CALLS: &[&str] = &[
    "alert",
    "prompt",
    "confirm",
    "eval",
    "fetch",
    "document.",
    "window.",
    "location",
    "import(",
    "settimeout",
    "setinterval",
    "function(",
    "string.fromcharcode",
    "atob(",
    "self[",
    "top[",
    "this[",
    "parent[",
    "frames[",
    "globalthis",
    "write(",
    "constructor",
    "xmlhttprequest",
    "navigator",
    "open(",
    "new image",
    "print(",
    "console.",
    "onerror",
    "throw",
    "[]",
];

const EVENTS: &[&str] = &[
    "abort",
    "activate",
    "afterprint",
    "animationend",
    "animationiteration",
    "animationstart",
    "auxclick",
    "beforecopy",
    "beforecut",
    "beforeinput",
    "beforepaste",
    "beforeprint",
    "beforetoggle",
    "beforeunload",
    "begin",
    "blur",
    "bounce",
    "cancel",
    "canplay",
    "canplaythrough",
    "change",
    "click",
    "close",
    "contextmenu",
    "copy",
    "cuechange",
    "cut",
    "dblclick",
    "drag",
    "dragend",
    "dragenter",
    "dragleave",
    "dragover",
    "dragstart",
    "drop",
    "durationchange",
    "end",
    "ended",
    "error",
    "finish",
    "focus",
    "focusin",
    "focusout",
    "formdata",
    "fullscreenchange",
    "hashchange",
    "input",
    "invalid",
    "keydown",
    "keypress",
    "keyup",
    "load",
    "loadeddata",
    "loadedmetadata",
    "loadstart",
    "message",
    "mousedown",
    "mouseenter",
    "mouseleave",
    "mousemove",
    "mouseout",
    "mouseover",
    "mouseup",
    "mousewheel",
    "offline",
    "online",
    "pagehide",
    "pageshow",
    "paste",
    "pause",
    "play",
    "playing",
    "pointercancel",
    "pointerdown",
    "pointerenter",
    "pointerleave",
    "pointermove",
    "pointerout",
    "pointerover",
    "pointerrawupdate",
    "pointerup",
    "popstate",
    "progress",
    "propertychange",
    "ratechange",
    "readystatechange",
    "repeat",
    "reset",
    "resize",
    "scroll",
    "scrollend",
    "search",
    "seeked",
    "seeking",
    "select",
    "selectionchange",
    "selectstart",
    "show",
    "start",
    "storage",
    "submit",
    "suspend",
    "timeupdate",
    "toggle",
    "touchcancel",
    "touchend",
    "touchmove",
    "touchstart",
    "transitioncancel",
    "transitionend",
    "transitionrun",
    "transitionstart",
    "unload",
    "volumechange",
    "waiting",
    "webkitanimationend",
    "webkitanimationstart",
    "webkittransitionend",
    "wheel",
];

pub(super) fn read(text: &[u8], best: &mut Best) {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'<')) {
        at += found + 1;
        tag(text, at - 1, best);
    }
    address(text, best);
    out_of_attribute(text, best);
    out_of_string(text, best);
}

/// Reads one tag that begins at `start`, and of a script what follows.
fn tag(text: &[u8], start: usize, best: &mut Best) {
    let mut cursor = Cursor::new(text, start + 1);
    let closing = cursor.eat("/");
    // `<svg:script>`, `<x:y>`: what stands before the colon is a name, too.
    let name = cursor.take(|byte| byte.is_ascii_alphanumeric() || byte == b':' || byte == b'-');
    if name.is_empty() || closing {
        return;
    }
    let name = name.iter().rposition(|byte| *byte == b':').and_then(|at| name.get(at + 1..)).unwrap_or(name);
    let after_name = cursor.at;
    let mut handler = false;
    let mut loads = false;
    // A tag has few attributes before something tells.
    for _ in 0..32 {
        cursor.take(|byte| {
            is_space(byte) || matches!(byte, b'/' | b'"' | b'\'' | b'`' | b',' | b';') || byte < b' '
        });
        let Some(first) = cursor.peek() else { break };
        if first == b'>' {
            cursor.at += 1;
            break;
        }
        if first == b'<' {
            break;
        }
        let attribute =
            cursor.take(|byte| !is_space(byte) && !matches!(byte, b'=' | b'>' | b'/' | b'"' | b'\''));
        cursor.skip_space();
        if cursor.peek() != Some(b'=') {
            if attribute.is_empty() {
                cursor.at += 1;
            }
            continue;
        }
        cursor.at += 1;
        cursor.skip_space();
        let value = value(&mut cursor);
        let end = cursor.at;
        if is_handler(attribute) && !value.is_empty() {
            // `onClick={save}` is how a language with markup in it writes.
            let template = matches!(value.first(), Some(b'{')) || starts_with(value, "{{");
            handler |= !template;
            best.note(if template { 30 } else { 88 }, start..end, "a handler in a tag");
        }
        let address = is_one_of(
            attribute,
            &[
                "href",
                "src",
                "action",
                "formaction",
                "data",
                "xlink:href",
                "background",
                "poster",
                "to",
                "from",
                "values",
                "lowsrc",
                "dynsrc",
                "content",
                "url",
                "srcdoc",
                "code",
                "codebase",
                "folder",
                "value",
                "by",
            ],
        );
        if address {
            loads = true;
            if let Some(score) = script_address(value) {
                best.note(score, start..end, "a script as an address");
            }
        }
        if is_one_of(attribute, &["srcdoc"]) {
            best.note(72, start..end, "a document in an attribute");
        }
        if is_one_of(attribute, &["style"])
            && ["expression(", "javascript:", "-moz-binding", "behavior:", "vbscript:", "@import"]
                .iter()
                .any(|bad| contains(value, bad))
        {
            best.note(78, start..end, "a script in a style");
        }
    }
    let body = text.get(cursor.at..).unwrap_or_default();
    let ends = text.get(after_name).is_none_or(|byte| {
        is_space(*byte) || matches!(byte, b'>' | b'/' | b'<' | b'"' | b'\'') || *byte < b' '
    });
    let span = start..cursor.at.max(after_name);
    let score = match name.len() {
        3 if is_one_of(name, &["svg"]) => {
            (handler || contains(body.get(..300).unwrap_or(body), "<script")).then_some(70)
        }
        4 if is_one_of(name, &["base"]) => loads.then_some(64),
        4 if is_one_of(name, &["link"]) => {
            (loads && contains(text.get(span.clone()).unwrap_or_default(), "import")).then_some(64)
        }
        4 if is_one_of(name, &["meta"]) => {
            let tag = text.get(span.clone()).unwrap_or_default();
            (contains(tag, "refresh") && contains(tag, "url")).then_some(64)
        }
        5 if is_one_of(name, &["embed"]) => loads.then_some(64),
        5 if is_one_of(name, &["style"]) => ["@import", "expression(", "javascript:", "-moz-binding"]
            .iter()
            .any(|bad| contains(body.get(..400).unwrap_or(body), bad))
            .then_some(66),
        6 if is_one_of(name, &["script"]) && ends => {
            let code = body.get(..find(body, "</").unwrap_or(body.len()).min(400)).unwrap_or(body);
            let calls = CALLS.iter().any(|call| contains(code, call));
            let long = code.iter().filter(|byte| !is_space(**byte)).count() > 3;
            Some(if loads {
                84
            } else if calls {
                90
            } else if long {
                66
            } else {
                52
            })
        }
        6 if is_one_of(name, &["iframe", "object", "applet"]) => loads.then_some(66),
        8 if is_one_of(name, &["frameset"]) => Some(40),
        _ => None,
    };
    if let Some(score) = score {
        best.note(score, span, "an element that runs or loads");
    }
}

fn value<'t>(cursor: &mut Cursor<'t>) -> &'t [u8] {
    match cursor.peek() {
        Some(quote @ (b'"' | b'\'' | b'`')) => {
            cursor.at += 1;
            let value = cursor.take(|byte| byte != quote);
            cursor.at += usize::from(cursor.peek().is_some());
            value
        }
        _ => cursor.take(|byte| !is_space(byte) && byte != b'>'),
    }
}

fn is_handler(attribute: &[u8]) -> bool {
    let name = attribute
        .iter()
        .rposition(|byte| *byte == b':')
        .and_then(|at| attribute.get(at + 1..))
        .unwrap_or(attribute);
    starts_with(name, "on") && name.get(2..).is_some_and(|event| is_one_of(event, EVENTS))
}

/// The score of an address that runs something.
fn script_address(value: &[u8]) -> Option<u8> {
    let mut scheme = [0_u8; 24];
    let mut length = 0;
    let mut rest: &[u8] = &[];
    for (at, byte) in value.iter().enumerate() {
        if *byte <= b' ' || *byte == b'"' || *byte == b'\'' {
            continue; // Browsers leave them out.
        }
        let slot = scheme.get_mut(length)?;
        *slot = byte.to_ascii_lowercase();
        length += 1;
        if *byte == b':' {
            rest = value.get(at + 1..).unwrap_or_default();
            break;
        }
    }
    match scheme.get(..length)? {
        b"javascript:" => Some(if nothing(rest) { 20 } else { 88 }),
        b"vbscript:" | b"livescript:" | b"mocha:" | b"jscript:" => Some(84),
        b"data:" => {
            let html = [
                "text/html",
                "image/svg",
                "text/xml",
                "application/xhtml",
                "text/javascript",
                "application/javascript",
            ];
            html.iter().any(|kind| starts_with(rest, kind)).then_some(78)
        }
        _ => None,
    }
}

/// `void(0)` and its like, which pages have in links that scripts take over.
fn nothing(code: &[u8]) -> bool {
    let mut code = Cursor::new(code, 0);
    code.skip_space();
    let void = code.eat("void(0)") || code.eat("void 0") || code.eat("return false") || code.eat("false");
    code.take(|byte| matches!(byte, b';' | b' '));
    (void || code.at == 0) && code.rest().is_empty()
}

/// A text that is an address by itself.
fn address(text: &[u8], best: &mut Best) {
    let mut cursor = Cursor::new(text, 0);
    cursor.take(|byte| byte <= b' ' || matches!(byte, b'"' | b'\''));
    let start = cursor.at;
    let Some(score) = script_address(cursor.rest().get(..64).unwrap_or(cursor.rest())) else { return };
    let colon = cursor.rest().iter().position(|byte| *byte == b':').unwrap_or_default();
    let code = cursor.rest().get(colon + 1..).unwrap_or_default();
    // Prose has a space behind the colon, and scripts call something.
    let runs = code.first().is_some_and(|byte| !is_space(*byte))
        && code.iter().any(|byte| matches!(byte, b'(' | b'`' | b'=' | b'<' | b','));
    best.note(if runs { score.min(80) } else { 25 }, start..text.len(), "a script as an address");
}

/// `" onfocus=alert(1) x="`: a quote, and behind it a handler.
fn out_of_attribute(text: &[u8], best: &mut Best) {
    let Some(quote) = text.iter().position(|byte| matches!(byte, b'"' | b'\'' | b'`')) else { return };
    let mut at = quote;
    while let Some(found) = text.get(at..).and_then(|rest| find(rest, "on")) {
        let start = at + found;
        at = start + 2;
        let before = start.checked_sub(1).and_then(|before| text.get(before)).copied().unwrap_or(b' ');
        if !(is_space(before) || matches!(before, b'/' | b'"' | b'\'' | b'`') || before < b' ') {
            continue;
        }
        let mut cursor = Cursor::new(text, start);
        let name = cursor.take(|byte| byte.is_ascii_alphabetic());
        if !is_handler(name) {
            continue;
        }
        cursor.skip_space();
        if cursor.peek() != Some(b'=') || cursor.peek_at(1) == Some(b'=') {
            continue;
        }
        cursor.at += 1;
        cursor.skip_space();
        let value = value(&mut cursor);
        let calls = CALLS.iter().any(|call| starts_with(value, call)) || starts_with(value, "javascript:");
        // Between the quote and the handler stand at most other attributes.
        let between = text.get(quote + 1..start).unwrap_or_default();
        let near = between.len() < 80 && !between.contains(&b'\n');
        if near && calls {
            best.note(78, quote..cursor.at, "a handler after a quote");
        } else if calls && value.contains(&b'(') {
            best.note(60, start..cursor.at, "a handler");
        }
    }
}

/// `';alert(1)//`, `"-alert(1)-"`, `${alert(1)}`: a call after the end of a script's string.
fn out_of_string(text: &[u8], best: &mut Best) {
    for (at, byte) in text.iter().enumerate().take(256) {
        let opens = match byte {
            b'"' | b'\'' | b'`' => true,
            b'$' => text.get(at + 1) == Some(&b'{'),
            b'{' => text.get(at + 1) == Some(&b'{'),
            _ => false,
        };
        if !opens {
            continue;
        }
        let mut cursor = Cursor::new(text, at + 1);
        let between = cursor.take(|byte| {
            is_space(byte)
                || matches!(
                    byte,
                    b';' | b')'
                        | b'}'
                        | b'-'
                        | b'+'
                        | b'*'
                        | b'/'
                        | b'{'
                        | b'|'
                        | b'&'
                        | b','
                        | b'^'
                        | b'%'
                        | b'('
                        | b'"'
                        | b'\''
                        | b'\\'
                        | b'!'
                )
        });
        let breaks = *byte == b'$'
            || between.iter().any(|byte| {
                matches!(byte, b';' | b'-' | b'+' | b'*' | b'/' | b'|' | b'&' | b'^' | b'{' | b'%')
            });
        if !breaks {
            continue;
        }
        let rest = cursor.rest();
        let shows = ["alert", "prompt", "confirm"].iter().any(|call| {
            let mut after = cursor;
            after.eat(call) && {
                after.take(|byte| is_space(byte) || matches!(byte, b')' | b'?' | b'.'));
                matches!(after.peek(), Some(b'(' | b'`' | b'['))
                    || after.eat("call")
                    || after.eat("apply")
                    || text.get(after.at.saturating_sub(1)) == Some(&b')')
            }
        });
        let reaches = [
            "document.cookie",
            "document.location",
            "document.write",
            "document.domain",
            "eval(",
            "location=",
            "window.location=",
            "string.fromcharcode",
            "fetch('",
            "fetch(\"",
            "fetch(`",
            "fetch(/",
            "import('",
            "constructor.constructor",
        ]
        .iter()
        .any(|call| starts_with(rest, call));
        if shows || reaches {
            let score = if shows { 74 } else { 62 };
            best.note(score, at..text.len().min(cursor.at + 24), "a call after a string");
            return;
        }
    }
}
