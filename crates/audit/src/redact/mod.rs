//! What must not stand in a log is taken out before it is written: afterwards it is there for good.
//!
//! Two kinds of rule. By name: the value of a field whose name says `password` goes, whatever it is. By shape: keys and
//! tokens, passwords in URLs, card numbers (with Luhn's check) and e-mail addresses go wherever they stand. Shapes are a
//! net, not a wall: a password in a sentence looks like any word. Give the log names of things, not things.
//!
//! ```
//! use buttress_audit::redact::{RedactConfig, Redactor};
//!
//! let redactor = Redactor::new(&RedactConfig::default());
//! assert_eq!(redactor.text("card 4111 1111 1111 1111 refused"), "card [redacted: card] refused");
//! assert_eq!(redactor.text("GET /?token=abcdef&page=2"), "GET /?token=[redacted: name]&page=2");
//! assert_eq!(redactor.text("order 4111 1111 1111 1112"), "order 4111 1111 1111 1112"); // no card: Luhn
//! ```

mod shapes;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::subject::SubjectId;
use crate::{Entry, Value};

/// Which rules hold.
///
/// | field | default | |
/// |---|---|---|
/// | `names` | `password`, `passwd`, `passphrase`, `secret`, `token`, `apikey`, `authorization`, `cookie`, `privatekey`, `credential`, `sessionid` | a field whose name contains one of these loses its value; case, `-`, `_`, `.` and blanks do not count |
/// | `keys` | true | keys and tokens by their shape: JWT, PEM private keys, `AKIA…`, `ghp_…`, `Bearer …`, passwords in URLs |
/// | `cards` | true | payment card numbers: issuer, length, Luhn's check |
/// | `emails` | true | e-mail addresses in `detail` and `data` |
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RedactConfig {
    /// Parts of field names.
    pub names: Vec<String>,
    /// Keys and tokens by their shape.
    pub keys: bool,
    /// Card numbers.
    pub cards: bool,
    /// E-mail addresses.
    pub emails: bool,
}

impl Default for RedactConfig {
    fn default() -> Self {
        let names = [
            "password",
            "passwd",
            "passphrase",
            "secret",
            "token",
            "apikey",
            "authorization",
            "cookie",
            "privatekey",
            "credential",
            "sessionid",
        ];
        Self { names: names.map(str::to_owned).to_vec(), keys: true, cards: true, emails: true }
    }
}

/// Why something was taken out; stands in its place as `[redacted: card]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The field's name said so.
    Name,
    /// A key, a token or a password.
    Key,
    /// A payment card's number.
    Card,
    /// An e-mail address.
    Email,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "[redacted: name]",
            Self::Key => "[redacted: key]",
            Self::Card => "[redacted: card]",
            Self::Email => "[redacted: email]",
        })
    }
}

/// Takes out what must not be written. Linear in what it reads.
#[derive(Debug, Clone)]
pub struct Redactor {
    names: Vec<String>,
    keys: bool,
    cards: bool,
    emails: bool,
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new(&RedactConfig::default())
    }
}

impl Redactor {
    /// A redactor with these rules.
    #[must_use]
    pub fn new(config: &RedactConfig) -> Self {
        let names = config.names.iter().map(|name| bare(name)).filter(|name| !name.is_empty()).collect();
        Self { names, keys: config.keys, cards: config.cards, emails: config.emails }
    }

