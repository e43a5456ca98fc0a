//! Every answer has the headers that the configuration says, and pages of other origins may call as it says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::convert::Infallible;

use buttress_access::headers::cors::{Call, Refusal, Verdict};
use buttress_access::headers::csp::{Csp, Source};
use buttress_access::headers::layer::HeadersLayer;
use buttress_access::headers::{CorsConfig, CspConfig, HeadersConfig, Nonce};
use buttress_core::Validate;
use http::{Request, Response};
use proptest::prelude::*;
use tower::{Layer, ServiceExt, service_fn};

fn config(text: &str) -> HeadersConfig {
    toml::from_str(text).unwrap()
}

fn request(method: &str, headers: &[(&str, &str)]) -> Request<String> {
    let builder = Request::builder().method(method).uri("/x");
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    builder.body(String::new()).unwrap()
}

/// The answer to a request, of a handler that sets `own` and answers with the nonce.
async fn answer(
    text: &str,
    request: Request<String>,
    own: &'static [(&'static str, &'static str)],
) -> Response<String> {
    let handler = service_fn(move |request: Request<String>| async move {
        let nonce = request.extensions().get::<Nonce>().map_or("", Nonce::as_str).to_owned();
        let builder =
            own.iter().fold(Response::builder(), |builder, (name, value)| builder.header(*name, *value));
        Ok::<_, Infallible>(builder.body(format!("handled {nonce}")).unwrap())
    });
    HeadersLayer::new(&config(text)).unwrap().layer(handler).oneshot(request).await.unwrap()
}

fn header<'r>(response: &'r Response<String>, name: &str) -> Option<&'r str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn the_defaults_are_strict() {
    let response = answer("", request("GET", &[]), &[]).await;
    for (name, expected) in [
        (
            "content-security-policy",
            Some("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
        ),
        ("strict-transport-security", Some("max-age=31536000; includeSubDomains")),
        ("x-content-type-options", Some("nosniff")),
        ("x-frame-options", Some("DENY")),
        ("referrer-policy", Some("strict-origin-when-cross-origin")),
        (
            "permissions-policy",
            Some("camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
        ),
        ("cross-origin-opener-policy", Some("same-origin")),
        ("cross-origin-resource-policy", Some("same-origin")),
        ("cross-origin-embedder-policy", None),
        ("cache-control", None),
        ("access-control-allow-origin", None),
        ("vary", None),
    ] {
        assert_eq!(header(&response, name), expected, "{name}");
    }
    assert_eq!(response.body(), "handled ");
}

#[tokio::test]
async fn answers_to_who_says_who_it_is_are_not_kept() {
    for who in [("cookie", "a=b"), ("authorization", "Bearer x")] {
        assert_eq!(header(&answer("", request("GET", &[who]), &[]).await, "cache-control"), Some("no-store"));
    }
    let kept =
        answer("", request("GET", &[("cookie", "a=b")]), &[("cache-control", "public, max-age=60")]).await;
    assert_eq!(header(&kept, "cache-control"), Some("public, max-age=60"));
    let off = answer("no_store = false", request("GET", &[("cookie", "a=b")]), &[]).await;
    assert_eq!(header(&off, "cache-control"), None);
}

#[tokio::test]
async fn what_a_handler_says_stays_unless_it_is_told_otherwise() {
    let own = &[("x-frame-options", "SAMEORIGIN"), ("content-security-policy", "default-src 'self'")];
    let response = answer("", request("GET", &[]), own).await;
    assert_eq!(header(&response, "x-frame-options"), Some("SAMEORIGIN"));
    assert_eq!(header(&response, "content-security-policy"), Some("default-src 'self'"));
    let response = answer("replace = true", request("GET", &[]), own).await;
    assert_eq!(header(&response, "x-frame-options"), Some("DENY"));
    assert_eq!(response.headers().get_all("content-security-policy").iter().count(), 1);
}

#[tokio::test]
async fn each_answer_has_a_nonce_of_its_own() {
    let text = r#"
        opener = "off"
        [csp]
        report_only = true
        report_to = "csp"
        upgrade_insecure_requests = true
        [csp.directives]
        default-src = ["'self'"]
        script-src = ["nonce", "'strict-dynamic'", "https:"]
        style-src = ["'self'", "nonce"]
        img-src = ["'self'", "data:", "https://*.example.org/a/"]
        [permissions]
        camera = ["self", "https://meet.example.org"]
        fullscreen = ["*"]
    "#;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let response = answer(text, request("GET", &[]), &[]).await;
        let nonce = response.body().strip_prefix("handled ").unwrap().to_owned();
        assert_eq!(nonce.len(), 24);
        assert_eq!(
            header(&response, "content-security-policy-report-only").unwrap(),
            format!(
                "default-src 'self'; script-src 'nonce-{nonce}' 'strict-dynamic' https:; style-src 'self' 'nonce-{nonce}'; \
                 img-src 'self' data: https://*.example.org/a/; upgrade-insecure-requests; report-to csp"
            )
        );
        assert_eq!(header(&response, "content-security-policy"), None);
        assert_eq!(header(&response, "x-frame-options"), None);
        assert_eq!(header(&response, "cross-origin-opener-policy"), None);
        assert_eq!(
            header(&response, "permissions-policy"),
            Some("camera=(self \"https://meet.example.org\"), fullscreen=*")
        );
        seen.push(nonce);
    }
    assert_ne!(seen[0], seen[1]);
}

