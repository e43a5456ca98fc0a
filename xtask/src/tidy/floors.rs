//! The house: which crate stands on which floor, and who may name what.

use super::{Breach, Findings};
use crate::workspace::Package;

/// Every crate in `crates/`, and its floor. Arrows go down only: a crate needs only crates of lower floors.
const FLOORS: &[(&str, u8)] = &[
    ("buttress", 4),
    ("buttress-service", 3),
    ("buttress-config", 2),
    ("buttress-cache", 2),
    ("buttress-ratelimit", 2),
    ("buttress-resilience", 2),
    ("buttress-secrets", 2),
    ("buttress-validate", 2),
    ("buttress-access", 2),
    ("buttress-audit", 2),
    ("buttress-telemetry", 2),
    ("buttress-health", 2),
    ("buttress-alert", 2),
    ("buttress-backup", 2),
    ("buttress-access", 2),
    ("buttress-audit", 2),
    ("buttress-docpipeline", 2),
    ("buttress-secrets", 2),
    ("buttress-validate", 2),
    ("buttress-queue", 2),
    ("buttress-connect", 1),
    ("buttress-pool", 1),
    ("buttress-core", 0),
];

/// Arrows between crates of one floor, each for a reason.
const SIDEWAYS: &[(&str, &str)] = &[
    // PostgreSQL connections are an expensive resource like any other.
    ("buttress-connect", "buttress-pool"),
];

/// Helps tests only; may be needed by nothing that ships.
const TESTKIT: &str = "buttress-testkit";
const FACADE: &str = "buttress";

/// Crates that have one home among ours: who else wants what they do goes through that crate.
const HOMES: &[(&str, &[&str])] = &[
    (
        "buttress-connect",
        &[
            "async-nats",
            "aws-sdk-s3",
            "deadpool-postgres",
            "deadpool-redis",
            "fred",
            "mongodb",
            "object_store",
            "rdkafka",
            "redis",
            "rusqlite",
            "sqlx",
            "tokio-postgres",
            "tokio-rusqlite",
        ],
    ),
    (
        "buttress-telemetry",
        &[
            "metrics-exporter-prometheus",
            "opentelemetry-otlp",
            "opentelemetry-prometheus",
            "opentelemetry-stdout",
            "opentelemetry_sdk",
            "sentry",
            "tracing-opentelemetry",
        ],
    ),
    (
        "buttress-service",
        &["actix-web", "axum", "axum-core", "axum-server", "hyper", "hyper-util", "poem", "salvo", "warp"],
    ),
];

/// Whether the package is one of those in `crates/` that have a floor.
pub(super) fn is_ours(name: &str) -> bool {
    floor(name).is_some()
}

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor)
}

fn in_crates(package: &Package) -> bool {
    package.folder().parent().is_some_and(|parent| parent.ends_with("crates"))
}

/// Every package in `crates/` stands in the table, so that no new one escapes the other checks.
pub(super) fn known(packages: &[Package]) -> Findings {
    let crates: Vec<_> = packages.iter().filter(|package| in_crates(package)).collect();
    let problems = crates
        .iter()
        .filter(|package| package.name != TESTKIT && floor(&package.name).is_none())
        .map(|package| {
            Breach::new(
                &package.name,
                "has no floor in the house",
                "give it one in FLOORS (xtask/src/tidy/floors.rs) and in the table of docs/ARCHITECTURE.md",
            )
        });
    (crates.len(), problems.collect())
}

/// What ships needs only crates of lower floors, and never the testkit.
pub(super) fn arrows(packages: &[Package]) -> Findings {
    let mut checked = 0;
    let mut problems = Vec::new();
    for package in packages {
        let Some(own) = floor(&package.name) else { continue };
        for needed in package.dependencies.iter().filter(|dependency| dependency.is_shipped()) {
            let arrow = (package.name.as_str(), needed.name.as_str());
            if needed.name == TESTKIT {
                checked += 1;
                problems.push(Breach::new(
                    &package.name,
                    format!("ships {TESTKIT}"),
                    "move it to [dev-dependencies]",
                ));
            }
            let Some(below) = floor(&needed.name) else { continue };
            checked += 1;
            if below >= own && !SIDEWAYS.contains(&arrow) {
                problems.push(Breach::new(
                    &package.name,
                    format!("floor {own} needs {} of floor {below}", needed.name),
                    "let them meet through a trait of buttress-core, and wire them in the application",
                ));
            }
        }
    }
    (checked, problems)
}

