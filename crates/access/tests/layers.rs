//! Sessions, networks and a policy in front of a service: who comes through, and what the others are told.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::convert::Infallible;
use std::sync::Arc;

use buttress_access::network::layer::NetworkLayer;
use buttress_access::network::{ClientIp, NetworkConfig, NetworkRefusal, Networks};
use buttress_access::policy::layer::{Facts, Target, require};
use buttress_access::policy::{Attributes, LivePolicy, PolicyConfig};
use buttress_access::session::csrf::{Csrf, CsrfKey};
use buttress_access::session::layer::SessionLayer;
use buttress_access::session::{
    Answer, MemorySessions, Record, Session, SessionConfig, SessionHash, SessionStore, Sessions, Started,
    User, Which,
};
use buttress_access::{Error, Names, Principal, PrincipalKind, TenantId};
use buttress_core::{Ctx, EventLog, Events, Outcome, Validate};
use http::{Request, Response};
use tower::{Layer, Service, ServiceExt, service_fn};

type Asked = Request<String>;

fn ctx() -> (Ctx, EventLog) {
    let log = EventLog::default();
    (Ctx { events: Events::to(Arc::new(log.clone())), ..Ctx::default() }, log)
}

fn ann() -> Principal {
    Principal::new(PrincipalKind::Session, "ann".try_into().unwrap())
        .tenant(TenantId::new("acme").unwrap())
        .roles(Names::new(["editor"]).unwrap())
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Asked {
    let builder = Request::builder().method(method).uri(path);
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    builder.body(String::new()).unwrap()
}

async fn handle(request: Asked) -> Result<Response<String>, Infallible> {
    let extensions = request.extensions();
    let who = extensions.get::<Principal>().map_or("nobody".to_owned(), |who| who.id.to_string());
    assert_eq!(extensions.get::<Session>().is_some(), extensions.get::<Principal>().is_some());
    Ok(Response::new(format!("handled {who}")))
}

async fn told<S>(service: &S, request: Asked) -> (u16, String)
where
    S: Service<Asked, Response = Response<String>, Error = Infallible> + Clone,
{
    let response = service.clone().oneshot(request).await.unwrap();
    (response.status().as_u16(), response.into_body())
}

/// The code of a problem.
fn reason(body: &str) -> String {
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    problem["code"].as_str().unwrap().to_owned()
}

struct Set {
    layer: SessionLayer,
    csrf: Csrf,
    started: Started,
    sessions: Sessions,
    log: EventLog,
}

async fn set() -> Set {
    let (ctx, log) = ctx();
    let sessions = Sessions::new(&SessionConfig::default(), MemorySessions::new(100), &ctx).unwrap();
    let csrf = Csrf::new(
        &toml::from_str("trusted_origins = [\"https://pay.test\"]").unwrap(),
        CsrfKey::generate().unwrap(),
    );
    let csrf = csrf.unwrap();
    let started = sessions.start(&ann()).await.unwrap();
    Set { layer: SessionLayer::new(&sessions, &csrf, &ctx), csrf, started, sessions, log }
}

#[tokio::test]
async fn a_session_brings_a_principal() {
    let Set { layer, started, sessions, .. } = set().await;
    let service = layer.layer(service_fn(handle));
    let cookie = format!("theme=dark; __Host-session={}", started.id.expose());
    assert_eq!(
        told(&service, request("GET", "/", &[("cookie", &cookie)])).await,
        (200, "handled ann".into())
    );
    let twice = format!("{cookie}; __Host-session={}", "A".repeat(43));
    for cookie in ["", "theme=dark", &twice, "__Host-session=", "__Host-session=short"] {
        let told = told(&service, request("GET", "/", &[("cookie", cookie)])).await;
        assert_eq!(told, (200, "handled nobody".into()), "{cookie}");
    }
    assert!(sessions.end(&started.session).await.unwrap());
    let response = service.clone().oneshot(request("GET", "/", &[("cookie", &cookie)])).await.unwrap();
    assert_eq!(response.headers()["set-cookie"], sessions.no_cookie());
    assert_eq!(response.body(), "handled nobody");
}

#[tokio::test]
async fn changes_come_from_ones_own_pages() {
    let Set { layer, csrf, started, log, .. } = set().await;
    let service = layer.layer(service_fn(handle));
    let cookie = format!("__Host-session={}", started.id.expose());
    let token = csrf.token(started.session.hash.as_bytes()).unwrap();
    let own = ("sec-fetch-site", "same-origin");
    let (cookie, token) = (("cookie", cookie.as_str()), ("x-csrf-token", token.as_str()));
    let host = ("host", "shop.test");
    let from = |origin| ("origin", origin);
    let cross = ("sec-fetch-site", "cross-site");
    let table: [(&[(&str, &str)], &str); 15] = [
        (&[cookie, own, token], ""),
        (&[cookie, host, from("https://shop.test"), token], ""),
        (&[cookie, cross, from("https://pay.test"), token], ""),
        (&[cookie, own], "no_token"),
        (&[cookie, own, ("x-csrf-token", "x")], "wrong_token"),
        (&[cookie, own, token, token], "wrong_token"),
        (&[cookie, cross, token], "other_site"),
        (&[cookie, own, own, token], "other_site"),
        (&[cookie, host, from("https://evil.test"), token], "other_origin"),
        (&[cookie, host, from("null"), token], "other_origin"),
        // Nobody's: a login, or somebody with a key.
        (&[own], ""),
        (&[host], ""),
        (&[cross, from("https://evil.test")], "other_site"),
        (&[cross, from("https://evil.test"), ("authorization", "Bearer x")], ""),
        // A browser sends this by itself.
        (&[cross, from("https://evil.test"), ("authorization", "Basic eDp5")], "other_site"),
    ];
    for (headers, expected) in table {
        let (status, body) = told(&service, request("POST", "/", headers)).await;
        if expected.is_empty() {
            assert_eq!(status, 200, "{headers:?}");
        } else {
            assert_eq!((status, reason(&body).as_str()), (403, expected), "{headers:?}");
        }
        assert_eq!(told(&service, request("GET", "/", headers)).await.0, 200, "{headers:?}");
    }
    let denied: Vec<_> = log.events().into_iter().filter(|event| event.action == "request.csrf").collect();
    assert_eq!(denied.len(), 9);
    assert!(denied.iter().all(|event| event.outcome == Outcome::Denied));
    assert!(!format!("{denied:?}").contains(started.id.expose()));
}

/// A store whose server is gone.
#[derive(Debug)]
struct Gone;

fn gone<T: Send + 'static>() -> Answer<'static, T> {
    let error = Error::Unavailable { what: "the store", problem: "it is gone".into() };
    Box::pin(std::future::ready(Err(error)))
}

impl SessionStore for Gone {
    fn put(&self, _: Record, _: usize, _: Option<SessionHash>) -> Answer<'_, bool> {
        gone()
    }

    fn get(&self, _: SessionHash) -> Answer<'_, Option<Record>> {
        gone()
    }

    fn touch(&self, _: SessionHash, _: std::time::SystemTime) -> Answer<'_, ()> {
        gone()
    }

    fn remove(&self, _: User, _: Which) -> Answer<'_, u64> {
        gone()
    }

    fn sweep(&self, _: std::time::SystemTime, _: std::time::SystemTime) -> Answer<'_, u64> {
        gone()
    }
}

