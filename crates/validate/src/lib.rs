//! Input turned into types that cannot hold an attack.

pub mod detect;
#[cfg(feature = "html")]
mod html;

#[cfg(feature = "html")]
pub use html::{HtmlConfig, HtmlError, HtmlPolicy, HtmlPreset, ImageSource, SafeHtml};
