//! The layer as clients see it.
#![cfg(feature = "tower")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing expectation fails the test")]

mod tokens;

use std::convert::Infallible;

use buttress_access::jwt::{Algorithm, Signer, Verifier};
use buttress_access::keys::{ApiKeys, ApiKeysConfig, IssuedKey, MemoryKeys, NewKey, Peppers};
use buttress_access::layer::AuthLayer;
use buttress_access::{Principal, PrincipalKind};
use buttress_core::{Ctx, Key, TestClock};
use http::{Request, Response};
use tokens::{claims, config, signing};
use tower::{Layer, ServiceExt, service_fn};

struct Scene {
    keys: ApiKeys,
    issued: IssuedKey,
    signer: Signer,
    layer: AuthLayer,
}

async fn scene() -> Scene {
    let ctx = Ctx { clock: TestClock::new().shared(), ..Ctx::default() };
    let peppers = Peppers::new(1, &[1; 32]).unwrap();
    let keys = ApiKeys::open(&ApiKeysConfig::default(), peppers, MemoryKeys::default(), &ctx).await.unwrap();
    let issued = keys.issue(NewKey::of(Key::new("crawler").unwrap())).await.unwrap();
    let signer = Signer::new(signing(Algorithm::EdDsa, "key"), &ctx);
    let verifier = Verifier::new(&config(), signer.clone(), &ctx).unwrap();
    let layer = AuthLayer::new("docu\"ments").keys(keys.clone()).tokens(verifier);
    Scene { keys, issued, signer, layer }
}

/// A handler that says who asks, and what it sees of the headers.
async fn handle(request: Request<String>) -> Result<Response<String>, Infallible> {
    let principal = request.extensions().get::<Principal>();
    let who =
        principal.map_or("nobody".to_owned(), |principal| format!("{} {:?}", principal.id, principal.kind));
    Ok(Response::new(format!("{who} {:?}", request.headers())))
}

async fn ask(layer: &AuthLayer, headers: &[(&str, &str)]) -> Response<String> {
    let mut request = Request::get("/documents");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    layer.layer(service_fn(handle)).oneshot(request.body(String::new()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn whoever_shows_a_credential_is_known() {
    let Scene { issued, signer, layer, .. } = scene().await;
    let token = signer.sign(&claims()).unwrap();
    let (key, bearer) = (issued.expose(), format!("Bearer {}", issued.expose()));
    for (header, value, expected) in [
        ("authorization", bearer.as_str(), "crawler ApiKey"),
        ("x-api-key", key, "crawler ApiKey"),
        ("authorization", &format!("bearer  {token}"), "user-1 Token"),
    ] {
        let answer = ask(&layer, &[(header, value)]).await;
        assert_eq!(answer.status(), 200);
        assert!(answer.body().starts_with(expected), "{}", answer.body());
        assert!(!answer.body().contains(key) && !answer.body().contains(&token), "what is shown by accident");
    }
}

#[tokio::test]
async fn whoever_does_not_is_told_how_and_not_why() {
    let Scene { keys, issued, layer, .. } = scene().await;
    let nothing = ask(&layer, &[]).await;
    assert_eq!(nothing.status(), 401);
    assert_eq!(nothing.headers()["www-authenticate"], "Bearer realm=\"documents\"");
    assert_eq!(nothing.headers()["content-type"], "application/problem+json");
    let expected = r#"{"type":"urn:buttress:problem:unauthenticated","title":"Unauthorized","status":401,"class":"unauthenticated","code":"credential_required"}"#;
    assert_eq!(nothing.body(), expected);
    let other = ask(&layer, &[("authorization", "Basic dXNlcjpwYXNz")]).await;
    assert_eq!(other.body(), expected, "of another scheme");

    let unknown = scene().await.issued.expose().to_owned();
    keys.revoke(issued.id()).await.unwrap();
    let mut told = Vec::new();
    for key in [issued.expose(), unknown.as_str(), "key_typo", ""] {
        let answer = ask(&layer, &[("x-api-key", key)]).await;
        assert_eq!(answer.status(), 401);
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert_eq!(challenge, "Bearer realm=\"documents\", error=\"invalid_token\"");
        told.push(answer.into_body());
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test]
async fn two_credentials_are_none() {
    let Scene { issued, layer, .. } = scene().await;
    let bearer = format!("Bearer {}", issued.expose());
    for second in ["authorization", "x-api-key"] {
        let answer = ask(&layer, &[("authorization", &bearer), (second, &bearer)]).await;
        assert_eq!(answer.status(), 400);
    }
}

#[tokio::test]
async fn some_paths_and_some_services_are_for_everybody() {
    let Scene { issued, layer, .. } = scene().await;
    let probe = Request::get("/livez").body(String::new()).unwrap();
    let answer = layer.layer(service_fn(handle)).oneshot(probe).await.unwrap();
    assert!(answer.body().starts_with("nobody"));
    let optional = layer.clone().optional();
    assert!(ask(&optional, &[]).await.body().starts_with("nobody"));
    assert_eq!(ask(&optional, &[("x-api-key", "key_typo")]).await.status(), 401);
    assert_eq!(ask(&layer, &[]).await.status(), 401, "the other one stays as it was");
    // Who is known by a session needs no other credential; one that is shown counts.
    let mut request = Request::get("/documents").body(String::new()).unwrap();
    let by_session = Principal::new(PrincipalKind::Session, Key::new("user-2").unwrap());
    request.extensions_mut().insert(by_session);
    let answer = layer.layer(service_fn(handle)).oneshot(request.clone()).await.unwrap();
    assert!(answer.body().starts_with("user-2 Session"));
    request.headers_mut().insert("x-api-key", issued.expose().parse().unwrap());
    let answer = layer.layer(service_fn(handle)).oneshot(request).await.unwrap();
    assert!(answer.body().starts_with("crawler ApiKey"));
}
