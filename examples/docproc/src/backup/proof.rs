//! Whether a restored folder is what the service had.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::SystemTime;

use buttress_backup::Error;
use buttress_backup::source::{Record, SqliteCheck};
use buttress_backup::verify::{Sqlite, SqliteConfig, Verdict, Verifier};
use buttress_core::Ctx;
use buttress_docpipeline::ContentHasher;

use super::SOURCE;
use super::data::{ACCEPTED, DATABASES, DOCUMENTS, blocking, file, waiting};

/// Judges a restored folder: each database by SQLite and by what was recorded of it, the bytes of each document that waits by their hash.
pub(super) struct Proof {
    record: Record,
    ctx: Ctx,
}

impl Proof {
    pub(super) fn new(record: Record, ctx: &Ctx) -> Self {
        Self { record, ctx: ctx.clone() }
    }
}

impl Verifier for Proof {
    fn name(&self) -> &'static str {
        SOURCE
    }

    async fn verify(&self, restored: &Path, made: SystemTime) -> Result<Verdict, Error> {
        let mut verdict = Verdict::new();
        for database in DATABASES {
            let record = self.record.of(database.name);
            // Not every service has all of them.
            if record.facts.is_empty() {
                continue;
            }
            let mut config = SqliteConfig::default();
            database.name.clone_into(&mut config.name);
            config.path = Path::new(SOURCE).join(database.place);
            config.check = SqliteCheck::Full;
            let judged = Sqlite::new(config, &self.ctx)?.against(record).verify(restored, made).await?;
            for mut check in judged.checks {
                check.what = format!("{}: {}", database.place, check.what);
                verdict.checks.push(check);
            }
        }
        let folder = restored.join(SOURCE);
        let (waiting, wrong) = blocking(move || bytes_of_waiting(&folder)).await?;
        let found = if wrong.is_empty() { "all".to_owned() } else { format!("not of {}", wrong.join(", ")) };
        verdict.add(format!("bytes of the {waiting} documents that wait"), "all", found, wrong.is_empty());
        Ok(verdict)
    }
}

/// How many documents wait, and the contents of those whose bytes are not there or others.
fn bytes_of_waiting(folder: &Path) -> Result<(usize, Vec<String>), Error> {
    // What is wrong with the database was told before.
    let waiting = waiting(&folder.join(DOCUMENTS.place)).unwrap_or_default();
    let count = waiting.len();
    let mut wrong = Vec::new();
    for content in waiting {
        let path = folder.join(ACCEPTED).join(&content);
        match hash(&path) {
            Ok(found) if found == content => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file("read", &path, error)),
            _ => wrong.push(content),
        }
    }
    Ok((count, wrong))
}

fn hash(path: &Path) -> io::Result<String> {
    let (mut bytes, mut hasher) = (File::open(path)?, ContentHasher::default());
    let mut part = vec![0; 256 << 10];
    loop {
        match bytes.read(&mut part)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(part.get(..read).unwrap_or_default()),
        }
    }
}
