//! The API key: read once, sent, and shown to nobody.

use std::fmt;
use std::io::Read;

use reqwest::header::HeaderValue;

use super::config::LanguageConfig;
use super::error::{Error, Result};

const MOST: u64 = 16 << 10;

/// An API key, 8 to 16,384 printable ASCII characters without spaces.
#[derive(Clone)]
pub(crate) struct ApiKey {
    text: String,
    header: HeaderValue,
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(redacted)")
    }
}

impl ApiKey {
    /// The key that the configuration speaks of, if it does.
    pub(crate) fn read(config: &LanguageConfig) -> Result<Option<Self>> {
        let (from, text) = match (&config.key_file, &config.key_variable) {
            (Some(path), _) => {
                let mut text = String::new();
                let read =
                    std::fs::File::open(path).and_then(|file| file.take(MOST + 1).read_to_string(&mut text));
                (
                    format!("the file {}", path.display()),
                    read.map(|_| text).map_err(|error| error.to_string()),
                )
            }
            (None, Some(name)) => {
                let text = std::env::var(name).map_err(|error| match error {
                    std::env::VarError::NotPresent => "it is not set".to_owned(),
                    // Its own text would show the value.
                    std::env::VarError::NotUnicode(_) => "it is no text".to_owned(),
                });
                (format!("the variable {name}"), text)
            }
            (None, None) => return Ok(None),
        };
        let key = text.and_then(|text| Self::new(text.trim()));
        key.map(Some).map_err(|problem| Error::Key { from, problem })
    }

    fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".to_owned());
        }
        let fit = (8..=MOST).contains(&(text.len() as u64)) && text.bytes().all(is_sign);
        let unfit = || "it holds no key: 8 to 16384 printable characters without spaces or quotes".to_owned();
        if !fit {
            return Err(unfit());
        }
        let mut header = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| unfit())?;
        header.set_sensitive(true);
        Ok(Self { text: text.to_owned(), header })
    }

    /// `Bearer …`, marked as sensitive.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// A text of others without the key in it.
    pub(crate) fn redact(&self, text: &str) -> String {
        text.replace(&self.text, "[key]")
    }
}

/// What keys are made of, and what nobody has to escape who writes them elsewhere.
fn is_sign(b: u8) -> bool {
    b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\' | b'<' | b'>' | b'&')
}