#[test]
fn the_policy_for_pages_is_whole() {
    let csp = Csp::new(&CspConfig::pages()).unwrap().unwrap();
    let nonce = Nonce::generate().unwrap();
    assert_eq!(
        csp.value(Some(&nonce)),
        format!(
            "default-src 'self'; script-src 'nonce-{}' 'strict-dynamic'; object-src 'none'; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'",
            nonce.as_str()
        )
    );
    assert!(csp.value(None).starts_with("default-src 'none'"), "without randomness nothing runs");
    let nothing: HeadersConfig = config("[csp.directives]");
    assert!(Csp::new(&nothing.csp).unwrap().is_none());
}

#[test]
fn a_configuration_that_is_wrong_says_what_would_do() {
    for (text, expected) in [
        ("[csp.directives]\nscript-src = [\"'unsafe-inline'\"]", "injected scripts"),
        ("[csp.directives]\ndefault-src = [\"'self'\", \"'unsafe-eval'\"]", "injected scripts"),
        ("[csp.directives]\nscript-src = [\"*\"]", "injected scripts"),
        ("[csp.directives]\nscript-src = [\"DATA:\"]", "injected scripts"),
        ("[csp.directives]\nimg-src = [\"'none'\", \"'self'\"]", "must stand alone"),
        ("[csp.directives]\nimg-src = []", "1 to 64 sources"),
        ("[csp.directives]\nframe-ancestors = [\"nonce\"]", "takes only"),
        ("[csp]\nreport_to = \"a b\"", "1 to 64 letters"),
        ("[hsts]\nmax_age = \"30d\"\npreload = true", "365d at least"),
        ("[permissions]\n\"camera=*\" = []", "a feature like"),
        ("[permissions]\ncamera = [\"*\", \"self\"]", "alone"),
        ("[cors]\nany_origin = true\ncredentials = true", "name the origins"),
        ("[cors]\nany_origin = true\norigins = [\"https://a.test\"]", "must be false where `origins`"),
        ("[cors]\nheaders = [\"*\"]", "`*` is none"),
        ("[cors]\nheaders = [\"X-A\"]", "must be a header"),
        ("[cors]\nmethods = [\"put\"]", "must be a method"),
        ("[cors]\nexpose = [\"a, b\"]", "must be a header"),
        ("[cors]\nmax_age = \"25h\"", "10m is usual"),
    ] {
        let error = config(text).validate().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(HeadersLayer::new(&config(text)).is_err());
    }
    for text in [
        "[csp.directives]\nscript = []",
        "[csp.directives]\nscript-src = [\"self\"]",
        "[csp.directives]\nscript-src = [\"a.test; script-src *\"]",
        "[cors]\norigins = [\"*\"]",
        "[cors]\norigins = [\"null\"]",
        "[cors]\norigins = [\"https://*.org\"]",
        "referrer = \"unsafe-url\"",
        "hsts = true",
    ] {
        assert!(toml::from_str::<HeadersConfig>(text).is_err(), "{text}");
    }
    assert!(
        config("[csp]\nallow_unsafe = true\n[csp.directives]\nscript-src = [\"'unsafe-inline'\"]")
            .validate()
            .is_ok()
    );
}

const CORS: &str = r#"
    [cors]
    origins = ["https://app.test", "https://*.partner.test"]
    credentials = true
    methods = ["GET", "PUT"]
    headers = ["content-type", "x-csrf-token"]
    expose = ["x-request-id"]
"#;

