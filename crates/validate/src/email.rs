//! Addresses of mail.

use url::Host;

use crate::error::{Code, Invalid};

const WHAT: &str = "mail address";

/// RFC 5321, section 4.5.3.1: a path is 256 octets with its brackets.
const LONGEST: usize = 254;
const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 253;

/// An address of mail as people have them: `name@example.org`.
///
/// Before the `@` letters, digits and `` !#$%&'*+/=?^_`{|}~- `` with single dots between (the dot-atom of RFC 5322), at most 64 bytes; after it
/// the name of a host with one dot at least, written in lower case and punycode. At most 254 bytes (RFC 5321). Not taken are quoted names,
/// comments, addresses of hosts, and names beyond ASCII (RFC 6531), which hardly any mailbox has.
///
/// No line break and no angle bracket is in it, so it cannot add headers or recipients. Whether a mailbox is there, only a mail to it tells.
///
/// ```
/// use buttress_validate::Email;
///
/// let email: Email = "Zoe.Muster+shop@Bücher.example".parse()?;
/// assert_eq!(email.as_str(), "Zoe.Muster+shop@xn--bcher-kva.example");
/// assert!("a@example.org\r\nBcc: b@example.org".parse::<Email>().is_err());
/// # Ok::<(), buttress_validate::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(Box<str>);

text_type!(Email);

impl Email {
    fn check(text: &str) -> Result<Box<str>, Invalid> {
        let fail = |code, problem, remedy| Invalid::new(WHAT, code, problem, remedy);
        if text.is_empty() {
            return Err(fail(Code::Empty, "is empty", "write one like name@example.org"));
        }
        if text.len() > LONGEST {
            return Err(fail(Code::TooLong, "is longer than 254 bytes", "use a shorter one"));
        }
        let like = "write one like name@example.org";
        let (local, domain) = text.rsplit_once('@').ok_or(fail(Code::Syntax, "has no `@`", like))?;
        if local.len() > LONGEST_LOCAL {
            return Err(fail(Code::TooLong, "has more than 64 bytes before its `@`", "use a shorter one"));
        }
        if let Some(at) = local.bytes().position(|byte| !is_atom(byte) && byte != b'.') {
            let problem = "has a character that is not allowed before its `@`";
            return Err(fail(Code::Character, problem, "use ASCII letters and digits").at_byte(at));
        }
        if local.split('.').any(str::is_empty) {
            let problem = "has nothing before, after or between dots";
            return Err(fail(Code::Syntax, problem, like));
        }
        let host = host(domain).ok_or_else(|| {
            let problem = "has no name of a mail host after its `@`";
            fail(Code::Host, problem, like).at_byte(local.len() + 1)
        })?;
        let whole = format!("{local}@{host}");
        if whole.len() > LONGEST {
            return Err(fail(Code::TooLong, "is longer than 254 bytes in punycode", "use a shorter one"));
        }
        Ok(whole.into())
    }

    /// What stands before the `@`; upper and lower case are the mailbox's own to tell apart.
    #[must_use]
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// The host's name, in lower case and punycode.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

fn is_atom(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte)
}

fn host(domain: &str) -> Option<String> {
    // The parser of hosts decodes percents, which has no place here.
    if domain.contains(['%', '[']) || domain.chars().any(|c| crate::chars::fault(c).is_some()) {
        return None;
    }
    let Ok(Host::Domain(name)) = Host::parse(domain) else { return None };
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let top = name.rsplit('.').next()?;
    let sound = name.len() <= LONGEST_DOMAIN
        && name.contains('.')
        && name.split('.').all(is_label)
        && top.bytes().any(|byte| byte.is_ascii_alphabetic());
    sound.then_some(name)
}
