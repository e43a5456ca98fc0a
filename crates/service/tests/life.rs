//! How a service starts, serves under load, drains and stops.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // tests

mod common;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use buttress_core::{Ctx, Probe, Vitality};
use buttress_health::Check;
use buttress_service::{BoxError, Component, Error, Service};
use common::{Answer, config, read_all, read_until, request, run, serve, telemetry, within};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// A handler that says when it was entered and waits for leave.
#[derive(Clone)]
struct Slow {
    entered: Arc<Semaphore>,
    leave: Arc<Notify>,
}

impl Slow {
    fn new() -> Self {
        Self { entered: Arc::new(Semaphore::new(0)), leave: Arc::new(Notify::new()) }
    }

    fn routes(&self) -> Router {
        let slow = self.clone();
        Router::new().route(
            "/",
            get(move || async move {
                slow.entered.add_permits(1);
                slow.leave.notified().await;
                "done"
            }),
        )
    }

    async fn entered(&self) {
        within(self.entered.acquire()).await.unwrap().forget();
    }
}

#[tokio::test]
async fn too_many_requests_are_refused_but_probes_are_answered() {
    let slow = Slow::new();
    let mut config = config();
    config.limits.requests = 1;
    let service = serve(config, slow.routes()).await;
    let first = tokio::spawn(request_owned(service.bound.main));
    slow.entered().await;

    let refused = service.get("/").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.json()["class"], "overloaded");
    for probe in ["/livez", "/readyz", "/startupz", "/healthz", "/metrics"] {
        assert_eq!(service.get(probe).await.status, 200, "{probe}");
    }

    slow.leave.notify_one();
    assert_eq!(first.await.unwrap().body, "done");
    slow.leave.notify_one();
    assert_eq!(service.get("/").await.body, "done", "there is room again");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_stream_is_in_flight_until_it_ends() {
    let mut config = config();
    config.limits.long_requests = 1;
    let endless = || async {
        let first = futures_util::stream::once(async { Ok::<_, Infallible>(Event::default().data("first")) });
        Sse::new(first.chain(futures_util::stream::pending()))
    };
    let service = run(config, |service, _| service.long_routes(Router::new().route("/", get(endless)))).await;
    let mut stream = TcpStream::connect(service.bound.main).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    read_until(&mut stream, "data: first").await;
    assert_eq!(service.get("/").await.status, 503);

    drop(stream);
    within(async {
        loop {
            let mut next = TcpStream::connect(service.bound.main).await.unwrap();
            next.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            if read_until(&mut next, "\r\n").await.contains("200") {
                return;
            }
        }
    })
    .await;
    service.handle.stop();
    service.stop().await.unwrap_err(); // the second request to stop: these streams do not watch for a drain
}

async fn request_owned(address: std::net::SocketAddr) -> Answer {
    request(address, GET).await
}

