//! Which back end, and where.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use buttress_core::Violations;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// A back end that keeps state for others. Every one is here, whatever is compiled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// A file of this machine.
    Sqlite,
    /// PostgreSQL 15 or newer.
    Postgres,
    /// Redis 7 or newer.
    Redis,
    /// NATS with JetStream, 2.9 or newer.
    Nats,
}

impl Backend {
    /// Its name as its makers write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Redis",
            Self::Nats => "NATS",
        }
    }

    /// The feature that compiles it in, of this crate and of those above it.
    #[must_use]
    pub fn feature(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Nats => "nats",
        }
    }

    /// The refusal for a program that was built without it.
    #[must_use]
    pub fn not_compiled(self) -> Error {
        Error::BackendNotCompiled { backend: self.name(), feature: self.feature() }
    }
}

/// Which back end is meant, and where it is, in one text.
///
/// | address | |
/// |---|---|
/// | `sqlite:queue.db` | a file; its folder is made |
/// | `postgres://user:password@host:5432/database` | `?sslmode=require` for TLS |
/// | `redis://user:password@host:6379/0` | `rediss://` for TLS |
/// | `redis+sentinel://user:password@one,two:26379/0?master=NAME` | the master that these sentinels know; the login is the servers', and the sentinels' too with `&sentinel_login=same`; `rediss+sentinel://` for TLS |
/// | `redis+cluster://user:password@one:6379,two:6379` | a cluster, by some of its nodes; `rediss+cluster://` for TLS |
/// | `nats://user:password@host:4222` | `tls://` for TLS; several separated by commas |
///
/// Shown, also by `Debug`, it hides its password; serialised, it does not, so that a configuration reads back.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    text: String,
    backend: Backend,
}

impl Address {
    /// A file of this machine, for SQLite.
    #[must_use]
    pub fn sqlite(path: &Path) -> Self {
        Self { text: format!("sqlite:{}", path.display()), backend: Backend::Sqlite }
    }

    /// Which back end is meant.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Notes that the setting `field` must be the address of a Redis, unless it is.
    pub fn require_redis(&self, field: &str, wrong: &mut Violations) {
        let holds = self.backend == Backend::Redis;
        wrong.require(holds, field, self, "must be the address of a Redis: `redis://…` or `rediss://…`");
    }

    /// The whole text, password included, for the client.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The same place with another login; `None` for a file, which has none, and for a list of whole addresses.
    #[must_use]
    pub fn with_login(&self, user: &str, password: &str) -> Option<Self> {
        let (scheme, rest) = self.text.split_once("://")?;
        if self.backend == Backend::Sqlite || rest.contains("://") {
            return None;
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
        let text =
            format!("{scheme}://{}:{}@{hosts}{path}", percent_encoded(user), percent_encoded(password));
        Some(Self { text, backend: self.backend })
    }

    /// The same place without its password, and the password: for programs whose arguments everybody sees.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] when it is doubtful where the password is.
    pub fn without_password(&self) -> Result<(Self, Option<String>), Error> {
        let wrong = |problem: &str| Error::Address { address: self.to_string(), problem: problem.to_owned() };
        let Some((scheme, rest)) = self.text.split_once("://").filter(|_| self.backend != Backend::Sqlite)
        else {
            return Ok((self.clone(), None));
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path_alone, parameters) = path.split_once('?').unwrap_or((path, ""));
        if path_alone.contains('@') || rest.contains("://") {
            return Err(wrong("in a login, write `/`, `?` and `@` as %2F, %3F and %40, and give one server"));
        }
        if parameters.split('&').any(|parameter| parameter.starts_with("password=")) {
            return Err(wrong("the password stands before the host, `user:password@host`"));
        }
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let Some((user, password)) = login.split_once(':') else { return Ok((self.clone(), None)) };
        let password = percent_decoded(password).ok_or_else(|| wrong("a `%` of the password is no `%XX`"))?;
        let at = if user.is_empty() { "" } else { "@" };
        let text = format!("{scheme}://{user}{at}{hosts}{path}");
        Ok((Self { text, backend: self.backend }, Some(password)))
    }

    /// The file of a [`Backend::Sqlite`] address.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        let path = self.text.strip_prefix("sqlite:")?;
        Some(PathBuf::from(path.strip_prefix("//").unwrap_or(path)))
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fail = |problem: String| Err(Error::Address { address: masked(text), problem });
        let Some((scheme, rest)) = text.split_once(':') else {
            return fail(
                "write it like \"sqlite:queue.db\", \"postgres://…\", \"redis://…\" or \"nats://…\""
                    .to_owned(),
            );
        };
        let backend = match scheme {
            "sqlite" => Backend::Sqlite,
            "postgres" | "postgresql" => Backend::Postgres,
            "redis" | "rediss" | "redis+sentinel" | "rediss+sentinel" | "redis+cluster"
            | "rediss+cluster" => Backend::Redis,
            "nats" | "tls" => Backend::Nats,
            other => {
                return fail(format!(
                    "`{other}` is not known here; known are sqlite, postgres, redis, rediss, redis+sentinel, redis+cluster, nats \
                     and tls"
                ));
            }
        };
        let place = rest.trim_start_matches("//");
        if place.is_empty() {
            return fail(match backend {
                Backend::Sqlite => "it names no file; \"sqlite:queue.db\" does".to_owned(),
                _ => format!("it names no host; \"{scheme}://localhost\" does"),
            });
        }
        if backend != Backend::Sqlite && !rest.starts_with("//") {
            return fail(format!("`//` is missing; write \"{}\"", masked(&format!("{scheme}://{place}"))));
        }
        Ok(Self { text: text.to_owned(), backend })
    }
}

