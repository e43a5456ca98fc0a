//! Pictures and documents of a page.

use buttress_core::ByteSize;
use bytes::Bytes;
use serde_json::{Value, json};

use super::Page;
use crate::chromium::error::{Error, Result};
use crate::chromium::session::text;
use crate::chromium::target::Target;

/// The largest picture or document, in bytes of base64.
const LARGEST: ByteSize = ByteSize::mib(64);
/// The longest side of a picture in CSS pixels. The browser's own limit for one texture.
const SIDE: f64 = 16_384.0;

impl Page {
    /// A picture as PNG: of the window or, with `full`, of the whole page, or of one element that is there now. At
    /// most 16,384 pixels are taken in either direction.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] or [`Error::NotUsable`] for the element; [`Error::TooLarge`] past 64 MiB.
    pub async fn screenshot(&self, full: bool, target: Option<&Target>) -> Result<Bytes> {
        let mut params = json!({ "format": "png", "optimizeForSpeed": false });
        let clip = match target {
            Some(target) => {
                Some(self.retry("place", target, &[target.argument()], std::time::Duration::ZERO).await?)
            }
            None if full => {
                let metrics = self.tab().call("Page.getLayoutMetrics", &json!({})).await?;
                metrics.get("cssContentSize").cloned()
            }
            None => None,
        };
        if let (Some(clip), Some(fields)) = (clip, params.as_object_mut()) {
            let number = |name| clip.get(name).and_then(Value::as_f64).unwrap_or_default();
            let side = |name| number(name).clamp(1.0, SIDE);
            fields.insert("captureBeyondViewport".to_owned(), true.into());
            let clip = json!({
                "x": number("x"), "y": number("y"), "width": side("width"), "height": side("height"), "scale": 1,
            });
            fields.insert("clip".to_owned(), clip);
        }
        self.rendered("Page.captureScreenshot", &params, "the screenshot").await
    }

    /// The page as PDF, with backgrounds, on the paper that its style asks for.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] past 64 MiB.
    pub async fn pdf(&self) -> Result<Bytes> {
        let params = json!({ "printBackground": true, "preferCSSPageSize": true });
        self.rendered("Page.printToPDF", &params, "the PDF").await
    }

    async fn rendered(&self, method: &'static str, params: &Value, what: &str) -> Result<Bytes> {
        let tab = self.tab();
        // A long page takes long to draw; no longer than to load, though.
        let within = tab.config.navigate_within;
        let answer = tab.call_for(method, params, within, LARGEST).await.map_err(|error| match error {
            Error::TooLarge { limit, .. } => Error::TooLarge { what: what.to_owned(), limit },
            error => error,
        })?;
        let unreadable =
            |error: data_encoding::DecodeError| Error::Unreadable { method, problem: error.to_string() };
        let bytes = data_encoding::BASE64.decode(text(&answer, "data").as_bytes()).map_err(unreadable)?;
        Ok(bytes.into())
    }
}
