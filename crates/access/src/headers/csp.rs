//! `Content-Security-Policy` (CSP level 3): what a page may load and run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use buttress_core::{Validate, Violations};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, random};

/// What pages may load and run.
///
/// | field | default | |
/// |---|---|---|
/// | `directives` | all but `default-src = ["'none'"]` left out, with `base-uri`, `form-action` and `frame-ancestors` the same | see [`Directive`] and [`Source`]; none leaves the header out |
/// | `upgrade_insecure_requests` | false | what pages load over `http:` is loaded over TLS |
/// | `report_only` | false | nothing is refused, only reported |
/// | `report_to` | none | where browsers report: the name of an endpoint in `Reporting-Endpoints` |
/// | `allow_unsafe` | false | without it, `'unsafe-inline'`, `'unsafe-eval'`, `*`, `data:` and `http:` are refused for scripts |
///
/// The default is that of an API: answers are no pages. For pages, scripts go by a nonce: `script-src = ["nonce", "'strict-dynamic'"]`. A
/// nonce is made for each answer, and the handler finds it as [`Nonce`] in the extensions of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CspConfig {
    /// What may be loaded, by kind.
    pub directives: BTreeMap<Directive, Vec<Source>>,
    /// What pages load over `http:` is loaded over TLS.
    pub upgrade_insecure_requests: bool,
    /// Nothing is refused, only reported.
    pub report_only: bool,
    /// Where browsers report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_to: Option<String>,
    /// Lets scripts in that make the rest worth little.
    pub allow_unsafe: bool,
}

impl Default for CspConfig {
    fn default() -> Self {
        use Directive::{BaseUri, DefaultSrc, FormAction, FrameAncestors};
        let nothing = |directive| (directive, vec![Source::None]);
        Self {
            directives: [DefaultSrc, BaseUri, FormAction, FrameAncestors].map(nothing).into(),
            upgrade_insecure_requests: false,
            report_only: false,
            report_to: None,
            allow_unsafe: false,
        }
    }
}

impl CspConfig {
    /// For a service that answers pages: all of its own origin, scripts by nonce, no plug-ins, in nobody's frames.
    ///
    /// ```
    /// use buttress_access::headers::CspConfig;
    /// use buttress_access::headers::csp::{Directive, Source};
    ///
    /// let csp = CspConfig::pages().allow(Directive::ImgSrc, [Source::Own, "https://cdn.example.org".parse()?]);
    /// # let _ = csp;
    /// # Ok::<(), buttress_access::headers::csp::SourceError>(())
    /// ```
    #[must_use]
    pub fn pages() -> Self {
        let nothing = Self::default().allow(Directive::ObjectSrc, [Source::None]);
        let own =
            nothing.allow(Directive::DefaultSrc, [Source::Own]).allow(Directive::FormAction, [Source::Own]);
        own.allow(Directive::ScriptSrc, [Source::Nonce, Source::Word("'strict-dynamic'")])
    }

    /// Allows these and no others for one kind, instead of what was there.
    #[must_use]
    pub fn allow(mut self, directive: Directive, sources: impl IntoIterator<Item = Source>) -> Self {
        self.directives.insert(directive, sources.into_iter().collect());
        self
    }
}

