//! Mail messages.

use bytes::Bytes;
use mail_parser::{Address, Message, MessageParser, MessagePart, MimeHeaders, PartType};

use crate::draft::{Draft, Source};
use crate::error::{Error, Result};
use crate::extract::Extractor;
use crate::extract::html::Html;
use crate::format::Format;

/// A message of RFC 5322 with MIME: the main headers, the body (plain where there is a choice), then each attachment as
/// a document inside the document.
pub(crate) struct Eml;

impl Extractor for Eml {
    fn extract(&self, source: &Source<'_>, draft: &mut Draft<'_>) -> Result<()> {
        let message = MessageParser::default()
            .parse(source.bytes.as_ref())
            .ok_or_else(|| Error::malformed(Format::Eml, "it has neither headers nor a body"))?;
        headers(&message, draft)?;
        for id in &message.text_body {
            let Some(part) = message.parts.get(*id as usize) else { continue };
            draft.budget().check_time()?;
            match &part.body {
                PartType::Text(text) => draft.paragraph(text)?,
                PartType::Html(html) => Html { main_text_only: false }.read(html, draft)?,
                _ => {}
            }
        }
        for (index, part) in message.attachments().filter(|part| !is_signature(part)).enumerate() {
            let name =
                part.attachment_name().map_or_else(|| format!("attachment {}", index + 1), str::to_owned);
            let bytes = match &part.body {
                PartType::Message(message) => Bytes::copy_from_slice(message.raw_message()),
                _ => Bytes::copy_from_slice(part.contents()),
            };
            draft.budget().expanded(bytes.len())?;
            draft.embed(&name, bytes)?;
        }
        Ok(())
    }
}

/// A signature over the message is no document.
fn is_signature(part: &MessagePart<'_>) -> bool {
    let subtype = part.content_type().and_then(|kind| kind.subtype()).unwrap_or_default();
    matches!(subtype.to_ascii_lowercase().as_str(), "pgp-signature" | "pkcs7-signature" | "x-pkcs7-signature")
}

fn headers(message: &Message<'_>, draft: &mut Draft<'_>) -> Result<()> {
    let subject = message.subject().unwrap_or_default();
    let from = message.from().map(addresses).unwrap_or_default();
    let to = message.to().map(addresses).unwrap_or_default();
    let cc = message.cc().map(addresses).unwrap_or_default();
    let date = message.date().filter(|date| date.is_valid()).map(mail_parser::DateTime::to_rfc3339);
    let date = date.unwrap_or_default();
    let metadata = draft.metadata();
    metadata.set_title(subject);
    metadata.set_author(&from);
    metadata.set_created(&date);
    metadata.set_property("to", &to);
    metadata.set_property("cc", &cc);
    metadata.set_property("message_id", message.message_id().unwrap_or_default());
    for (name, value) in
        [("From", from.as_str()), ("To", &to), ("Cc", &cc), ("Date", &date), ("Subject", subject)]
    {
        if !value.is_empty() {
            draft.push(&format!("{name}: {value}\n"))?;
        }
    }
    draft.end_block()
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
