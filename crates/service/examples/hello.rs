//! The smallest service: `cargo run -p buttress-service --example hello`, then `curl localhost:8080`.

use axum::{Router, routing::get};
use buttress_core::Ctx;
use buttress_service::{Service, ServiceConfig};
use buttress_telemetry::{Telemetry, TelemetryConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ctx = Ctx::default();
    let telemetry = Telemetry::init(&TelemetryConfig::default(), &ctx)?;
    Service::new("hello", ServiceConfig::default(), ctx, telemetry)
        .routes(Router::new().route("/", get(|| async { "hello\n" })))
        .run()
        .await?;
    Ok(())
}