macro_rules! directives {
    ($($variant:ident = $text:literal,)*) => {
        /// A kind of what a page loads or does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        #[allow(missing_docs)]
        pub enum Directive {
            $(#[serde(rename = $text)] $variant,)*
        }

        impl Directive {
            /// Its name: `"script-src"`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

directives! {
    DefaultSrc = "default-src",
    ScriptSrc = "script-src",
    ScriptSrcElem = "script-src-elem",
    ScriptSrcAttr = "script-src-attr",
    StyleSrc = "style-src",
    StyleSrcElem = "style-src-elem",
    StyleSrcAttr = "style-src-attr",
    ImgSrc = "img-src",
    FontSrc = "font-src",
    ConnectSrc = "connect-src",
    MediaSrc = "media-src",
    ObjectSrc = "object-src",
    FrameSrc = "frame-src",
    ChildSrc = "child-src",
    WorkerSrc = "worker-src",
    ManifestSrc = "manifest-src",
    BaseUri = "base-uri",
    FormAction = "form-action",
    FrameAncestors = "frame-ancestors",
}

impl Directive {
    fn is_of_scripts(self) -> bool {
        matches!(
            self,
            Self::DefaultSrc | Self::ScriptSrc | Self::ScriptSrcElem | Self::ScriptSrcAttr | Self::WorkerSrc
        )
    }

    /// Whether a nonce or a hash may open it.
    fn takes_nonces(self) -> bool {
        let styles = matches!(self, Self::StyleSrc | Self::StyleSrcElem | Self::StyleSrcAttr);
        styles || self.is_of_scripts()
    }
}

/// Whence something may be loaded: a word, a hash, a scheme, a host; or `nonce`, for what has the nonce of this answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// `'none'`: from nowhere. Stands alone.
    None,
    /// `'self'`: the origin of the page.
    Own,
    /// `nonce`: what has the nonce of this answer.
    Nonce,
    /// Another word in quotes: `'strict-dynamic'`, `'unsafe-inline'`, `'unsafe-eval'`, `'wasm-unsafe-eval'`, `'unsafe-hashes'`,
    /// `'report-sample'`.
    Word(&'static str),
    /// `'sha256-..'`, `'sha384-..'`, `'sha512-..'`.
    Hash(Box<str>),
    /// `https:`, `data:`, or a host with scheme, port and path as one likes: `https://cdn.example.org/lib/`, `*.example.org`.
    Place(Box<str>),
}

impl Source {
    /// Whether scripts from there are not of anybody's.
    fn is_safe(&self) -> bool {
        match self {
            Self::Word(word) => !matches!(*word, "'unsafe-inline'" | "'unsafe-eval'"),
            Self::Place(place) => !matches!(place.to_ascii_lowercase().as_str(), "*" | "data:" | "http:"),
            _ => true,
        }
    }
}

const WORDS: [&str; 6] = [
    "'strict-dynamic'",
    "'unsafe-inline'",
    "'unsafe-eval'",
    "'wasm-unsafe-eval'",
    "'unsafe-hashes'",
    "'report-sample'",
];

/// A text that is no [`Source`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a source is \"nonce\", a word like \"'self'\" in quotes of its own, a hash like \"'sha256-..'\", a scheme like \"data:\" or a host like \"https://cdn.example.org\""
)]
pub struct SourceError;

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        match text {
            "'none'" => return Ok(Self::None),
            "'self'" => return Ok(Self::Own),
            "nonce" => return Ok(Self::Nonce),
            _ => {}
        }
        if let Some(word) = WORDS.into_iter().find(|word| *word == text) {
            return Ok(Self::Word(word));
        }
        if text.len() > 300 {
            return Err(SourceError);
        }
        if let Some(inner) = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
            let (kind, hash) = inner.split_once('-').ok_or(SourceError)?;
            // Of so many bits, base64 has so many characters with its padding.
            let length = match kind {
                "sha256" => 44,
                "sha384" => 64,
                "sha512" => 88,
                _ => return Err(SourceError),
            };
            let sign =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
            let good = hash.len() == length && hash.bytes().all(sign);
            return if good { Ok(Self::Hash(text.into())) } else { Err(SourceError) };
        }
        // Nothing that ends a source, a directive or the header; and no word that was to be in quotes.
        let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/%*[]".contains(&byte);
        let place = text.contains(['.', ':', '*']) || text == "localhost";
        if place && text.bytes().all(sign) { Ok(Self::Place(text.into())) } else { Err(SourceError) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "'none'",
            Self::Own => "'self'",
            Self::Nonce => "nonce",
            Self::Word(word) => word,
            Self::Hash(text) | Self::Place(text) => text,
        })
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Validate for CspConfig {
    fn validate(&self) -> Result<(), Violations> {
        let mut wrong = Violations::new();
        for (directive, sources) in &self.directives {
            let field = directive.as_str();
            let shown = sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            let some = (1..=64).contains(&sources.len());
            wrong.require(some, field, &shown, "must have 1 to 64 sources; \"'none'\" for none");
            let alone = sources.len() == 1 || !sources.contains(&Source::None);
            wrong.require(alone, field, &shown, "\"'none'\" must stand alone");
            let opened =
                |source: &Source| matches!(source, Source::Nonce | Source::Hash(_) | Source::Word(_));
            let fits = directive.takes_nonces() || !sources.iter().any(opened);
            wrong.require(fits, field, &shown, "takes only \"'none'\", \"'self'\", schemes and hosts");
            let safe = self.allow_unsafe || !directive.is_of_scripts() || sources.iter().all(Source::is_safe);
            wrong.require(
                safe,
                field,
                &shown,
                "lets injected scripts run; use \"nonce\", or say `allow_unsafe`",
            );
        }
        if let Some(name) = &self.report_to {
            let sign = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            let good = (1..=64).contains(&name.len()) && name.bytes().all(sign);
            wrong.require(
                good,
                "report_to",
                format!("{name:?}"),
                "must be 1 to 64 letters, digits, `-` and `_`",
            );
        }
        wrong.into_result()
    }
}