/// The facade is for applications: no package that others can add needs it.
pub(super) fn facade(packages: &[Package]) -> Findings {
    let published: Vec<_> =
        packages.iter().filter(|package| package.is_published() && package.name != FACADE).collect();
    let problems = published
        .iter()
        .filter(|package| package.dependencies.iter().any(|dependency| dependency.name == FACADE))
        .map(|package| {
            Breach::new(&package.name, "needs the facade `buttress`", "name the crates that it really needs")
        });
    (published.len(), problems.collect())
}

/// Back-end clients, exporters and HTTP servers are named by one crate of ours each.
pub(super) fn homes(packages: &[Package]) -> Findings {
    let mut checked = 0;
    let mut problems = Vec::new();
    for package in packages.iter().filter(|package| is_ours(&package.name)) {
        for needed in package.dependencies.iter().filter(|dependency| dependency.is_shipped()) {
            checked += 1;
            let home = HOMES.iter().find(|(_, guests)| guests.contains(&needed.name.as_str()));
            if let Some((home, _)) = home
                && *home != package.name
            {
                problems.push(Breach::new(
                    &package.name,
                    format!("names {}, which only {home} may name", needed.name),
                    format!("use it through {home}, or through a trait that the application fills in"),
                ));
            }
        }
    }
    (checked, problems)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{dependency, dev, package};
    use super::*;

    /// What is wrong, shortly: `place: problem`.
    fn wrong((_, problems): Findings) -> Vec<String> {
        problems.into_iter().map(|found| format!("{}: {}", found.place, found.problem)).collect()
    }

    #[test]
    fn an_arrow_turned_up_is_found() {
        let down = package("buttress-health", &["buttress-core"]);
        let up = package("buttress-core", &["serde", "buttress-health"]);
        assert_eq!(wrong(arrows(&[down, up])), ["buttress-core: floor 0 needs buttress-health of floor 2"]);
    }

    #[test]
    fn an_arrow_along_a_floor_is_found_but_for_the_one_with_a_reason() {
        let beside = package("buttress-secrets", &["buttress-audit"]);
        let allowed = package("buttress-connect", &["buttress-pool"]);
        let not_back = package("buttress-pool", &["buttress-connect"]);
        assert_eq!(
            wrong(arrows(&[beside, allowed, not_back])),
            [
                "buttress-secrets: floor 2 needs buttress-audit of floor 2",
                "buttress-pool: floor 1 needs buttress-connect of floor 1",
            ]
        );
    }

    #[test]
    fn the_testkit_is_for_tests() {
        let mut cache = package("buttress-cache", &[]);
        cache.dependencies.push(dev(TESTKIT));
        assert!(wrong(arrows(std::slice::from_ref(&cache))).is_empty());
        cache.dependencies.push(dependency(TESTKIT));
        assert_eq!(wrong(arrows(&[cache])), ["buttress-cache: ships buttress-testkit"]);
    }

    #[test]
    fn an_unknown_crate_is_found() {
        let packages = [package("buttress-core", &[]), package("buttress-lunch", &[]), package(TESTKIT, &[])];
        assert_eq!(wrong(known(&packages)), ["buttress-lunch: has no floor in the house"]);
    }

    #[test]
    fn the_facade_is_for_applications() {
        let mut example = package("docproc", &["buttress"]);
        example.publish = Some(Vec::new());
        let published = package("buttress-health", &["buttress"]);
        assert_eq!(wrong(facade(&[example, published])), ["buttress-health: needs the facade `buttress`"]);
    }

    #[test]
    fn a_client_away_from_home_is_found() {
        let mut packages = [
            package("buttress-connect", &["redis"]),
            package("buttress-service", &["axum"]),
            package("docproc", &["rusqlite", "axum"]),
            package("buttress-cache", &["redis"]),
            package("buttress-health", &[]),
        ];
        packages[4].dependencies.push(dev("hyper"));
        let expected = ["buttress-cache: names redis, which only buttress-connect may name"];
        assert_eq!(wrong(homes(&packages)), expected);
    }
}
