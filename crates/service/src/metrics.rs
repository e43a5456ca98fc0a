//! Rate, errors and duration of requests.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use metrics::{Counter, Histogram, counter, histogram};

const REQUESTS: &str = "buttress_service_requests_total";
const DURATION: &str = "buttress_service_request_duration_seconds";
pub(crate) const IN_FLIGHT: &str = "buttress_service_in_flight_requests";
pub(crate) const SHED: &str = "buttress_service_shed_requests_total";
pub(crate) const PANICS: &str = "buttress_service_panics_total";
pub(crate) const CONNECTIONS: &str = "buttress_service_connections";

pub(crate) fn describe() {
    metrics::describe_counter!(REQUESTS, "Requests answered, by method, route and class of the status.");
    metrics::describe_histogram!(
        DURATION,
        "From the headers of a request to those of its answer, in seconds."
    );
    metrics::describe_gauge!(IN_FLIGHT, "Requests whose answer has not been sent whole.");
    metrics::describe_counter!(SHED, "Requests refused because too many were in flight.");
    metrics::describe_counter!(PANICS, "Panics of handlers.");
    metrics::describe_gauge!(CONNECTIONS, "Open connections.");
}

const METHODS: [&str; 8] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The handles of every route, resolved at its first request. Routes come from the router, so they are few.
#[derive(Default)]
pub(crate) struct RequestMetrics(RwLock<HashMap<String, Arc<RouteMetrics>>>);

/// The handles of one route, by method and class.
#[derive(Default)]
struct RouteMetrics([[OnceLock<(Counter, Histogram)>; CLASSES.len()]; METHODS.len()]);

impl RequestMetrics {
    pub(crate) fn answered(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(route).cloned();
        let handles = known.unwrap_or_else(|| {
            let mut routes = self.0.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(routes.entry(route.to_owned()).or_default())
        });
        let method = METHODS.iter().position(|name| method == name).unwrap_or(METHODS.len() - 1);
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        let (Some(method_name), Some(class_name)) = (METHODS.get(method), CLASSES.get(class)) else { return };
        if let Some(cell) = handles.0.get(method).and_then(|classes| classes.get(class)) {
            let (requests, duration) = cell.get_or_init(|| {
                let labels = [
                    ("method", (*method_name).to_owned()),
                    ("route", route.to_owned()),
                    ("status", (*class_name).to_owned()),
                ];
                (counter!(REQUESTS, &labels), histogram!(DURATION, &labels))
            });
            requests.increment(1);
            duration.record(took.as_secs_f64());
        }
    }
}
