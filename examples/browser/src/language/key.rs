//! The API key: read once, or from the secrets each time; sent, and shown to nobody.

use std::fmt;
use std::io::Read;

use buttress_secrets::Secrets;
use reqwest::header::HeaderValue;

use super::config::LanguageConfig;
use super::error::{Error, ModelError, Result};

const MOST: u64 = 16 << 10;

/// Where the API key comes from.
#[derive(Debug)]
pub(crate) enum KeySource {
    /// The service wants none.
    None,
    /// The configuration says it.
    Known(ApiKey),
    /// The current version of a secret.
    Secret { secrets: Secrets, name: String },
}

impl KeySource {
    /// What the configuration speaks of. A secret is looked at, so that a missing one is told at the start.
    pub(crate) async fn open(config: &LanguageConfig, secrets: Option<&Secrets>) -> Result<Self> {
        let Some(name) = &config.key_secret else {
            return Ok(ApiKey::read(config)?.map_or(Self::None, Self::Known));
        };
        let missing = |problem| Error::Key { from: format!("the secret {name}"), problem };
        let Some(secrets) = secrets else {
            return Err(missing("there are no secrets without `security.enabled`".to_owned()));
        };
        let source = Self::Secret { secrets: secrets.reader("language"), name: name.clone() };
        source.now().await.map_err(|error| missing(error.to_string()))?;
        Ok(source)
    }

    /// The key to use now.
    pub(crate) async fn now(&self) -> Result<Option<ApiKey>, ModelError> {
        match self {
            Self::None => Ok(None),
            Self::Known(key) => Ok(Some(key.clone())),
            Self::Secret { secrets, name } => {
                let told = |problem| ModelError::NoKey { name: name.clone(), problem };
                let secret = secrets.current(name).await.map_err(|error| told(error.to_string()))?;
                let text = secret.text().map_err(|error| told(error.to_string()))?;
                ApiKey::new(text.trim()).map(Some).map_err(told)
            }
        }
    }

    /// The key that the vault has by now, if it is another than one that was refused.
    pub(crate) async fn instead_of(&self, refused: &ApiKey) -> Option<ApiKey> {
        let Self::Secret { secrets, name } = self else { return None };
        secrets.forget(name);
        self.now().await.ok().flatten().filter(|key| key.text != refused.text)
    }
}

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