/// The nonce of one answer: 128 random bits in base64. In the extensions of the request, for the `nonce` of scripts and styles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// A new one.
    pub fn generate() -> Result<Self, Error> {
        let mut bytes = [0; 16];
        random::fill(&mut bytes)?;
        Ok(Self(data_encoding::BASE64.encode(&bytes)))
    }

    /// Its text: letters, digits, `+`, `/` and `=`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A policy, written but for the nonces.
#[derive(Debug, Clone)]
pub struct Csp {
    /// Between them stand the nonces.
    pieces: Vec<String>,
    frame_options: Option<&'static str>,
    report_only: bool,
}

impl Csp {
    /// Writes a policy; `None` where it says nothing.
    pub fn new(config: &CspConfig) -> Result<Option<Self>, Error> {
        config.validate().map_err(Error::Config)?;
        let mut pieces = vec![String::new()];
        let mut begun = false;
        let mut directive = |pieces: &mut Vec<String>, name: &str| {
            let Some(piece) = pieces.last_mut() else { return };
            piece.push_str(if begun { "; " } else { "" });
            piece.push_str(name);
            begun = true;
        };
        for (name, sources) in &config.directives {
            directive(&mut pieces, name.as_str());
            for source in sources {
                let Some(piece) = pieces.last_mut() else { continue };
                piece.push(' ');
                if *source == Source::Nonce {
                    piece.push_str("'nonce-");
                    pieces.push("'".to_owned());
                } else {
                    piece.push_str(&source.to_string());
                }
            }
        }
        if config.upgrade_insecure_requests {
            directive(&mut pieces, "upgrade-insecure-requests");
        }
        if let Some(name) = &config.report_to {
            directive(&mut pieces, &format!("report-to {name}"));
        }
        let frame_options = match config.directives.get(&Directive::FrameAncestors).map(Vec::as_slice) {
            Some([Source::None]) => Some("DENY"),
            Some([Source::Own]) => Some("SAMEORIGIN"),
            _ => None,
        };
        let frame_options = frame_options.filter(|_| !config.report_only);
        Ok(begun.then_some(Self { pieces, frame_options, report_only: config.report_only }))
    }

    /// The header's name.
    #[must_use]
    pub fn header(&self) -> &'static str {
        if self.report_only { "content-security-policy-report-only" } else { "content-security-policy" }
    }

    /// Whether answers need a nonce each.
    #[must_use]
    pub fn needs_nonce(&self) -> bool {
        self.pieces.len() > 1
    }

    /// What `X-Frame-Options` says to browsers that do not know `frame-ancestors`, where it can.
    #[must_use]
    pub fn frame_options(&self) -> Option<&'static str> {
        self.frame_options
    }

    /// The header's value. Where nonces are needed and there is none, nothing may be loaded.
    #[must_use]
    pub fn value(&self, nonce: Option<&Nonce>) -> String {
        match nonce {
            None if self.needs_nonce() => {
                "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'".to_owned()
            }
            nonce => self.pieces.join(nonce.map_or("", Nonce::as_str)),
        }
    }
}
