//! Mail messages.

mod flowed;
mod words;

use std::borrow::Cow;

use bytes::Bytes;
use mail_parser::{Address, HeaderName, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::extract::html::Html;
use crate::extract::mbox;
use crate::format::Format;

/// A message of RFC 5322 with MIME: the main headers, the body (plain where there is a choice), then each attachment as
/// a document inside the document.
pub(crate) struct Eml;

impl Extractor for Eml {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let start = mbox::after_separator(&source.bytes).unwrap_or_default();
        let message = MessageParser::default()
            .parse(source.bytes.get(start..).unwrap_or_default())
            .ok_or_else(|| Error::malformed(Format::Eml, "it has neither headers nor a body"))?;
        headers(&message, draft)?;
        for id in &message.text_body {
            let Some(part) = message.parts.get(*id as usize) else { continue };
            draft.budget().check_time()?;
            match &part.body {
                PartType::Text(text) => draft.paragraph(&unwrapped(part, text))?,
                PartType::Html(html) => Html { main_text_only: false }.read(html, draft)?,
                _ => {}
            }
        }
        for (index, part) in message.attachments().filter(|part| !is_signature(part)).enumerate() {
            let name =
                part.attachment_name().map_or_else(|| format!("attachment {}", index + 1), str::to_owned);
            if let PartType::Message(message) = &part.body {
                let bytes = Bytes::copy_from_slice(message.raw_message());
                draft.budget().expanded(bytes.len())?;
                draft.embed_as(Format::Eml, &name, bytes)?;
            } else {
                let bytes = Bytes::copy_from_slice(part.contents());
                draft.budget().expanded(bytes.len())?;
                draft.embed(&name, bytes)?;
            }
        }
        Ok(())
    }
}

/// The text of a part, with the lines of a paragraph joined where the part says that they may be.
fn unwrapped<'t>(part: &MessagePart<'_>, text: &'t str) -> Cow<'t, str> {
    let says = |name: &str, value: &str| {
        let attribute = part.content_type().and_then(|kind| kind.attribute(name));
        attribute.is_some_and(|attribute| attribute.eq_ignore_ascii_case(value))
    };
    if says("format", "flowed") { flowed::joined(text, says("delsp", "yes")).into() } else { text.into() }
}

/// A signature over the message is no document.
fn is_signature(part: &MessagePart<'_>) -> bool {
    let subtype = part.content_type().and_then(|kind| kind.subtype()).unwrap_or_default();
    matches!(subtype.to_ascii_lowercase().as_str(), "pgp-signature" | "pkcs7-signature" | "x-pkcs7-signature")
}

fn headers(message: &Message<'_>, draft: &mut Draft<'_>) -> Result<()> {
    let field = |name: HeaderName<'_>, parsed: String| {
        // What is broken between encoded words, or in no encoding at all, is better read as a whole.
        let raw = parsed.contains(char::REPLACEMENT_CHARACTER).then(|| raw_field(message, &name)).flatten();
        raw.map_or(Ok(parsed), |raw| words::decode_field(raw, draft.budget()))
    };
    let subject = field(HeaderName::Subject, message.subject().unwrap_or_default().to_owned())?;
    let from = field(HeaderName::From, message.from().map(addresses).unwrap_or_default())?;
    let to = field(HeaderName::To, message.to().map(addresses).unwrap_or_default())?;
    let cc = field(HeaderName::Cc, message.cc().map(addresses).unwrap_or_default())?;
    let date = message.date().filter(|date| date.is_valid()).map(mail_parser::DateTime::to_rfc3339);
    let date = date.unwrap_or_default();
    let metadata = draft.metadata();
    metadata.set_title(&subject);
    metadata.set_author(&from);
    metadata.set_created(&date);
    metadata.set_property("to", &to);
    metadata.set_property("cc", &cc);
    metadata.set_property("message_id", message.message_id().unwrap_or_default());
    for (name, value) in
        [("From", from.as_str()), ("To", &to), ("Cc", &cc), ("Date", &date), ("Subject", &subject)]
    {
        if !value.is_empty() {
            draft.push(&format!("{name}: {value}\n"))?;
        }
    }
    draft.end_block()
}

/// The bytes of a header field as they came in.
fn raw_field<'m>(message: &'m Message<'_>, name: &HeaderName<'_>) -> Option<&'m [u8]> {
    let header = message.headers().iter().rfind(|header| header.name() == name.as_str())?;
    message.raw_message().get(header.offset_start() as usize..header.offset_end() as usize)
}

/// `Ada Lovelace <ada@example.org>; …`
fn addresses(address: &Address<'_>) -> String {
    let mut text = String::new();
    for person in address.iter() {
        if !text.is_empty() {
            text.push_str("; ");
        }
        match (person.name(), person.address()) {
            (Some(name), Some(address)) => text.extend([name, " <", address, ">"]),
            (Some(only), None) | (None, Some(only)) => text.push_str(only),
            (None, None) => {}
        }
    }
    text
}
