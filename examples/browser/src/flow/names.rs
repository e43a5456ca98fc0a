//! What variables, results and uploaded files may be called, and which addresses may be visited.

use url::Url;

use super::error::quoted;

/// The remedy for a name that will not do.
pub(crate) const NAME_RULE: &str = "a name is 1 to 64 letters, digits, `-` and `_`";

pub(crate) fn is_sign(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// Whether a variable, a screenshot or another result may have this name.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(is_sign)
}

/// Whether an uploaded file may have this name: no folders, no control characters, at most 128 bytes.
pub(crate) fn is_file_name(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !matches!(text, "." | "..")
        && !text.chars().any(|c| matches!(c, '/' | '\\') || c.is_control())
}

/// Reads an address that a page is to be opened at.
///
/// # Errors
///
/// A text for people, when it is no whole `http` or `https` address, or longer than 8,000 bytes.
pub fn check_address(text: &str) -> Result<Url, String> {
    if text.len() > 8_000 {
        return Err("is too long; an address has at most 8000 bytes".to_owned());
    }
    if let Some(scheme) = scheme_of(text)
        && !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https")
    {
        // `localhost:8000/a` has no scheme, whatever the standard says.
        let after = text.get(scheme.len() + 1..).unwrap_or_default();
        if after.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("{} is not a whole address; write \"http://{text}\"", quoted(text)));
        }
        return Err(format!("only http and https addresses may be visited, not {}", quoted(text)));
    }
    match Url::parse(text) {
        // The parser drops tabs and line ends, so that only its outcome tells the scheme.
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            Err(format!("only http and https addresses may be visited, not {}", quoted(text)))
        }
        Ok(url) if url.host_str().is_some_and(|host| !host.is_empty()) => Ok(url),
        Err(url::ParseError::RelativeUrlWithoutBase) => Err(format!(
            "{} is not a whole address; write it like \"https://example.com/page\"",
            quoted(text)
        )),
        Err(error) => Err(format!(
            "{} is not an address ({error}); write it like \"https://example.com/page\"",
            quoted(text)
        )),
        Ok(_) => Err(format!("{} names no host; write it like \"https://example.com/page\"", quoted(text))),
    }
}

/// The letters before the first colon, if they may be a scheme.
pub(crate) fn scheme_of(text: &str) -> Option<&str> {
    let (scheme, _) = text.trim_start().split_once(':')?;
    let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(sign)).then_some(scheme)
}
