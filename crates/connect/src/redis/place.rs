//! Where Redis is: one server, a master that sentinels know, or a cluster.

use std::str::FromStr;

/// What a Redis address names.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// One server, by its URL.
    One(String),
    /// The master of this name, as the sentinels know it.
    Sentinel {
        /// Each sentinel's URL.
        sentinels: Vec<String>,
        /// The name they watch it by.
        master: String,
        /// A URL of any server of the group, with its login, kind of transport and database; its host stands for theirs.
        server: String,
    },
    /// A cluster, by the URLs of some of its nodes.
    Cluster(Vec<String>),
}

/// The host in the URL that stands for all servers of a group.
const ANY_HOST: &str = "any.invalid";

/// Why an address is no place. Says what would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong(pub(crate) String);

impl FromStr for Place {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let wrong = |told: String| Err(Wrong(told));
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let Some((transport, kind)) = scheme.split_once('+') else { return Ok(Self::One(text.to_owned())) };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match place.rsplit_once('@') {
            Some((login, hosts)) => (format!("{login}@"), hosts),
            None => (String::new(), place),
        };
        let hosts: Vec<&str> = hosts.split(',').collect();
        if hosts.iter().any(|host| host.is_empty()) {
            return wrong(format!("a host is missing; write \"{scheme}://one:26379,two:26379\""));
        }
        match kind {
            "cluster" if !matches!(database, "" | "0") => {
                wrong(format!("a cluster has database 0 only; leave out \"/{database}\""))
            }
            "cluster" if !query.is_empty() => {
                wrong(format!("`{query}` is not known for a cluster; leave it out"))
            }
            "cluster" => {
                Ok(Self::Cluster(hosts.iter().map(|host| format!("{transport}://{login}{host}")).collect()))
            }
            "sentinel" => {
                let (mut master, mut same_login) = (None, false);
                for setting in query.split('&').filter(|setting| !setting.is_empty()) {
                    match setting.split_once('=') {
                        Some(("master", name)) if !name.is_empty() => master = Some(name.to_owned()),
                        Some(("sentinel_login", "same")) => same_login = true,
                        _ => {
                            return wrong(format!(
                                "`{setting}` is not known for sentinels; known are master=NAME and sentinel_login=same"
                            ));
                        }
                    }
                }
                let Some(master) = master else {
                    return wrong(
                        "it names no master; add \"?master=NAME\", as the sentinels know it".to_owned(),
                    );
                };
                let own = if same_login { login.as_str() } else { "" };
                let with_port = |host: &&str| {
                    let has_port = host.rfind(':').is_some_and(|colon| !host.ends_with(']') && colon > 0);
                    if has_port { (*host).to_owned() } else { format!("{host}:26379") }
                };
                Ok(Self::Sentinel {
                    sentinels: hosts
                        .iter()
                        .map(|host| format!("{transport}://{own}{}", with_port(host)))
                        .collect(),
                    master,
                    server: format!("{transport}://{login}{ANY_HOST}/{database}"),
                })
            }
            _ => wrong(format!("`{scheme}` is not known here; known are redis+sentinel and redis+cluster")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a failing expectation fails the test")]
    use super::*;

    fn place(text: &str) -> Place {
        text.parse().unwrap_or_else(|Wrong(told)| panic!("{text}: {told}"))
    }

    #[test]
    fn one_server_is_left_to_the_client() {
        let url = "rediss://app:secret@cache:6380/2";
        assert!(place(url) == Place::One(url.to_owned()));
    }

    #[test]
    fn sentinels_have_a_master_and_its_login() {
        let expected = Place::Sentinel {
            sentinels: vec![
                "redis://one:26379".to_owned(),
                "redis://[::1]:26379".to_owned(),
                "redis://two:5000".to_owned(),
            ],
            master: "main".to_owned(),
            server: "redis://app:se@cret@any.invalid/3".to_owned(),
        };
        assert!(place("redis+sentinel://app:se@cret@one,[::1],two:5000/3?master=main") == expected);
        let Place::Sentinel { sentinels, .. } =
            place("rediss+sentinel://a:b@one?master=m&sentinel_login=same")
        else {
            panic!("not sentinels");
        };
        assert_eq!(sentinels, ["rediss://a:b@one:26379"]);
    }

    #[test]
    fn a_cluster_is_its_nodes() {
        let expected = vec!["redis://:pw@one:7000".to_owned(), "redis://:pw@two:7001".to_owned()];
        assert!(place("redis+cluster://:pw@one:7000,two:7001") == Place::Cluster(expected));
    }

    #[test]
    fn what_is_wrong_says_what_would_do() {
        for (text, told) in [
            ("redis+sentinel://one:26379", "?master=NAME"),
            ("redis+sentinel://one,,two?master=m", "a host is missing"),
            ("redis+sentinel://one?master=", "known are master=NAME"),
            ("redis+cluster://one/3", "database 0"),
            ("redis+cluster://one?master=m", "leave it out"),
            ("redis+ring://one", "redis+cluster"),
        ] {
            let Err(Wrong(said)) = text.parse::<Place>() else { panic!("{text} was taken") };
            assert!(said.contains(told), "{text}: {said}");
        }
    }
}
