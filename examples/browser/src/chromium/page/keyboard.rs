//! Keys.

use serde_json::{Value, json};

use super::frame::Frame;
use crate::chromium::error::{Error, Result};

/// Names, codes of the key that the DOM calls `code`, Windows' key codes, and the text a key writes.
const KEYS: [(&str, u32, &str); 15] = [
    ("Enter", 13, "\r"),
    ("Tab", 9, ""),
    ("Escape", 27, ""),
    ("Backspace", 8, ""),
    ("Delete", 46, ""),
    ("Space", 32, " "),
    ("ArrowLeft", 37, ""),
    ("ArrowUp", 38, ""),
    ("ArrowRight", 39, ""),
    ("ArrowDown", 40, ""),
    ("Home", 36, ""),
    ("End", 35, ""),
    ("PageUp", 33, ""),
    ("PageDown", 34, ""),
    ("Insert", 45, ""),
];

/// What may be held while a key is pressed, as the protocol counts it.
const MODIFIERS: [(&str, u32); 4] = [("Alt", 1), ("Control", 2), ("Meta", 4), ("Shift", 8)];

/// With one of these held a key is a command and writes nothing: all but Shift.
const COMMAND: u32 = 1 | 2 | 4;

impl Frame {
    /// Presses a key where the focus is: a name (`Enter`, `Tab`, `Escape`, `Backspace`, `Delete`, `Space`, `Home`,
    /// `End`, `PageUp`, `PageDown`, `Insert`, `ArrowLeft` …) or one letter or digit, with `Shift+`, `Control+`,
    /// `Alt+` or `Meta+` before it. If it opens another document, returns when that has loaded.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when there is no such key.
    pub async fn press(&self, key: &str) -> Result<()> {
        let (down, up) = events(key)?;
        let tab = self.tab();
        tab.begin_action();
        let pressed = tokio::try_join!(
            tab.call("Input.dispatchKeyEvent", &down),
            tab.call("Input.dispatchKeyEvent", &up),
        );
        match pressed {
            Ok(_) | Err(Error::PageClosed) => self.settle().await,
            Err(error) => Err(error),
        }
    }
}

/// The events of a key that goes down and up.
fn events(name: &str) -> Result<(Value, Value)> {
    let unknown = || Error::Argument {
        what: "key",
        value: name.chars().take(40).collect(),
        problem: "write a name like `Enter`, `Tab`, `Escape`, `ArrowDown`, or one letter or digit; \
                  `Control+a` holds another key"
            .to_owned(),
    };
    let mut key = name;
    let mut modifiers = 0;
    while let Some((held, rest)) = key.split_once('+') {
        let (_, bit) = MODIFIERS.iter().find(|(modifier, _)| *modifier == held).ok_or_else(unknown)?;
        modifiers |= bit;
        key = rest;
    }
    let (key, code, number, text) = match KEYS.iter().find(|(known, ..)| *known == key) {
        Some(("Space", number, text)) => (" ".to_owned(), "Space".to_owned(), *number, (*text).to_owned()),
        Some((known, number, text)) => {
            ((*known).to_owned(), (*known).to_owned(), *number, (*text).to_owned())
        }
        None => {
            let mut signs = key.chars();
            let (Some(sign), None) = (signs.next(), signs.next()) else { return Err(unknown()) };
            if !sign.is_ascii_alphanumeric() {
                return Err(unknown());
            }
            let upper = sign.to_ascii_uppercase();
            let kind = if sign.is_ascii_digit() { "Digit" } else { "Key" };
            (sign.to_string(), format!("{kind}{upper}"), u32::from(upper), sign.to_string())
        }
    };
    let text = if modifiers & COMMAND == 0 { text } else { String::new() };
    let mut up = json!({
        "type": "keyUp", "key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers,
    });
    let mut down = up.clone();
    if let (Some(down), Some(_)) = (down.as_object_mut(), up.as_object_mut()) {
        let kind = if text.is_empty() { "rawKeyDown" } else { "keyDown" };
        down.insert("type".to_owned(), kind.into());
        if !text.is_empty() {
            down.insert("text".to_owned(), text.into());
        }
    }
    Ok((down, up))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_that_writes_has_its_text() {
        let (down, up) = events("Enter").unwrap();
        assert_eq!(
            (&down["type"], &down["text"], &up["type"]),
            (&json!("keyDown"), &json!("\r"), &json!("keyUp"))
        );
        let (down, _) = events("Control+a").unwrap();
        assert_eq!(
            (&down["type"], &down["modifiers"], &down["code"]),
            (&json!("rawKeyDown"), &json!(2), &json!("KeyA"))
        );
        assert_eq!(down.get("text"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_name_is_a_key_or_is_refused(name in ".{0,20}") {
            let _ = events(&name);
        }
    }
}
