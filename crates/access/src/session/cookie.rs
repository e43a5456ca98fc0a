//! Cookies: reading one's own out of what a browser sends, and writing it (RFC 6265bis).

use std::time::Duration;

use super::config::CookieConfig;

/// The longest `Cookie` header that is looked at, in bytes; browsers hold less for one host in practice.
pub const LONGEST: usize = 16 * 1024;
const MOST: usize = 256;

/// Why a cookie is not taken from a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// The headers are longer, or have more cookies, than is looked at.
    #[error("the cookies are more than {LONGEST} bytes, or more than {MOST}")]
    TooLarge,
    /// It is there twice. One of them was put there by somebody else: a subdomain, a page without TLS.
    #[error("the cookie is there twice")]
    Twice,
    /// Its value holds what no cookie may.
    #[error("the cookie holds characters that it must not")]
    Malformed,
}

/// Letters, digits, `_` and `-`: fewer than a token of HTTP has.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// `cookie-octet` of RFC 6265: printable ASCII but space, quote, comma, semicolon and backslash.
fn is_value_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

/// Finds the cookie of this name in the `Cookie` headers of one request.
///
/// Other cookies are not judged: other applications on the host may have set them. This one is there once and well formed, or it is an
/// error. Quotes are not taken off, nothing is decoded, and case counts.
///
/// ```
/// use buttress_access::session::cookie::{CookieError, find};
///
/// assert_eq!(find(["theme=dark; __Host-session=abc"], "__Host-session"), Ok(Some("abc")));
/// assert_eq!(find(["theme=dark"], "__Host-session"), Ok(None));
/// assert_eq!(find(["a=1; a=2"], "a"), Err(CookieError::Twice));
/// ```
pub fn find<'h>(
    headers: impl IntoIterator<Item = &'h str>,
    name: &str,
) -> Result<Option<&'h str>, CookieError> {
    let (mut found, mut bytes, mut number) = (None, 0_usize, 0_usize);
    for header in headers {
        bytes = bytes.saturating_add(header.len());
        if bytes > LONGEST {
            return Err(CookieError::TooLarge);
        }
        for pair in header.split(';') {
            number += 1;
            if number > MOST {
                return Err(CookieError::TooLarge);
            }
            // A pair without `=` has no name.
            let Some((key, value)) = pair.split_once('=') else { continue };
            if key.trim_matches([' ', '\t']) != name {
                continue;
            }
            if found.replace(value.trim_matches([' ', '\t'])).is_some() {
                return Err(CookieError::Twice);
            }
        }
    }
    match found {
        Some(value) if !value.bytes().all(is_value_byte) => Err(CookieError::Malformed),
        found => Ok(found),
    }
}

/// A `Set-Cookie` header. `value` must be of characters that a cookie may have, as those of a [`SessionId`](super::SessionId) are;
/// without `max_age` the browser forgets it when it is closed.
pub(super) fn set(config: &CookieConfig, value: &str, max_age: Option<Duration>) -> String {
    let CookieConfig { name, secure, same_site, domain } = config;
    let mut cookie = format!("{name}={value}; Path=/");
    if let Some(domain) = domain {
        cookie.push_str("; Domain=");
        cookie.push_str(domain);
    }
    if let Some(age) = max_age {
        cookie.push_str("; Max-Age=");
        cookie.push_str(&age.as_secs().to_string());
    }
    if *secure {
        cookie.push_str("; Secure");
    }
    cookie.push_str("; HttpOnly; SameSite=");
    cookie.push_str(same_site.as_str());
    cookie
}