#[tokio::test]
async fn without_a_store_nobody_is_taken_for_nobody() {
    let (ctx, _) = ctx();
    let sessions = Sessions::new(&SessionConfig::default(), Gone, &ctx).unwrap();
    let csrf = Csrf::new(&toml::from_str("").unwrap(), CsrfKey::generate().unwrap()).unwrap();
    let service = SessionLayer::new(&sessions, &csrf, &ctx).layer(service_fn(handle));
    let cookie = format!("__Host-session={}", "A".repeat(43));
    let (status, body) = told(&service, request("GET", "/", &[("cookie", &cookie)])).await;
    assert_eq!((status, reason(&body).as_str()), (503, "sessions_unavailable"));
    assert_eq!(told(&service, request("GET", "/", &[])).await.0, 200);
}

const NETWORKS: &str = r#"
    deny = ["203.0.113.0/24"]
    [groups.admin]
    paths = ["/admin", "/ops/deep"]
    allow = ["10.0.0.0/8", "fd00::/8"]
    deny = ["10.6.6.0/24"]
"#;

#[test]
fn addresses_are_let_in_by_group() {
    let networks = Networks::new(&toml::from_str(NETWORKS).unwrap()).unwrap();
    let (denied, not, path) =
        (Err(NetworkRefusal::Denied), Err(NetworkRefusal::NotAllowed), Err(NetworkRefusal::Path));
    for (asked, address, expected) in [
        ("/", "198.51.100.7", Ok(())),
        ("/", "203.0.113.9", denied),
        ("/", "::ffff:203.0.113.9", denied),
        ("/admin", "10.1.2.3", Ok(())),
        ("/admin/users", "::ffff:10.1.2.3", Ok(())),
        ("/admin/", "fd00::1", Ok(())),
        ("/admin", "10.6.6.6", denied),
        ("/admin", "198.51.100.7", not),
        ("/admin/users/7", "198.51.100.7", not),
        ("/ADMIN", "198.51.100.7", not),
        ("/administration", "198.51.100.7", Ok(())),
        ("/ops", "198.51.100.7", Ok(())),
        ("/ops/deep/er", "198.51.100.7", not),
        ("/x/admin", "198.51.100.7", Ok(())),
        ("//admin", "198.51.100.7", path),
        ("/x/../admin", "198.51.100.7", path),
        ("/%61dmin", "198.51.100.7", path),
        ("/admin;x=1", "198.51.100.7", path),
        ("/x\\admin", "198.51.100.7", path),
        ("", "198.51.100.7", path),
        ("*", "198.51.100.7", path),
        ("//admin", "10.1.2.3", Ok(())),
    ] {
        assert_eq!(networks.admits(asked, address.parse().unwrap()), expected, "{asked} from {address}");
    }
    for text in [
        "[groups.a]",
        "[groups.a]\npaths = [\"admin\"]",
        "[groups.a]\npaths = [\"/a/../b\"]",
        "[groups.a]\npaths = [\"/a?b\"]",
    ] {
        assert!(toml::from_str::<NetworkConfig>(text).unwrap().validate().is_err(), "{text}");
    }
}

