//! The examples of RFC 7515 to 7519 and RFC 8037.
#![allow(clippy::unwrap_used, reason = "a failing expectation fails the test")]

mod tokens;

use std::time::{Duration, SystemTime};

use buttress_access::Refusal;
use buttress_access::jwt::{Algorithm, KeySet, TokenConfig, VerifyingKey, verify};
use tokens::{decode, encode, parts};

/// The payload of RFC 7515, A.1 to A.5, and of RFC 7519, 3.1 and 6.1. It names no audience.
const JOE: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const HS256: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const HS256_KEY: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const RS256: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const RS256_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const ES256: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
const ES256_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const ES256_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const EDDSA: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
const EDDSA_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
/// RFC 7517, A.1.
const A_SET: &str = r#"{"keys":
    [
      {"kty":"EC",
       "crv":"P-256",
       "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
       "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
       "use":"enc",
       "kid":"1"},
      {"kty":"RSA",
       "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
       "e":"AQAB",
       "alg":"RS256",
       "kid":"2011-04-29"}
    ]
  }"#;

/// Shortly before the tokens of the examples expire.
fn then() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_300_819_379)
}

/// What is said of a token once its signature holds, and when it does not.
fn look(token: &str, key: VerifyingKey) -> [Refusal; 2] {
    let keys = KeySet::new([key]).unwrap();
    let [header, payload, signature] = parts(token);
    let mut other = decode(signature);
    *other.last_mut().unwrap() ^= 1;
    let other = format!("{header}.{payload}.{}", encode(other));
    [token, &other].map(|token| verify(token, &keys, &TokenConfig::of("joe", "us"), then()).unwrap_err())
}

#[test]
fn signatures_of_the_examples_hold() {
    let examples = [
        (
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
            HS256,
            VerifyingKey::hmac(Algorithm::Hs256, &decode(HS256_KEY)),
        ),
        ("eyJhbGciOiJSUzI1NiJ9", RS256, VerifyingKey::rsa(Algorithm::Rs256, &decode(RS256_N), &[1, 0, 1])),
        (
            "eyJhbGciOiJFUzI1NiJ9",
            ES256,
            VerifyingKey::ec(Algorithm::Es256, &decode(ES256_X), &decode(ES256_Y)),
        ),
    ];
    for (header, signature, key) in examples {
        let token = format!("{header}.{JOE}.{signature}");
        // The signature holds, the issuer is right and the time has not come: all that is missing is for whom it is.
        assert_eq!(look(&token, key.unwrap()), [Refusal::MissingClaim("aud"), Refusal::Signature]);
    }
    // RFC 8037, A.4: signed, but what is signed are no claims.
    let key = VerifyingKey::ed25519(&decode(EDDSA_X)).unwrap();
    assert_eq!(look(EDDSA, key), [Refusal::Malformed, Refusal::Signature]);
}

#[test]
fn what_is_not_signed_as_we_sign_is_refused() {
    let key = VerifyingKey::hmac(Algorithm::Hs256, &decode(HS256_KEY)).unwrap();
    let keys = KeySet::new([key]).unwrap();
    let refusal = |token: &str| verify(token, &keys, &TokenConfig::of("joe", "us"), then()).unwrap_err();
    // RFC 7515, A.5, and RFC 7519, 6.1: not secured.
    assert_eq!(refusal(&format!("eyJhbGciOiJub25lIn0.{JOE}.")), Refusal::Algorithm);
    // RFC 7515, A.4: ES512, which is not there.
    assert_eq!(refusal(&format!("eyJhbGciOiJFUzUxMiJ9.{JOE}.AdwM")), Refusal::Algorithm);
    // RFC 7516: encrypted, in five parts.
    assert_eq!(refusal("eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.AA.AA.AA.AA"), Refusal::Type);
    // RFC 7515, A.6: in JSON.
    assert_eq!(refusal(&format!(r#"{{"payload":"{JOE}","signatures":[]}}"#)), Refusal::Malformed);
    // A whole second later it is over.
    let over = then() + Duration::from_secs(31);
    let token = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}.{HS256}");
    assert_eq!(verify(&token, &keys, &TokenConfig::of("joe", "us"), over).unwrap_err(), Refusal::Expired);
}

#[test]
fn a_set_is_read_and_written() {
    let set = KeySet::parse(A_SET.as_bytes()).unwrap();
    let keys: Vec<_> = set.iter().map(|key| (key.kid(), key.algorithm())).collect();
    // The other one is for encryption.
    assert_eq!(keys, [(Some("2011-04-29"), Algorithm::Rs256)]);
    let again = KeySet::parse(set.to_jwks().as_bytes()).unwrap();
    assert_eq!(again.to_jwks(), set.to_jwks());
    assert!(
        set.to_jwks()
            .contains("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6")
    );
}
