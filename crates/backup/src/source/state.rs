//! What a service keeps by itself.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use buttress_core::{BoxFuture, Ctx, Violations};
use ring::digest;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt as _, BufWriter};

use super::{Collected, Consistency, Source, failed, require_name, root};
use crate::Error;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Write = dyn Fn(Part) -> BoxFuture<'static, Result<Part, BoxError>> + Send + Sync;

/// A service's own state, which it writes as named streams of bytes.
///
/// The parts are written one after the other; that they show one moment is the service's business, or that of [hooks](super::Hooks).
/// Facts: `bytes.PART` and `sha256.PART`.
///
/// ```
/// use buttress_backup::source::State;
/// use buttress_core::Ctx;
///
/// let users = std::sync::Arc::new(std::sync::Mutex::new(vec!["ann", "bob"]));
/// let state = State::new("directory", &Ctx::default())?.part("users.txt", move |mut part| {
///     let now = users.lock().unwrap().clone();
///     async move {
///         for user in now {
///             part.write(format!("{user}\n").as_bytes()).await?;
///         }
///         Ok(part) // It is whole.
///     }
/// })?;
/// # Ok::<(), buttress_backup::Error>(())
/// ```
#[derive(Clone)]
pub struct State {
    name: String,
    parts: Vec<(String, Arc<Write>)>,
    ctx: Ctx,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<_> = self.parts.iter().map(|(part, _)| part).collect();
        f.debug_struct("State").field("name", &self.name).field("parts", &parts).finish_non_exhaustive()
    }
}

impl State {
    /// State without a part yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a name that a source cannot have.
    pub fn new(name: impl Into<String>, ctx: &Ctx) -> Result<Self, Error> {
        let name = name.into();
        checked(&name)?;
        Ok(Self { name, parts: Vec::new(), ctx: ctx.clone() })
    }

    /// Adds the part `/NAME/PART`, which `write` writes and, when it is whole, hands back.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a name that a source cannot have, or that another part has.
    pub fn part<F>(
        mut self,
        name: impl Into<String>,
        write: impl Fn(Part) -> F + Send + Sync + 'static,
    ) -> Result<Self, Error>
    where
        F: Future<Output = Result<Part, BoxError>> + Send + 'static,
    {
        let name = name.into();
        checked(&name)?;
        let mut wrong = Violations::new();
        let new = self.parts.iter().all(|(part, _)| *part != name);
        wrong.require(new, "part", &name, "is the name of two parts; give each its own");
        wrong.into_result().map_err(Error::Config)?;
        self.parts.push((name, Arc::new(move |part| Box::pin(write(part)))));
        Ok(self)
    }

    async fn write(&self, scratch: &Path) -> Result<Collected, Error> {
        let mut collected = Collected::new(Vec::new(), Consistency::Application, self.ctx.clock.wall());
        for (name, write) in &self.parts {
            let path = scratch.join(name);
            let file = File::create_new(&path).await.map_err(|error| Error::file("make", &path, error))?;
            let sum = digest::Context::new(&digest::SHA256);
            let part = Part { file: BufWriter::with_capacity(256 << 10, file), sum, bytes: 0 };
            let cannot = |error| failed(&self.name, format!("the part `{name}` cannot be written"), error);
            let mut part = write(part).await.map_err(cannot)?;
            part.file.flush().await.map_err(|error| Error::file("write", &path, error))?;
            let sum = data_encoding::HEXLOWER.encode(part.sum.finish().as_ref());
            collected =
                collected.fact(format!("bytes.{name}"), &part.bytes).fact(format!("sha256.{name}"), &sum);
            collected.roots.push(root(path, &self.name, name));
        }
        Ok(collected)
    }
}

fn checked(name: &str) -> Result<(), Error> {
    let mut wrong = Violations::new();
    require_name(name, &mut wrong);
    wrong.into_result().map_err(Error::Config)
}

impl Source for State {
    fn name(&self) -> &str {
        &self.name
    }

    async fn collect(&self, scratch: &Path) -> Result<Collected, Error> {
        tokio::select! {
            collected = self.write(scratch) => collected,
            () = self.ctx.shutdown.stopped() => Err(Error::Stopped),
        }
    }
}

/// A part of a service's state while it is written.
pub struct Part {
    file: BufWriter<File>,
    sum: digest::Context,
    bytes: u64,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Part({} bytes)", self.bytes)
    }
}

impl Part {
    /// Adds bytes.
    ///
    /// # Errors
    ///
    /// When the disk takes no more.
    pub async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes).await?;
        self.sum.update(bytes);
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        Ok(())
    }
}