/// As a part of a URL: what RFC 3986 leaves free stays, every other byte becomes `%XX`.
fn percent_encoded(text: &str) -> String {
    use fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _infallible = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The text that was percent-encoded, if it was, and is UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// `text` with the password of every `user:password@` hidden. Where it is doubtful where one ends, too much is hidden.
fn masked(text: &str) -> String {
    let hide = |address: &str| {
        let Some((before, host)) = address.rsplit_once('@') else { return address.to_owned() };
        // The colon of `scheme://` is none of a login's, if it stands before one.
        let login =
            before.find("://").filter(|at| !before.get(..*at).is_some_and(|start| start.contains('@')));
        let login = login.map_or(0, |at| at + 3);
        match before.get(login..).and_then(|rest| rest.find(':')) {
            Some(colon) => format!("{}:***@{host}", before.get(..login + colon).unwrap_or_default()),
            None => address.to_owned(),
        }
    };
    // A comma begins another address of a list, another host of one address, or stands in a password.
    let mut addresses: Vec<String> = Vec::new();
    for part in text.split(',') {
        match addresses.last_mut() {
            Some(last) if !part.contains("://") => *last = format!("{last},{part}"),
            _ => addresses.push(part.to_owned()),
        }
    }
    addresses.iter().map(|address| hide(address)).collect::<Vec<_>>().join(",")
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name of a file is no secret, whatever is in it.
        if self.backend == Backend::Sqlite {
            return f.write_str(&self.text);
        }
        f.write_str(&masked(&self.text))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // A failing expectation fails the test.
    use super::*;

    #[test]
    fn the_scheme_names_the_back_end() {
        for (text, backend) in [
            ("sqlite:a/b.db", Backend::Sqlite),
            ("postgresql://db/docs", Backend::Postgres),
            ("rediss://cache", Backend::Redis),
            ("redis+sentinel://one,two?master=main", Backend::Redis),
            ("nats://one:4222,nats://two:4222", Backend::Nats),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().backend(), backend);
        }
        let absolute: Address = "sqlite:///var/lib/queue.db".parse().unwrap();
        assert_eq!(absolute.path().unwrap(), Path::new("/var/lib/queue.db"));
    }

    #[test]
    fn a_wrong_address_says_what_would_do() {
        for (text, told) in [
            ("queue.db", "write it like"),
            ("mysql://db", "known are sqlite"),
            ("redis://", "redis://localhost"),
            ("redis:cache", "redis://cache"),
            ("sqlite:", "sqlite:queue.db"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_login_takes_the_place_of_another() {
        for (before, after) in [
            (
                "postgres://old:pw@one,two:5433/db?sslmode=require",
                "postgres://a%20b:c%40%2F@one,two:5433/db?sslmode=require",
            ),
            ("redis://cache", "redis://a%20b:c%40%2F@cache"),
            ("postgres://host?host=@x", "postgres://a%20b:c%40%2F@host?host=@x"),
        ] {
            let address: Address = before.parse().unwrap();
            assert_eq!(address.with_login("a b", "c@/").unwrap().expose(), after);
        }
        for other in ["sqlite:queue.db", "nats://one:4222,nats://two:4222"] {
            assert_eq!(other.parse::<Address>().unwrap().with_login("a", "b"), None);
        }
    }

    #[test]
    fn a_password_is_taken_out_whole_or_not_at_all() {
        for (before, after, password) in [
            ("postgres://a:b%20%40%c3%a4@one,two:5/db?x=1", "postgres://a@one,two:5/db?x=1", Some("b @ä")),
            ("redis://:pw@cache:1/0", "redis://cache:1/0", Some("pw")),
            ("redis://user@cache", "redis://user@cache", None),
            ("sqlite:/a:b@c", "sqlite:/a:b@c", None),
        ] {
            let (address, found) = before.parse::<Address>().unwrap().without_password().unwrap();
            assert_eq!((address.expose(), found.as_deref()), (after, password));
        }
        for doubtful in [
            "postgres://a:top/secret@db",
            "postgres://a@db/x?password=b",
            "postgres://a:b%2@db",
            "postgres://a:b%ff@db",
            "nats://a:b@one,nats://c:d@two",
        ] {
            let error = doubtful.parse::<Address>().unwrap().without_password().unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        let address: Address = "nats://a:one@x,nats://b:two:3@y".parse().unwrap();
        assert_eq!(
            format!("{address} {address:?}"),
            "nats://a:***@x,nats://b:***@y Address(nats://a:***@x,nats://b:***@y)"
        );
        assert_eq!(masked("mysql://root:top/secret@db"), "mysql://root:***@db");
        assert_eq!(masked("nas:t//user:pw@one,nats://user:pw@two"), "nas:***@one,nats://user:***@two");
        assert_eq!(masked("user:pw@redis://host"), "user:***@redis://host");
        assert_eq!(masked("redis+cluster://a:b,c@one:1,two:2"), "redis+cluster://a:***@one:1,two:2");
    }
}