#[tokio::test]
async fn a_preflight_is_answered_here() {
    let asked = [
        ("origin", "https://a.partner.test"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "Content-Type,x-csrf-token"),
    ];
    let response = answer(CORS, request("OPTIONS", &asked), &[]).await;
    assert_eq!((response.status().as_u16(), response.body().as_str()), (204, ""));
    for (name, expected) in [
        ("access-control-allow-origin", "https://a.partner.test"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET, PUT"),
        ("access-control-allow-headers", "content-type, x-csrf-token"),
        ("access-control-max-age", "600"),
        ("vary", "origin, access-control-request-method, access-control-request-headers"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(header(&response, name), Some(expected), "{name}");
    }
    let refused: [&[(&str, &str)]; 6] = [
        &[("origin", "https://evil.test"), ("access-control-request-method", "GET")],
        &[("origin", "null"), ("access-control-request-method", "GET")],
        &[
            ("origin", "https://app.test"),
            ("origin", "https://app.test"),
            ("access-control-request-method", "GET"),
        ],
        &[("origin", "https://app.test"), ("access-control-request-method", "DELETE")],
        &[
            ("origin", "https://app.test"),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "x-other"),
        ],
        &[
            ("origin", "https://app.test"),
            ("access-control-request-method", "GET"),
            ("access-control-request-private-network", "true"),
        ],
    ];
    for asked in refused {
        let response = answer(CORS, request("OPTIONS", asked), &[]).await;
        assert_eq!((response.status().as_u16(), response.body().as_str()), (403, ""), "{asked:?}");
        assert_eq!(header(&response, "access-control-allow-origin"), None);
        assert_eq!(header(&response, "access-control-allow-private-network"), None);
        assert!(header(&response, "vary").unwrap().starts_with("origin"));
    }
    // An OPTIONS that is no preflight is the handler's.
    assert_eq!(
        answer(CORS, request("OPTIONS", &[("origin", "https://app.test")]), &[]).await.body(),
        "handled "
    );
}

#[tokio::test]
async fn a_page_reads_what_it_may() {
    let own = &[
        ("access-control-allow-origin", "*"),
        ("vary", "accept-encoding"),
        ("access-control-allow-credentials", "true"),
    ];
    let response = answer(CORS, request("GET", &[("origin", "https://app.test")]), own).await;
    assert_eq!(header(&response, "access-control-allow-origin"), Some("https://app.test"));
    assert_eq!(header(&response, "access-control-allow-credentials"), Some("true"));
    assert_eq!(header(&response, "access-control-expose-headers"), Some("x-request-id"));
    let vary: Vec<_> =
        response.headers().get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(vary[0], "accept-encoding");
    assert!(vary[1].starts_with("origin"));
    for origin in
        ["https://evil.test", "null", "https://app.test.evil.test", "http://app.test", "https://partner.test"]
    {
        let response = answer(CORS, request("GET", &[("origin", origin)]), own).await;
        assert_eq!(response.body(), "handled ", "whether it may be done is another's affair");
        assert_eq!(header(&response, "access-control-allow-origin"), None, "{origin}");
        assert_eq!(header(&response, "access-control-allow-credentials"), None, "{origin}");
    }
    let response =
        answer("[cors]\nany_origin = true", request("GET", &[("origin", "https://any.test")]), own).await;
    assert_eq!(header(&response, "access-control-allow-origin"), Some("*"));
    assert_eq!(header(&response, "access-control-allow-credentials"), None);
    let null = answer("[cors]\nany_origin = true", request("GET", &[("origin", "null")]), &[]).await;
    assert_eq!(header(&null, "access-control-allow-origin"), None);
}

proptest! {
    #[test]
    fn nobody_is_allowed_who_is_not_named(origin in "(https?://)?([a-z]{0,3}\\.)?(app|partner|evil)\\.test(:[0-9]{2,4})?|null|\\PC{0,20}", method in "GET|PUT|OPTIONS|DELETE", asks in proptest::option::of("GET|PUT|DELETE|\\PC{0,4}"), headers in proptest::option::of("[a-z, *-]{0,20}"), private: bool) {
        let cors: CorsConfig = config(CORS).cors.unwrap();
        let call = Call { method: &method, origin: Some(&origin), asks_method: asks.as_deref(), asks_headers: headers.as_deref(), asks_private_network: private };
        let named = origin == "https://app.test" || (origin.starts_with("https://") && origin.ends_with(".partner.test") && !origin.contains("//."));
        match cors.judge(&call) {
            Verdict::Plain => prop_assert!(false, "it has an origin"),
            Verdict::Allowed(said) => prop_assert!(named && said == origin),
            Verdict::NotAllowed => prop_assert!(!named && (method != "OPTIONS" || asks.is_none())),
            Verdict::Preflight(said) => prop_assert!(named && said == origin && !private && matches!(asks.as_deref(), Some("GET" | "PUT"))),
            Verdict::Refused(why) => prop_assert_eq!(why == Refusal::Origin, !named),
            _ => {}
        }
    }

    #[test]
    fn a_source_reads_back_and_ends_nothing(text in "'?[a-z0-9*:/.-]{0,12}'?|\\PC{0,20}") {
        if let Ok(source) = text.parse::<Source>() {
            let shown = source.to_string();
            prop_assert_eq!(&shown, &text);
            prop_assert!(!shown.contains([';', ',', ' ', '"']) && shown.is_ascii());
        }
    }
}
