//! Keys of the keyboard: `Enter`, `a`, `Control+A`.

use std::fmt;

use serde::{Serialize, Serializer};

use super::error::quoted;
use super::suggest;

/// A key, with the keys held down meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    modifiers: Vec<Modifier>,
    name: String,
}

/// A key that is held down while another is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "they are what is printed on them")]
pub enum Modifier {
    Control,
    Alt,
    Shift,
    Meta,
}

impl Modifier {
    /// Its name in the browser: `Control`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "Control",
            Self::Alt => "Alt",
            Self::Shift => "Shift",
            Self::Meta => "Meta",
        }
    }
}

const NAMED: [&str; 28] = [
    "Enter",
    "Tab",
    "Escape",
    "Backspace",
    "Delete",
    "Insert",
    "Space",
    "Home",
    "End",
    "PageUp",
    "PageDown",
    "ArrowUp",
    "ArrowDown",
    "ArrowLeft",
    "ArrowRight",
    "CapsLock",
    "F1",
    "F2",
    "F3",
    "F4",
    "F5",
    "F6",
    "F7",
    "F8",
    "F9",
    "F10",
    "F11",
    "F12",
];

/// Other names that keys go by.
const ALIASES: [(&str, &str); 9] = [
    ("return", "Enter"),
    ("esc", "Escape"),
    ("del", "Delete"),
    ("spacebar", "Space"),
    ("up", "ArrowUp"),
    ("down", "ArrowDown"),
    ("left", "ArrowLeft"),
    ("right", "ArrowRight"),
    ("ins", "Insert"),
];

impl Key {
    /// Reads `Enter`, `a` or `Control+A`. Upper and lower case are one in names of keys.
    ///
    /// # Errors
    ///
    /// A text for people that says what is wrong and what would do.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let mut signs = text.chars();
        if let (Some(sign), None) = (signs.next(), signs.next()) {
            return Self::of_sign(sign, text);
        }
        let (held, name) = match text.strip_suffix("++") {
            Some(held) => (Some(held), "+"),
            None => match text.rsplit_once('+') {
                Some((held, name)) => (Some(held), name),
                None => (None, text),
            },
        };
        let mut modifiers = Vec::new();
        for word in held.into_iter().flat_map(|held| held.split('+')) {
            modifiers.push(modifier(word.trim()).ok_or_else(|| {
                format!("{} cannot be held down; `Control`, `Alt`, `Shift` and `Meta` can", quoted(word))
            })?);
        }
        modifiers.sort_unstable();
        modifiers.dedup();
        Ok(Self { modifiers, ..Self::named(name.trim())? })
    }

    /// The Enter key.
    #[must_use]
    pub fn enter() -> Self {
        Self { modifiers: Vec::new(), name: "Enter".to_owned() }
    }

    fn named(name: &str) -> Result<Self, String> {
        let mut signs = name.chars();
        if let (Some(sign), None) = (signs.next(), signs.next()) {
            return Self::of_sign(sign, name);
        }
        let alias = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name)).map(|(_, key)| *key);
        let known = NAMED.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        if let Some(key) = alias.or(known) {
            return Ok(Self { modifiers: Vec::new(), name: key.to_owned() });
        }
        let aliases = ALIASES.iter().map(|(alias, _)| *alias);
        Err(match suggest::nearest(name, NAMED.into_iter().chain(aliases)) {
            Some(near) => format!("{} is not a key; did you mean `{near}`?", quoted(name)),
            None => format!(
                "{} is not a key; write `Enter`, `Tab`, `Escape`, `ArrowDown`, `F5`, one character, or \
                 `Control+A`; use `type` for text",
                quoted(name)
            ),
        })
    }

    fn of_sign(sign: char, shown: &str) -> Result<Self, String> {
        if sign.is_control() || sign == ' ' {
            return Err(format!("{} is not a key; write its name, such as `Space`", quoted(shown)));
        }
        Ok(Self { modifiers: Vec::new(), name: sign.to_string() })
    }

    /// The keys held down meanwhile, each once.
    pub fn modifiers(&self) -> &[Modifier] {
        &self.modifiers
    }

    /// The key's name in the browser, or the one character on it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn modifier(word: &str) -> Option<Modifier> {
    Some(match word.to_ascii_lowercase().as_str() {
        "control" | "ctrl" => Modifier::Control,
        "alt" | "option" => Modifier::Alt,
        "shift" => Modifier::Shift,
        "meta" | "cmd" | "command" | "super" => Modifier::Meta,
        _ => return None,
    })
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for modifier in &self.modifiers {
            write!(f, "{}+", modifier.as_str())?;
        }
        f.write_str(&self.name)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}
