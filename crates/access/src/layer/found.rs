//! The credential in the headers of a request.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use zeroize::Zeroizing;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a request shows.
pub(super) enum Found {
    Nothing,
    /// More than one, or one that cannot be read.
    Several,
    Bearer(Zeroizing<String>),
    Key(Zeroizing<String>),
}

/// Finds the credential, and marks its header, so that nobody shows it by accident.
pub(super) fn find(headers: &mut HeaderMap) -> Found {
    let mut found = Found::Nothing;
    for name in [AUTHORIZATION, API_KEY] {
        let http::header::Entry::Occupied(mut values) = headers.entry(&name) else { continue };
        for value in values.iter_mut() {
            value.set_sensitive(true);
            let text = value.to_str().ok().map(str::trim);
            let read = match text {
                Some(text) if name == API_KEY => Found::Key(text.to_owned().into()),
                Some(text) => match text.split_once(' ') {
                    Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => {
                        Found::Bearer(rest.trim_start().to_owned().into())
                    }
                    // Of another scheme, for somebody else.
                    _ => continue,
                },
                None => Found::Several,
            };
            found = if matches!(found, Found::Nothing) { read } else { Found::Several };
        }
    }
    found
}
