//! The master key, sealed with a password.

use jiff::Timestamp;
use scrypt::Params;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Malformed;
use super::crypto::{SealKey, fill_random};
use crate::{Error, threads};

/// A key object: plain JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyFile {
    pub(crate) created: Timestamp,
    pub(crate) username: String,
    pub(crate) hostname: String,
    pub(crate) kdf: String,
    #[serde(rename = "N")]
    pub(crate) n: u64,
    pub(crate) r: u32,
    pub(crate) p: u32,
    #[serde(with = "base64")]
    pub(crate) salt: Vec<u8>,
    #[serde(with = "base64")]
    pub(crate) data: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct MasterKey {
    mac: MacKey,
    encrypt: Zeroizing<String>,
}

#[derive(Serialize, Deserialize)]
struct MacKey {
    k: Zeroizing<String>,
    r: Zeroizing<String>,
}

/// What deriving a key costs: 16 MiB, and some 0.15 s. OWASP has N = 2^14 and p = 5 for as strong as eight times the memory and p = 1.
const LOG_N: u8 = 14;
const R: u32 = 8;
const P: u32 = 5;
/// The dearest parameters that are tried: 1 GiB. A key object is not authenticated before it is opened.
pub(crate) const MOST_MEMORY: u64 = 1 << 30;
const MOST_P: u32 = 64;

impl KeyFile {
    /// Seals `master` with a password.
    pub(crate) fn seal(
        master: &SealKey,
        password: &SecretString,
        created: Timestamp,
        username: String,
        hostname: String,
    ) -> Result<Self, Error> {
        let mut salt = vec![0; 64];
        fill_random(&mut salt)?;
        let internal = |problem: String| Error::Internal { problem };
        let params = Params::new(LOG_N, R, P).map_err(|error| internal(error.to_string()))?;
        let encode = |bytes: &[u8]| Zeroizing::new(data_encoding::BASE64.encode(bytes));
        let plain = MasterKey {
            mac: MacKey { k: encode(&master.mac_k), r: encode(&master.mac_r) },
            encrypt: encode(&master.encrypt),
        };
        let plain = serde_json::to_vec(&plain).map_err(|error| internal(error.to_string()))?;
        let data = derive(password, &salt, &params)?.seal(&Zeroizing::new(plain))?;
        let kdf = "scrypt".to_owned();
        Ok(Self { created, username, hostname, kdf, n: 1 << LOG_N, r: R, p: P, salt, data })
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        serde_json::from_slice(bytes).map_err(|error| Malformed::json("its JSON", &error))
    }

    /// The master key; none if the password is another.
    pub(crate) fn open(&self, password: &SecretString) -> Result<Option<SealKey>, Malformed> {
        let params = self.params()?;
        let user =
            derive(password, &self.salt, &params).map_err(|error| Malformed::new(error.to_string()))?;
        let mut plain = Zeroizing::new(Vec::new());
        if !user.open(&self.data, &mut plain) {
            return Ok(None);
        }
        let master: MasterKey =
            serde_json::from_slice(&plain).map_err(|error| Malformed::json("the master key", &error))?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(64));
        for (part, length) in [(&master.encrypt, 32), (&master.mac.k, 16), (&master.mac.r, 16)] {
            let decoded = data_encoding::BASE64.decode(part.as_bytes()).map(Zeroizing::new);
            let decoded = decoded.ok().filter(|bytes| bytes.len() == length);
            bytes.extend_from_slice(
                &decoded.ok_or_else(|| Malformed::new("the master key is no base 64 of its length"))?,
            );
        }
        let bytes = bytes.first_chunk().ok_or_else(|| Malformed::new("the master key is too short"))?;
        Ok(Some(SealKey::from_bytes(bytes)))
    }

    /// What trying a password takes, in bytes; an error if it would be too much.
    #[cfg(feature = "test-util")]
    pub(crate) fn memory(&self) -> Result<u64, Malformed> {
        self.params()?;
        Ok(self.n.saturating_mul(u64::from(self.r)).saturating_mul(128))
    }

    fn params(&self) -> Result<Params, Malformed> {
        let refused = |problem: &str| Malformed::new(format!("its key derivation {problem}"));
        if self.kdf != "scrypt" {
            return Err(refused("is not scrypt"));
        }
        if !self.n.is_power_of_two() || self.n < 2 || self.p > MOST_P {
            return Err(refused("has parameters that scrypt does not have"));
        }
        if self.n.saturating_mul(u64::from(self.r)).saturating_mul(128) > MOST_MEMORY {
            return Err(refused("asks for more than 1 GiB"));
        }
        let log_n = u8::try_from(self.n.ilog2()).map_err(|_| refused("is too dear"))?;
        Params::new(log_n, self.r, self.p).map_err(|_| refused("has parameters that scrypt does not have"))
    }
}

fn derive(password: &SecretString, salt: &[u8], params: &Params) -> Result<SealKey, Error> {
    let mut bytes = Zeroizing::new([0; 64]);
    // On a thread that ends: its memory, which the allocator keeps for it, is that of the next thread then.
    let derived = std::thread::scope(|scope| {
        let password = password.expose_secret().as_bytes();
        let derive = || Ok(scrypt::scrypt(password, salt, params, bytes.as_mut_slice()));
        threads::join(scope.spawn(derive))
    })?;
    derived.map_err(|error| Error::Internal { problem: error.to_string() })?;
    Ok(SealKey::from_bytes(&bytes))
}

/// Bytes as base 64 in JSON.
pub(crate) mod base64 {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&data_encoding::BASE64.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        data_encoding::BASE64.decode(text.as_bytes()).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::format::newer::newer;

    #[test]
    fn what_a_newer_program_says_in_a_key_is_passed_over() {
        let (password, salt) = (SecretString::from("any"), vec![7; 64]);
        let encode = |length: usize| Zeroizing::new(data_encoding::BASE64.encode(&vec![3; length]));
        let master = MasterKey { mac: MacKey { k: encode(16), r: encode(16) }, encrypt: encode(32) };
        let master = newer(serde_json::to_value(&master).expect("JSON")).to_string();
        let params = Params::new(1, 1, 1).expect("parameters");
        let user = derive(&password, &salt, &params).expect("derived");
        let data = user.seal(master.as_bytes()).expect("sealed");
        let (username, hostname, kdf) = (String::new(), String::new(), "scrypt".to_owned());
        let file =
            KeyFile { created: Timestamp::UNIX_EPOCH, username, hostname, kdf, n: 2, r: 1, p: 1, salt, data };
        let json = newer(serde_json::to_value(&file).expect("JSON")).to_string();
        let read = KeyFile::parse(json.as_bytes()).expect("a key");
        assert_eq!(read, file);
        let opened = read.open(&password).expect("a master key").expect("the password is right");
        assert_eq!(opened.encrypt.as_slice(), [3; 32]);
    }
}
