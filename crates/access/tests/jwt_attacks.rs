//! Classic attacks on tokens, each with the reason for which it must be refused.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing expectation fails the test"
)]

mod tokens;

use std::time::Duration;

use buttress_access::Refusal;
use buttress_access::jwt::{Algorithm, Claims, KeySet, SigningKey, TokenConfig, VerifyingKey, verify};
use proptest::prelude::*;
use ring::hmac;
use tokens::{AUDIENCE, ISSUER, RSA, claims, config, decode, encode, now, parts, set, signing};

/// A token by whoever has the secret: any header, any payload.
fn forge(header: &str, payload: &str, secret: &[u8]) -> String {
    let signed = format!("{}.{}", encode(header), encode(payload));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", encode(signature))
}

fn body() -> String {
    let end = now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 60;
    format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"admin","exp":{end}}}"#)
}

/// The order of the group of Ed25519, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The same signature with S + L in the place of S: it holds by the equation, and RFC 8032 refuses it.
fn malleable(token: &str) -> String {
    let [header, payload, signature] = parts(token);
    let mut bytes = decode(signature);
    let mut carry = 0_u16;
    for (place, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*place) + u16::from(order) + carry;
        [*place, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    format!("{header}.{payload}.{}", encode(bytes))
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table of attacks")]
fn every_classic_attack_is_refused_for_its_reason() {
    let secret = [7; 64];
    let shared = signing(Algorithm::Hs256, "shared");
    let [rsa, ec, ed] = [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];
    let [rsa, ec, ed] =
        [(rsa, "rsa"), (ec, "ec"), (ed, "ed")].map(|(algorithm, kid)| signing(algorithm, kid));
    let keys = set([&shared, &rsa, &ec, &ed]);
    let refusal = |token: &str| match verify(token, &keys, &config(), now()) {
        Ok(claims) => panic!("accepted: {token} {claims:?}"),
        Err(why) => why,
    };
    let check = |name: &str, token: String, expected: Refusal| {
        assert_eq!(refusal(&token), expected, "{name}: {token}");
    };
    let good = shared.sign(&claims()).unwrap();
    verify(&good, &keys, &config(), now()).unwrap();
    let [header, payload, signature] = parts(&good);
    let by_secret = |header: &str| forge(header, &body(), &secret);
    verify(&by_secret(r#"{"alg":"HS256","kid":"shared"}"#), &keys, &config(), now()).unwrap();

    // None, in any case, with and without a signature.
    for none in ["none", "None", "NONE", "nOnE", "", "null"] {
        for last in ["", signature] {
            let header = format!(r#"{{"alg":"{none}","kid":"shared"}}"#);
            check("none", format!("{}.{payload}.{last}", encode(header)), Refusal::Algorithm);
        }
    }
    for header in
        [r#"{"kid":"shared"}"#, r#"{"alg":null,"kid":"shared"}"#, r#"{"alg":["HS256"],"kid":"shared"}"#]
    {
        check("no algorithm", by_secret(header), Refusal::Malformed);
    }
    check("no signature", format!("{header}.{payload}."), Refusal::Signature);

    // The public key, which everybody knows, as the secret of HMAC.
    let public = set([&rsa]).to_jwks();
    for text in [public.as_bytes(), RSA] {
        let token = forge(r#"{"alg":"HS256","kid":"rsa"}"#, &body(), text);
        check("confusion", token, Refusal::Algorithm);
    }
    check(
        "another algorithm of the same family",
        by_secret(r#"{"alg":"HS384","kid":"shared"}"#),
        Refusal::Algorithm,
    );
    check("lower case", by_secret(r#"{"alg":"hs256","kid":"shared"}"#), Refusal::Algorithm);

    // The name of a key is no path, no query and no command.
    for kid in ["../../../../dev/null", "/dev/null", "https://evil.example/key", "shared/../rsa", "SHARED"] {
        check("kid", by_secret(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#)), Refusal::Unknown);
    }
    let long = "k".repeat(129);
    for kid in ["' UNION SELECT 'x", "shared\\u0000", "|ls", "", "shared ", &long] {
        check("kid", by_secret(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#)), Refusal::Malformed);
    }
    check("kid is a number", by_secret(r#"{"alg":"HS256","kid":7}"#), Refusal::Malformed);
    check("kid of another", by_secret(r#"{"alg":"HS256","kid":"ed"}"#), Refusal::Algorithm);

    // A key in the token, or a place of one.
    let mine = signing(Algorithm::EdDsa, "mine");
    let own = set([&mine]).to_jwks();
    let brought = own.trim_start_matches("{\"keys\":[").trim_end_matches("]}");
    let [_, body_of_mine, signature_of_mine] = parts(&mine.sign(&claims()).unwrap()).map(str::to_owned);
    for header in [
        format!(r#"{{"alg":"EdDSA","kid":"mine","jwk":{brought}}}"#),
        r#"{"alg":"EdDSA","kid":"mine","jku":"https://evil.example/jwks.json"}"#.to_owned(),
        r#"{"alg":"EdDSA","kid":"mine","x5u":"https://evil.example/cert"}"#.to_owned(),
    ] {
        let token = format!("{}.{body_of_mine}.{signature_of_mine}", encode(header));
        check("a key of the attacker", token, Refusal::Unknown);
    }
    let header_of_mine = encode(format!(r#"{{"alg":"EdDSA","kid":"ed","jwk":{brought}}}"#));
    let token = format!("{header_of_mine}.{body_of_mine}.{signature_of_mine}");
    check("a key of the attacker by our name", token, Refusal::Signature);

    // Extensions that must be understood.
    check("crit", by_secret(r#"{"alg":"HS256","kid":"shared","crit":["exp"],"exp":1}"#), Refusal::Critical);
    check("b64", by_secret(r#"{"alg":"HS256","kid":"shared","b64":false}"#), Refusal::Critical);
    check("nested", by_secret(r#"{"alg":"HS256","kid":"shared","cty":"JWT"}"#), Refusal::Type);
    let nested = forge(r#"{"alg":"HS256","kid":"shared"}"#, &good, &secret);
    check("nested, not said so", nested, Refusal::Malformed);
    check("compressed", by_secret(r#"{"alg":"HS256","kid":"shared","zip":"DEF"}"#), Refusal::Type);

    // Two members of one name: others may read the other one.
    check("alg twice", by_secret(r#"{"alg":"none","kid":"shared","alg":"HS256"}"#), Refusal::Duplicate);
    let twice = body().replace(r#""sub":"#, r#""sub":"user","\u0073ub":"#);
    check("sub twice", forge(r#"{"alg":"HS256","kid":"shared"}"#, &twice, &secret), Refusal::Duplicate);

    // Another text for the same bytes, further parts, and other forms.
    let last = signature.len() - 1;
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(&signature[last..]).unwrap();
    let next = &alphabet[at + 1..=at + 1]; // the bits beyond the last byte are not zero
    check("trailing bits", format!("{header}.{payload}.{}{next}", &signature[..last]), Refusal::Malformed);
    for token in [
        format!("{good}="),
        format!("{good} "),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{header}.{payload}.{signature}A"),
        format!("{header}+.{payload}.{signature}"),
        format!("{header}\n.{payload}.{signature}"),
        format!("{header}.{payload}"),
        format!("{header}..{payload}"),
        "..".to_owned(),
        ".".to_owned(),
        String::new(),
    ] {
        assert!(matches!(refusal(&token), Refusal::Malformed | Refusal::Signature), "{token}");
    }
    for token in
        [format!("{good}.AAAA"), format!("{good}."), format!("{header}.{payload}.{payload}.{signature}")]
    {
        check("a further part", token, Refusal::Signature);
    }
    check("oversized", format!("{good}{}", "A".repeat(8 * 1_024)), Refusal::TooLarge);
    let wide = format!(r#"{{"alg":"HS256","kid":"shared","x":"{}"}}"#, "x".repeat(2_000));
    check("oversized header", by_secret(&wide), Refusal::TooLarge);
    let deep = format!(r#"{{"alg":"HS256","kid":"shared","x":{}{}}}"#, "[".repeat(100), "]".repeat(100));
    check("deep header", by_secret(&deep), Refusal::Malformed);

    // Signatures that hold for other reasons than a key.
    let [ec_header, ec_payload, _] = parts(&ec.sign(&claims()).unwrap()).map(str::to_owned);
    let mut one = [0; 64];
    one[63] = 1;
    for (name, psychic) in [("zero r and s", [0; 64]), ("zero r", one), ("as large as may be", [0xff; 64])] {
        check(name, format!("{ec_header}.{ec_payload}.{}", encode(psychic)), Refusal::Signature);
    }
    let token = ed.sign(&claims()).unwrap();
    verify(&token, &keys, &config(), now()).unwrap();
    check("malleable S", malleable(&token), Refusal::Signature);
    check(
        "the signature of another token",
        format!("{}.{signature}", &token[..token.rfind('.').unwrap()]),
        Refusal::Signature,
    );
}

/// What a token that is signed rightly says, and why it is refused nevertheless.
#[test]
fn claims_that_are_not_for_us_now_are_refused() {
    let key = signing(Algorithm::Hs256, "shared");
    let keys = set([&key]);
    let at = |minutes: u64| now() + Duration::from_mins(minutes);
    let before = |minutes: u64| now() - Duration::from_mins(minutes);
    let bare = || Claims::new().subject("user-1");
    let odd = |name, value: serde_json::Value| claims().with(name, value).unwrap();
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let table = [
        ("no audience", bare().issuer(ISSUER).expires(at(1)), Refusal::MissingClaim("aud")),
        ("foreign audience", claims().audience("billing"), Refusal::Audience),
        ("audience with a longer name", claims().audience("documents.evil"), Refusal::Audience),
        ("no audience in the list", odd("aud", json("[]")), Refusal::Audience),
        ("audience is no text", odd("aud", json("[\"documents\", 7]")), Refusal::WrongClaim("aud")),
        ("audience is an object", odd("aud", json("{}")), Refusal::WrongClaim("aud")),
        ("no issuer", bare().audience(AUDIENCE).expires(at(1)), Refusal::MissingClaim("iss")),
        ("wrong issuer", claims().issuer("https://evil.example"), Refusal::Issuer),
        ("issuer with a slash more", claims().issuer("https://login.example/"), Refusal::Issuer),
        ("issuer is a list", odd("iss", json(&format!("[\"{ISSUER}\"]"))), Refusal::WrongClaim("iss")),
        ("no end", bare().issuer(ISSUER).audience(AUDIENCE), Refusal::MissingClaim("exp")),
        ("expired", claims().expires(before(1)), Refusal::Expired),
        ("expired for ever", odd("exp", json("0")), Refusal::Expired),
        ("end is text", odd("exp", json("\"9999999999\"")), Refusal::WrongClaim("exp")),
        ("end is no time", odd("exp", json("1e300")), Refusal::WrongClaim("exp")),
        ("end is before time", odd("exp", json("-1")), Refusal::WrongClaim("exp")),
        ("not yet", claims().not_before(at(1)), Refusal::NotYetValid),
        ("issued tomorrow", claims().issued(at(60 * 24)), Refusal::NotYetValid),
        ("begin is null", odd("nbf", json("null")), Refusal::WrongClaim("nbf")),
    ];
    for (name, claims, expected) in table {
        let token = key.sign(&claims).unwrap();
        assert_eq!(verify(&token, &keys, &config(), now()).unwrap_err(), expected, "{name}");
    }
    for fine in [
        claims().expires(now() - Duration::from_secs(29)), // the leeway
        claims().not_before(now() + Duration::from_secs(29)),
        odd("aud", json("[\"billing\", \"documents\"]")),
        odd("exp", json("1893456000.5")),
    ] {
        verify(&key.sign(&fine).unwrap(), &keys, &config(), now()).unwrap();
    }
}

#[test]
fn a_type_that_is_asked_for_must_be_there() {
    let plain = signing(Algorithm::EdDsa, "key");
    let access = plain.clone().token_type("at+jwt");
    let full = plain.clone().token_type("Application/AT+JWT");
    let keys = set([&plain]);
    let mut config = config();
    config.token_type = Some("at+jwt".to_owned());
    let look =
        |key: &SigningKey, config: &TokenConfig| verify(&key.sign(&claims()).unwrap(), &keys, config, now());
    assert_eq!(look(&plain, &config).unwrap_err(), Refusal::Type);
    look(&access, &config).unwrap();
    look(&full, &config).unwrap();
    look(&plain, &tokens::config()).unwrap();
}

#[test]
fn keys_that_prove_nothing_are_not_taken() {
    for (algorithm, length) in [(Algorithm::Hs256, 31), (Algorithm::Hs384, 47), (Algorithm::Hs512, 63)] {
        assert!(VerifyingKey::hmac(algorithm, &vec![1; length]).is_err());
        VerifyingKey::hmac(algorithm, &vec![1; length + 1]).unwrap();
    }
    assert!(VerifyingKey::hmac(Algorithm::Rs256, &[1; 64]).is_err(), "of another kind");
    let pem = b"-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA";
    assert!(VerifyingKey::hmac(Algorithm::Hs256, pem).is_err(), "a public key is no secret");
    let short = include_bytes!("test_keys/rsa_1024.pk8");
    assert!(SigningKey::from_pkcs8(Algorithm::Rs256, "short", short).is_err());
    let mut n = [0xff; 256];
    assert!(VerifyingKey::rsa(Algorithm::Rs256, &n, &[1, 0, 1]).is_ok());
    n[0] = 0x7f;
    assert!(VerifyingKey::rsa(Algorithm::Rs256, &n, &[1, 0, 1]).is_err(), "2047 bits");
    assert!(VerifyingKey::rsa(Algorithm::Rs256, &[0xff; 256], &[1]).is_err(), "an exponent of one");
    assert!(VerifyingKey::rsa(Algorithm::Rs256, &[0xff; 256], &[2]).is_err());
    assert!(VerifyingKey::rsa(Algorithm::Rs256, &[0xff; 1025], &[3]).is_err(), "too long");
    assert!(VerifyingKey::rsa(Algorithm::Rs256, &[], &[]).is_err());
    assert!(VerifyingKey::ec(Algorithm::Es256, &[1; 31], &[1; 32]).is_err());
    let mut small = [0; 32];
    assert!(VerifyingKey::ed25519(&small).is_err(), "small order");
    small[0] = 1;
    small[31] = 0x80;
    assert!(VerifyingKey::ed25519(&small).is_err(), "small order, with a sign");
    assert!(VerifyingKey::ed25519(&[0xff; 31]).is_err());
    for kid in ["", "a b", "a\"b", "ä"] {
        assert!(VerifyingKey::ed25519(&[9; 32]).unwrap().named(kid).is_err(), "{kid}");
    }
}

#[test]
fn sets_of_others_are_read_with_care() {
    let key = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let of = |keys: &str| KeySet::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes());
    assert_eq!(of(key).unwrap().iter().count(), 1);
    let secret = r#"{"kty":"oct","alg":"HS256","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
    assert!(of(secret).is_err(), "what is published is no secret");
    assert_eq!(of(&format!("{secret},{key},{{}},[],7")).unwrap().iter().count(), 1);
    assert!(of("").is_err());
    assert!(of(&vec![key; 65].join(",")).is_err());
    assert!(KeySet::parse(b"{\"keys\":[],\"keys\":[]}").is_err());
    assert!(KeySet::parse(&vec![b' '; KeySet::LONGEST + 1]).is_err());
    for other in ["RS256", "none", "HS256"] {
        assert!(of(&key.replace("\"kty\"", &format!("\"alg\":\"{other}\",\"kty\""))).is_err(), "{other}");
    }
    assert!(of(&key.replace("\"kty\"", "\"use\":\"enc\",\"kty\"")).is_err());
    assert!(of(&key.replace("\"kty\"", "\"key_ops\":[\"sign\"],\"kty\"")).is_err());
    assert!(of(&key.replace("\"kty\"", "\"key_ops\":[\"verify\"],\"kty\"")).is_ok());
}

#[test]
fn without_a_name_there_must_be_one_key() {
    let header = r#"{"alg":"HS256"}"#;
    let token = forge(header, &body(), &[7; 64]);
    let one = signing(Algorithm::Hs256, "one");
    verify(&token, &set([&one, &signing(Algorithm::EdDsa, "ed")]), &config(), now()).unwrap();
    let two = set([&one, &signing(Algorithm::Hs256, "two")]);
    assert_eq!(verify(&token, &two, &config(), now()).unwrap_err(), Refusal::Unknown);
}

#[test]
fn what_every_algorithm_signs_it_verifies_and_no_other() {
    let keys: Vec<_> = Algorithm::ALL.map(|algorithm| signing(algorithm, algorithm.as_str())).into();
    let all = set(&keys);
    for key in &keys {
        let token = key.sign(&claims()).unwrap();
        assert_eq!(verify(&token, &all, &config(), now()).unwrap(), claims(), "{key:?}");
        let [header, payload, signature] = parts(&token);
        let other = encode(body());
        assert_eq!(
            verify(&format!("{header}.{other}.{signature}"), &all, &config(), now()).unwrap_err(),
            Refusal::Signature
        );
        let public = key.verifying().clone().named("another").unwrap();
        let renamed = KeySet::new([public]).unwrap();
        assert_eq!(verify(&token, &renamed, &config(), now()).unwrap_err(), Refusal::Unknown);
        let _ = payload;
    }
}

proptest! {
    #[test]
    fn no_text_is_a_token(text in "\\PC{0,200}") {
        let keys = set([&signing(Algorithm::Hs256, "shared")]);
        prop_assert!(verify(&text, &keys, &config(), now()).is_err());
    }

    #[test]
    fn every_change_of_a_token_is_refused(place in 0_usize..400, by in 1_u8..128) {
        let key = signing(Algorithm::Hs256, "shared");
        let mut token = key.sign(&claims()).unwrap().into_bytes();
        let place = place % token.len();
        token[place] = (token[place] ^ by) & 0x7f;
        let token = String::from_utf8(token).unwrap();
        prop_assume!(token != key.sign(&claims()).unwrap());
        prop_assert!(verify(&token, &set([&key]), &config(), now()).is_err());
    }
}