#[tokio::test]
async fn draining_fails_readiness_finishes_what_is_in_hand_and_closes_the_port() {
    let slow = Slow::new();
    let mut config = config();
    config.admin_listen = Some(config.listen);
    let service = serve(config, slow.routes()).await;
    let (main, admin) = (service.bound.main, service.bound.admin);
    assert_eq!(
        request(admin, "GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.status,
        200
    );
    assert_eq!(service.get("/readyz").await.status, 404, "probes are on their own port");
    let in_hand = tokio::spawn(request_owned(main));
    slow.entered().await;

    service.handle.stop();
    within(service.ctx.shutdown.drained()).await;
    let ready = request(admin, "GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!((ready.status, &ready.json()["output"]), (503, &"draining".into()));
    let live = request(admin, "GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!(live.status, 200, "a draining process must not be killed");
    within(async {
        while TcpStream::connect(main).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;

    slow.leave.notify_one();
    assert_eq!(in_hand.await.unwrap().body, "done");
    service.ended().await.unwrap();
}

#[tokio::test]
async fn readiness_fails_before_the_port_closes() {
    let mut config = config();
    config.drain.pre_stop_delay = Duration::from_hours(1);
    let service = serve(config, Router::new().route("/", get(|| async { "well" }))).await;
    service.handle.stop();
    within(async { while service.get("/readyz").await.status == 200 {} }).await;
    assert_eq!(service.get("/").await.body, "well", "requests that still come are served");
    assert!(!service.ctx.shutdown.is_draining());
    // The second request to stop does not wait.
    assert!(matches!(service.stop().await, Err(Error::Interrupted)));
}

#[tokio::test]
async fn an_event_stream_ends_when_the_service_drains() {
    let service = run(config(), |service, ctx| {
        let ctx = ctx.clone();
        let events = move || async move {
            let endless =
                futures_util::stream::once(async { Ok::<_, Infallible>(Event::default().data("first")) })
                    .chain(futures_util::stream::pending());
            Sse::new(endless.take_until(async move { ctx.shutdown.drained().await }))
        };
        service.long_routes(Router::new().route("/", get(events)))
    })
    .await;
    let mut stream = TcpStream::connect(service.bound.main).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    read_until(&mut stream, "data: first").await;
    service.handle.stop();
    let rest = read_all(&mut stream).await;
    assert!(rest.ends_with("0\r\n\r\n"), "the stream ends as it should: {rest:?}");
    service.ended().await.unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_finish_is_broken_off() {
    let slow = Slow::new();
    let mut config = config();
    config.drain.finish_within = Duration::from_millis(20);
    let service = serve(config, slow.routes()).await;
    let cut = tokio::spawn(request_owned(service.bound.main));
    slow.entered().await;
    service.stop().await.unwrap();
    assert_eq!(cut.await.unwrap().status, 0);
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_stop() {
    let mut config = config();
    config.drain.finish_within = Duration::from_hours(1);
    config.limits.header_timeout = Duration::from_hours(1);
    let service = serve(config, Router::new().route("/", get(|| async { "well" }))).await;
    let _silent = TcpStream::connect(service.bound.main).await.unwrap();
    let mut idle = TcpStream::connect(service.bound.main).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    read_until(&mut idle, "well").await;
    service.stop().await.unwrap();
}

type Diary = Arc<Mutex<Vec<String>>>;

struct Part {
    name: &'static str,
    diary: Diary,
    starts: bool,
    stops: bool,
}

impl Part {
    fn new(name: &'static str, diary: &Diary) -> Self {
        Self { name, diary: Arc::clone(diary), starts: true, stops: true }
    }

    fn note(&self, what: &str) {
        self.diary.lock().unwrap().push(format!("{what} {}", self.name));
    }
}

impl Component for Part {
    fn name(&self) -> &str {
        self.name
    }

    async fn start(&self, _: &Ctx) -> Result<(), BoxError> {
        self.note("start");
        if self.starts { Ok(()) } else { Err("no licence".into()) }
    }

    async fn drain(&self) {
        self.note("drain");
    }

    async fn stop(&self) -> Result<(), BoxError> {
        self.note("stop");
        if self.stops { Ok(()) } else { Err("stuck".into()) }
    }
}

#[tokio::test]
async fn components_start_in_order_and_stop_in_reverse() {
    let diary = Diary::default();
    let service = run(config(), |service, _| {
        service.with(Part::new("a", &diary)).with(Arc::new(Part::new("b", &diary)))
    })
    .await;
    service.stop().await.unwrap();
    assert_eq!(*diary.lock().unwrap(), ["start a", "start b", "drain b", "drain a", "stop b", "stop a"]);
}

#[tokio::test]
async fn a_component_that_does_not_start_ends_it_and_those_before_it_are_stopped() {
    let diary = Diary::default();
    let bad = Part { starts: false, ..Part::new("b", &diary) };
    let service = Service::new("test", config(), Ctx::default(), telemetry())
        .with(Part::new("a", &diary))
        .with(bad)
        .with(Part::new("c", &diary));
    let handle = service.handle();
    let error = within(service.run()).await.unwrap_err();
    assert!(matches!(&error, Error::Start { component, .. } if component == "b"), "{error}");
    assert_eq!(*diary.lock().unwrap(), ["start a", "start b", "drain b", "drain a", "stop b", "stop a"]);
    assert!(handle.bound().await.is_none());
}

#[tokio::test]
async fn a_component_that_does_not_stop_in_order_does_not_keep_the_others_from_it() {
    let diary = Diary::default();
    let stuck = Part { stops: false, ..Part::new("b", &diary) };
    let service = run(config(), |service, _| service.with(Part::new("a", &diary)).with(stuck)).await;
    let error = service.stop().await.unwrap_err();
    assert!(matches!(&error, Error::Stop { component, .. } if component == "b"), "{error}");
    assert_eq!(diary.lock().unwrap().last().unwrap(), "stop a");
}

#[tokio::test]
async fn a_background_task_that_does_not_end_is_reported() {
    let mut config = config();
    config.drain.stop_within = Duration::from_millis(20);
    let service = serve(config, Router::new()).await;
    service.ctx.shutdown.spawn(std::future::pending());
    assert!(matches!(service.stop().await, Err(Error::Unfinished { tasks: 1 })));
}

#[tokio::test]
async fn a_stop_during_the_start_is_an_orderly_one() {
    struct Endless;
    impl Component for Endless {
        fn name(&self) -> &'static str {
            "endless"
        }
        async fn start(&self, _: &Ctx) -> Result<(), BoxError> {
            std::future::pending().await
        }
    }
    let service = Service::new("test", config(), Ctx::default(), telemetry()).with(Endless);
    let handle = service.handle();
    let ended = tokio::spawn(service.run());
    handle.stop();
    within(ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_failing_check_makes_it_unready_and_says_why() {
    struct Broken;
    impl Probe for Broken {
        fn name(&self) -> &'static str {
            "store"
        }
        async fn check(&self) -> Vitality {
            Vitality::Fail("disk full".to_owned())
        }
    }
    let service = run(config(), |service, _| service.check(Check::ready(Broken))).await;
    let answer = within(async {
        loop {
            let answer = service.get("/readyz").await;
            if answer.body.contains("disk full") {
                return answer;
            }
        }
    })
    .await;
    assert_eq!((answer.status, answer.header("content-type")), (503, Some("application/health+json")));
    assert_eq!(answer.json()["checks"]["store"][0]["output"], "disk full");
    assert_eq!(service.get("/livez").await.status, 200, "a dependency is no reason for a restart");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_told_before_anything_starts() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config();
    config.listen = taken.local_addr().unwrap();
    let diary = Diary::default();
    let service = Service::new("test", config, Ctx::default(), telemetry()).with(Part::new("a", &diary));
    assert!(matches!(within(service.run()).await, Err(Error::Bind { .. })));
    assert!(diary.lock().unwrap().is_empty());
}
