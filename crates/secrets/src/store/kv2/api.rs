//! The calls of a KV engine of version 2 that the store makes.

use buttress_connect::http::{Answer, Request};
use buttress_core::ErrorClass;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::document::Document;
use super::failed;
use super::session::Session;
use crate::Error;

/// A KV engine.
pub(super) struct Engine {
    pub(super) session: Session,
    pub(super) mount: String,
    /// Empty, or with a slash at its end.
    pub(super) prefix: String,
}

/// The newest version of a KV secret.
pub(super) enum Newest {
    /// There is none, or its newest version was deleted. The number is what a write has to expect.
    None(u64),
    Found(Document),
}

/// Whether a secret has changed: its newest version, and whether that is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(u64, bool);

#[derive(Deserialize)]
struct Body<T> {
    data: T,
}

#[derive(Deserialize)]
struct Read {
    data: Option<Map<String, Value>>,
    metadata: About,
}

#[derive(Deserialize)]
struct About {
    version: u64,
    #[serde(default)]
    created_time: String,
}

#[derive(Deserialize)]
struct Metadata {
    current_version: u64,
    versions: std::collections::BTreeMap<u64, Version>,
}

#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    deletion_time: String,
    #[serde(default)]
    destroyed: bool,
}

impl Engine {
    /// Reads the newest version, or the one of a number.
    pub(super) async fn read(&self, path: &str, version: Option<u64>) -> Result<Newest, Error> {
        let doing = format!("read `{path}`");
        let query = version.map(|version| format!("?version={version}")).unwrap_or_default();
        let answer = self.session.ask(&doing, Request::get(self.path("data", path) + &query)).await?;
        if answer.status == 404 {
            // One that was deleted says so; one that never was has no body of this form.
            let body = serde_json::from_slice::<Body<Read>>(&answer.body);
            return Ok(Newest::None(body.map_or(0, |body| body.data.metadata.version)));
        }
        let Body { data: Read { data, metadata } } = self.parsed(&doing, &answer)?;
        let created = humantime::parse_rfc3339(&metadata.created_time).ok();
        Ok(match data {
            Some(members) => Newest::Found(Document { version: metadata.version, created, members }),
            None => Newest::None(metadata.version),
        })
    }

    /// Writes a version, if the newest is still `expected`. Whether it was.
    pub(super) async fn write(
        &self,
        path: &str,
        expected: u64,
        members: Map<String, Value>,
    ) -> Result<bool, Error> {
        let doing = format!("write `{path}`");
        let body = json!({ "data": members, "options": { "cas": expected } }).to_string();
        let answer = self.session.ask(&doing, Request::post(self.path("data", path)).json(body)).await?;
        // The server has no status of its own for it.
        if answer.status == 400 && String::from_utf8_lossy(&answer.body).contains("check-and-set") {
            return Ok(false);
        }
        self.succeeded(&doing, &answer).map(|()| true)
    }

    /// Destroys the content of all versions below `version`.
    pub(super) async fn destroy_before(&self, path: &str, version: u64) -> Result<(), Error> {
        let doing = format!("destroy the old versions of `{path}`");
        let Some(metadata) = self.metadata(&doing, path).await? else { return Ok(()) };
        let old = metadata.versions.iter().filter(|(number, about)| **number < version && !about.destroyed);
        let old: Vec<u64> = old.map(|(number, _)| *number).collect();
        if old.is_empty() {
            return Ok(());
        }
        let body = json!({ "versions": old }).to_string();
        let answer = self.session.ask(&doing, Request::put(self.path("destroy", path)).json(body)).await?;
        self.succeeded(&doing, &answer)
    }

    /// Removes a secret with all its versions.
    pub(super) async fn purge(&self, path: &str) -> Result<(), Error> {
        let doing = format!("remove `{path}`");
        let answer = self.session.ask(&doing, Request::delete(self.path("metadata", path))).await?;
        self.succeeded(&doing, &answer)
    }

    /// Whether a secret has changed, without its values.
    pub(super) async fn stamp(&self, path: &str) -> Result<Option<Stamp>, Error> {
        let metadata = self.metadata(&format!("look at `{path}`"), path).await?;
        Ok(metadata.map(|metadata| {
            let newest = metadata.versions.get(&metadata.current_version);
            let deleted = newest.is_none_or(|version| version.destroyed || !version.deletion_time.is_empty());
            Stamp(metadata.current_version, deleted)
        }))
    }

    /// What is in a folder; folders have a slash at their end.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<String>, Error> {
        #[derive(Deserialize)]
        struct Keys {
            keys: Vec<String>,
        }
        let doing = format!("list `{folder}`");
        let answer =
            self.session.ask(&doing, Request::get(self.path("metadata", folder) + "?list=true")).await?;
        if answer.status == 404 {
            return Ok(Vec::new());
        }
        let Body { data: Keys { keys } } = self.parsed(&doing, &answer)?;
        Ok(keys)
    }

    async fn metadata(&self, doing: &str, path: &str) -> Result<Option<Metadata>, Error> {
        let answer = self.session.ask(doing, Request::get(self.path("metadata", path))).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let Body { data } = self.parsed(doing, &answer)?;
        Ok(Some(data))
    }

    fn path(&self, kind: &str, path: &str) -> String {
        format!("/v1/{}/{kind}/{}{path}", self.mount, self.prefix)
    }

    fn parsed<T: DeserializeOwned>(&self, doing: &str, answer: &Answer) -> Result<T, Error> {
        self.succeeded(doing, answer)?;
        // What serde says may repeat a value.
        serde_json::from_slice(&answer.body).map_err(|_| Error::Damaged {
            place: format!("the answer of {}", self.session.http.place()),
            problem: "it is no answer of a KV engine of version 2: is the mount the right one?",
        })
    }

    fn succeeded(&self, doing: &str, answer: &Answer) -> Result<(), Error> {
        match answer.class() {
            None => Ok(()),
            // Nothing of ours is ill-formed: it is the mount that is not there, or not of that kind.
            Some(ErrorClass::NotFound) => {
                let told = "there is no KV engine of version 2 at the configured mount";
                Err(failed(doing, self.session.http.failed(ErrorClass::Invalid, told)))
            }
            Some(_) => Err(failed(doing, self.session.http.refused(answer))),
        }
    }
}
