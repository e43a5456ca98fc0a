//! Wycheproof's vectors, on the calls of ring that sealing makes.

use data_encoding::HEXLOWER;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use serde_json::Value;

fn tests(text: &str, expected: usize) -> Vec<Value> {
    let tests: Vec<Value> = serde_json::from_str(text).unwrap();
    assert_eq!(tests.len(), expected);
    tests
}

fn bytes(test: &Value, member: &str) -> Vec<u8> {
    HEXLOWER.decode(test[member].as_str().unwrap().as_bytes()).unwrap()
}

#[test]
fn aes_256_gcm() {
    for test in tests(include_str!("../vectors/wycheproof_aes_256_gcm.json"), 66) {
        let get = |member| bytes(&test, member);
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &get("key")).unwrap());
        let nonce = || Nonce::try_assume_unique_for_key(&get("iv")).unwrap();
        let aad = || Aad::from(get("aad"));
        let valid = test["result"] == "valid";

        let mut text = get("ct");
        let tag = Tag::try_from(&get("tag")[..]).unwrap();
        let opened = key.open_in_place_separate_tag(nonce(), aad(), tag, &mut text, 0..);
        assert_eq!(opened.is_ok(), valid, "{test}");

        let mut text = get("msg");
        let tag = key.seal_in_place_separate_tag(nonce(), aad(), &mut text).unwrap();
        assert_eq!((text, tag.as_ref().to_vec()) == (get("ct"), get("tag")), valid, "{test}");
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[test]
fn hkdf_sha_256() {
    for test in tests(include_str!("../vectors/wycheproof_hkdf_sha256.json"), 86) {
        let get = |member| bytes(&test, member);
        let size = usize::try_from(test["size"].as_u64().unwrap()).unwrap();
        let prk = Salt::new(HKDF_SHA256, &get("salt")).extract(&get("ikm"));
        let mut okm = vec![0; size];
        let info = get("info");
        let filled = prk.expand(&[&info], Length(size)).and_then(|out| out.fill(&mut okm));
        assert_eq!(filled.is_ok(), test["result"] == "valid", "{test}");
        assert!(filled.is_err() || okm == get("okm"), "{test}");
    }
}