#[tokio::test]
async fn an_address_that_is_not_known_is_refused() {
    let (ctx, log) = ctx();
    let networks = Networks::new(&toml::from_str(NETWORKS).unwrap()).unwrap();
    let service = NetworkLayer::new(networks, &ctx).layer(service_fn(handle));
    let from = |address: &str| {
        let mut request = request("GET", "/admin", &[]);
        request.extensions_mut().insert(ClientIp(address.parse().unwrap()));
        request
    };
    assert_eq!(told(&service, from("10.1.2.3")).await.0, 200);
    assert_eq!(reason(&told(&service, from("192.0.2.1")).await.1), "network_not_allowed");
    assert_eq!(reason(&told(&service, request("GET", "/", &[])).await.1), "no_address");
    let actors: Vec<_> = log.events().into_iter().map(|event| (event.action, event.actor)).collect();
    assert_eq!(actors, [("request.network", Some("192.0.2.1".into())), ("request.network", None)]);
}

#[tokio::test]
async fn a_policy_lets_in_and_tells_callers_one_word() {
    let (ctx, log) = ctx();
    let config: PolicyConfig = toml::from_str(
        r#"
        [attributes]
        "principal.clearance" = "number"
        "context.channel" = "text"
        [roles.editor]
        allow = [
            { permission = "document:write", name = "secret rule", when = { all = [
                { compare = { left = "principal.clearance", is = "at_least", right = 3 } },
                { equals = { attribute = "context.channel", value = "web" } },
                { network = ["10.0.0.0/8"] },
            ] } },
        ]
        "#,
    )
    .unwrap();
    let policy = LivePolicy::new(&config, &ctx).unwrap();
    let document = |request: &Asked| {
        let mut segments = request.uri().path().split('/').skip(1);
        Some(Target::of(TenantId::new(segments.next()?).ok()?).id(segments.next()?))
    };
    let layer = require("document:write", document, &policy, &ctx).unwrap();
    let service = layer
        .layer(service_fn(|_: Asked| async { Ok::<_, Infallible>(Response::new("handled".to_owned())) }));
    let asked = |path: &str, who: Option<Principal>, clearance: i64| {
        let mut request = request("PUT", path, &[]);
        let extensions = request.extensions_mut();
        if let Some(who) = who {
            extensions.insert(who);
        }
        extensions.insert(ClientIp("10.1.2.3".parse().unwrap()));
        let (principal, context) =
            (Attributes::new().with("clearance", clearance), Attributes::new().with("channel", "web"));
        extensions.insert(Facts { principal, context });
        request
    };
    assert_eq!(told(&service, asked("/acme/7", Some(ann()), 3)).await, (200, "handled".into()));
    for (request, expected) in [
        (asked("/acme/7", Some(ann()), 2), "condition_unmet"),
        (asked("/globex/7", Some(ann()), 3), "other_tenant"),
        (asked("/acme/7", None, 3), "other_tenant"),
        (asked("/acme/7", Some(ann().roles(Names::default())), 3), "no_rule"),
        (asked("/", Some(ann()), 3), "no_resource"),
    ] {
        let (status, body) = told(&service, request).await;
        assert_eq!((status, reason(&body).as_str()), (403, expected));
        assert!(!body.contains("secret rule"));
    }
    let events = log.events();
    let detail = events[0].detail.as_deref().unwrap();
    assert_eq!(
        detail,
        "denied: rule `secret rule` (document:write) of role editor would allow it, but principal.clearance >= 3 does not hold"
    );
    assert_eq!(
        (events[0].actor.as_deref(), events[0].target.as_deref()),
        (Some("ann"), Some("document:write 7"))
    );
    assert_eq!(events.len(), 5);
    // A policy that is replaced holds for the next request.
    policy
        .replace(
            &toml::from_str("[roles.everyone]\nallow = [{ permission = \"**\", cross_tenant = true }]")
                .unwrap(),
        )
        .unwrap();
    assert_eq!(told(&service, asked("/globex/7", None, 0)).await.0, 200);
    assert!(require("document::write", |_: &Asked| None, &policy, &ctx).is_err());
}
