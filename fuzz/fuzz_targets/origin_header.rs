//! Any lines as `Origin`, `Sec-Fetch-Site`, `Host` and what a preflight asks for: what is read is shown as it was, and only who is named may call or send a change.

#![no_main]

use std::sync::OnceLock;

use buttress_access::headers::CorsConfig;
use buttress_access::headers::cors::{Call, Verdict};
use buttress_access::origin::{Origin, OriginPattern};
use buttress_access::session::csrf::{Arrival, Csrf, CsrfKey};
use libfuzzer_sys::fuzz_target;

static RULES: OnceLock<(CorsConfig, Csrf)> = OnceLock::new();

fn rules() -> (CorsConfig, Csrf) {
    let origins = r#"["https://app.test", "https://*.partner.test"]"#;
    let cors = serde_json::from_str(&format!(r#"{{"origins": {origins}, "credentials": true}}"#))
        .expect("it is one");
    let csrf = serde_json::from_str(&format!(r#"{{"trusted_origins": {origins}, "token": "off"}}"#))
        .expect("it is one");
    (cors, Csrf::new(&csrf, CsrfKey::new(&[7; 32]).expect("it is long enough")).expect("it is right"))
}

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let origin = lines.next().unwrap_or_default();
    // An empty line is a header that is not there.
    let mut header = || lines.next().filter(|line| !line.is_empty());
    let (fetch_site, host, asks) = (header(), header(), header());
    if let Ok(pattern) = origin.parse::<OriginPattern>() {
        assert_eq!(pattern.to_string().parse().ok(), Some(pattern));
    }
    let parsed = origin.parse::<Origin>();
    if let Ok(parsed) = &parsed {
        assert_eq!(format!("{}://{}", parsed.scheme(), parsed.authority()), origin);
        assert!(origin.is_ascii() && origin != "null");
    }
    let (cors, csrf) = RULES.get_or_init(rules);
    let before = origin.strip_prefix("https://").and_then(|rest| rest.strip_suffix(".partner.test"));
    let named =
        origin == "https://app.test" || (parsed.is_ok() && before.is_some_and(|before| !before.is_empty()));
    for method in ["GET", "OPTIONS"] {
        let call = Call {
            method,
            origin: Some(origin),
            asks_method: asks,
            asks_headers: asks,
            asks_private_network: false,
        };
        match cors.judge(&call) {
            Verdict::Allowed(said) | Verdict::Preflight(said) => assert!(named && said == origin),
            _ => {}
        }
    }
    let arrival = Arrival { method: "POST", fetch_site, origin: Some(origin), host };
    if csrf.check(&arrival, b"session", None).is_ok() {
        let own = host.is_some_and(|host| {
            parsed.is_ok_and(|parsed| host.to_ascii_lowercase().starts_with(parsed.authority()))
        });
        assert!(named || own || matches!(fetch_site, Some("same-origin" | "none")));
    }
});