    /// `text` without what the rules take out, and without e-mail addresses if these are taken out.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.scan(text, self.emails)
    }

    /// The same for a text that names somebody: e-mail addresses stay.
    pub fn identity<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.scan(text, false)
    }

    /// Whether the value of a field of this name goes, whatever it is.
    pub fn is_secret_name(&self, name: &str) -> bool {
        let name = bare(name);
        self.names.iter().any(|secret| name.contains(secret.as_str()))
    }

    /// Takes out what the rules say of an entry. Actor, target, tenant and request id name things, so that e-mail
    /// addresses stay in them; what is to be forgotten one day is sealed (see [`subject`](crate::subject)).
    pub fn entry(&self, entry: &mut Entry) {
        let named = [&mut entry.actor, &mut entry.target, &mut entry.tenant, &mut entry.request_id];
        for text in named.into_iter().flatten() {
            if let Cow::Owned(clean) = self.identity(text) {
                *text = clean;
            }
        }
        if let Some(text) = &mut entry.detail
            && let Cow::Owned(clean) = self.text(text)
        {
            *text = clean;
        }
        self.fields(&mut entry.data, self.emails);
    }

    /// Takes out what the rules say of the value of a field, and of all that it holds. Sealed values stay, and so do bytes,
    /// which have no shape.
    pub fn value(&self, name: &str, value: &mut Value) {
        self.take_out(name, value, self.emails);
    }

    /// The same for a value that will be sealed: e-mail addresses stay.
    pub(crate) fn personal(&self, name: &str, value: &mut Value) {
        self.take_out(name, value, false);
    }

    fn take_out(&self, name: &str, value: &mut Value, emails: bool) {
        if matches!(value, Value::Text(text) if SubjectId::of(text).is_some()) {
            return;
        }
        if self.is_secret_name(name) && !matches!(value, Value::Null | Value::Bool(_)) {
            *value = Value::Text(Kind::Name.to_string());
            return;
        }
        match value {
            Value::Text(text) => {
                if let Cow::Owned(clean) = self.scan(text, emails) {
                    *text = clean;
                }
            }
            // A card's number may come as a number.
            Value::Int(number) => {
                let text = number.to_string();
                if let Cow::Owned(clean) = self.scan(&text, emails) {
                    *value = Value::Text(clean);
                }
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.take_out("", item, emails)),
            Value::Map(fields) => self.fields(fields, emails),
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::Bytes(_) => {}
        }
    }

    /// The same for all fields of a map. A name that has itself the shape of a secret goes too.
    fn fields(&self, fields: &mut BTreeMap<String, Value>, emails: bool) {
        for (name, value) in fields.iter_mut() {
            self.take_out(name, value, emails);
        }
        if fields.keys().any(|name| matches!(self.scan(name, emails), Cow::Owned(_))) {
            let all = std::mem::take(fields);
            fields
                .extend(all.into_iter().map(|(name, value)| (self.scan(&name, emails).into_owned(), value)));
        }
    }

    fn scan<'a>(&self, text: &'a str, emails: bool) -> Cow<'a, str> {
        // By chance a sealed value may look like anything.
        if SubjectId::of(text).is_some() {
            return Cow::Borrowed(text);
        }
        let mut clean = String::new();
        let mut kept = 0; // Up to here `clean` has it.
        let mut at = 0;
        while at < text.len() {
            let found = self
                .found(text, at, emails)
                .filter(|(secret, _)| secret.start >= at && secret.end > secret.start);
            if let Some((secret, kind)) = found {
                clean.push_str(text.get(kept..secret.start).unwrap_or_default());
                clean.push_str(&kind.to_string());
                (kept, at) = (secret.end, secret.end);
            } else {
                at += 1;
                while !text.is_char_boundary(at) {
                    at += 1;
                }
            }
        }
        if kept == 0 && clean.is_empty() {
            return Cow::Borrowed(text);
        }
        clean.push_str(text.get(kept..).unwrap_or_default());
        Cow::Owned(clean)
    }

    /// What begins at `at` and must go: its place, which may begin later, and why.
    fn found(&self, text: &str, at: usize, emails: bool) -> Option<(std::ops::Range<usize>, Kind)> {
        if self.keys
            && let Some(secret) = shapes::url_password(text, at).or_else(|| shapes::private_key(text, at))
        {
            return Some((secret, Kind::Key));
        }
        if !shapes::begins_word(text, at) {
            return None;
        }
        if self.keys {
            let key = shapes::known_key(text, at)
                .or_else(|| shapes::json_web_token(text, at))
                .or_else(|| shapes::after_scheme(text, at));
            if let Some(secret) = key {
                return Some((secret, Kind::Key));
            }
        }
        if let Some((name, value)) = shapes::named(text, at)
            && self.is_secret_name(name)
            && let Some(secret) = shapes::value(text, value)
        {
            return Some((secret, Kind::Name));
        }
        let card = self.cards.then(|| shapes::card(text, at)).flatten().map(|end| (at..end, Kind::Card));
        card.or_else(|| emails.then(|| shapes::email(text, at)).flatten().map(|end| (at..end, Kind::Email)))
    }
}

/// A name without what people write between its words.
fn bare(name: &str) -> String {
    let signs = name.chars().filter(|sign| !matches!(sign, '-' | '_' | '.' | ' '));
    signs.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests;
