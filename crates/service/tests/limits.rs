//! Rate limits in front of routes, by the client's address.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)] // a failing expectation fails the test

mod common;

use axum::Router;
use axum::routing::get;
use buttress_core::Ctx;
use buttress_ratelimit::{Limit, LimiterConfig, RouteConfig};
use buttress_service::RateLimit;
use common::{Running, config, run};

async fn limited(limits: LimiterConfig) -> Running {
    let mut config = config();
    // The test stands in for a proxy, so that it can be several clients.
    config.proxies.hops = 1;
    let limits = RateLimit::open(&limits, &Ctx::default()).await.unwrap();
    let routes =
        Router::new().route("/items/{id}", get(async || "an item")).route("/quick", get(async || "at once"));
    run(config, |service, _| service.routes(routes.layer(limits.layer())).with(limits)).await
}

impl Running {
    async fn ask(&self, path: &str, client: &str) -> common::Answer {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {client}\r\nconnection: close\r\n\r\n"
        );
        self.send(&head).await
    }
}

#[tokio::test]
async fn each_client_has_its_own_limit_and_probes_have_none() {
    let service = limited(LimiterConfig::one(Limit::per_hour(2))).await;
    for left in ["1", "0"] {
        let answer = service.ask("/quick", "192.0.2.1").await;
        assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (200, Some(left)), "{answer:?}");
    }
    let refused = service.ask("/items/7", "192.0.2.1").await;
    assert_eq!(refused.status, 429, "{refused:?}");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=7_200).contains(&wait));
    let body = refused.json();
    assert_eq!((&body["limit"], &body["remaining"]), (&2.into(), &0.into()), "{body}");
    assert!(body["error"].is_string() && body["retry_after"].is_number(), "{body}");

    assert_eq!(service.ask("/quick", "192.0.2.2").await.status, 200, "another client has its own");
    for _ in 0..5 {
        assert_eq!(service.ask("/readyz", "192.0.2.1").await.status, 200, "probes are not limited");
    }
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_route_is_named_as_in_the_router() {
    let mut limits = LimiterConfig::one(Limit::per_hour(100));
    limits.routes = [("/items/{id}".to_owned(), RouteConfig::new(Limit::per_hour(1)))].into();
    let service = limited(limits).await;
    assert_eq!(service.ask("/items/1", "192.0.2.1").await.status, 200);
    assert_eq!(service.ask("/items/2", "192.0.2.2").await.status, 429);
    assert_eq!(service.ask("/quick", "192.0.2.2").await.status, 200);
    service.stop().await.unwrap();
}
