//! Several sources at one moment.

use std::path::Path;

use buttress_core::{Ctx, Violations};

use super::{Collected, Consistency, DynSource, Hold, Hooks, Source, require_name};
use crate::Error;

/// Several sources that are collected while all [`Hooks`] hold still: a database and the files that its rows name, of one moment.
///
/// The hooks are run in their order before the first source, and in the reverse order after. If all sources have copied what they bring, that is
/// at once; if one brings a folder where it is, it is when [`Collected`] is released. One source with hooks is a group of one.
///
/// The roots keep the names of their sources, the facts are `SOURCE.FACT`. The group is as consistent as the least of its sources, where a
/// folder that is held still counts as [`Application`](Consistency::Application).
#[derive(Debug, Clone)]
pub struct Group {
    name: String,
    hooks: Vec<Hooks>,
    sources: Vec<DynSource>,
    ctx: Ctx,
}

impl Group {
    /// These sources.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when there are none, two have the same name, or `name` cannot be a source's.
    pub fn new(
        name: impl Into<String>,
        sources: impl IntoIterator<Item = DynSource>,
        ctx: &Ctx,
    ) -> Result<Self, Error> {
        let (name, sources) = (name.into(), sources.into_iter().collect::<Vec<_>>());
        let mut wrong = Violations::new();
        require_name(&name, &mut wrong);
        wrong.require(!sources.is_empty(), "sources", "[]", "must have a source");
        let mut names = std::collections::BTreeSet::new();
        for source in &sources {
            let once = names.insert(source.name());
            wrong.require(once, "sources", source.name(), "is the name of two sources; give each its own");
        }
        wrong.into_result().map_err(Error::Config)?;
        Ok(Self { name, hooks: Vec::new(), sources, ctx: ctx.clone() })
    }

    /// Holds still by these too.
    #[must_use]
    pub fn hooks(mut self, hooks: Hooks) -> Self {
        self.hooks.push(hooks);
        self
    }
}

impl Source for Group {
    fn name(&self) -> &str {
        &self.name
    }

    async fn collect(&self, scratch: &Path) -> Result<Collected, Error> {
        let mut hold = Hold::nothing();
        for hooks in &self.hooks {
            match hooks.hold().await {
                Ok(more) => hold.join(more),
                Err(error) => return Err(let_go_after(hold, error).await),
            }
        }
        let mut all = match self.collect_all(scratch).await {
            Ok(all) => all,
            Err(error) => return Err(let_go_after(hold, error).await),
        };
        if !self.hooks.is_empty() && all.consistency == Consistency::Crash {
            all.consistency = Consistency::Application;
        }
        all.hold.join(hold);
        if all.roots.iter().all(|root| root.on_disk.starts_with(scratch)) {
            // Nothing is read but copies from now on.
            std::mem::take(&mut all.hold).release().await?;
        }
        Ok(all)
    }
}

impl Group {
    async fn collect_all(&self, scratch: &Path) -> Result<Collected, Error> {
        let mut all = Collected::new(Vec::new(), Consistency::Application, self.ctx.clock.wall());
        let alone = self.sources.len() == 1;
        for source in &self.sources {
            let folder = scratch.join(source.name());
            tokio::fs::create_dir(&folder).await.map_err(|error| Error::file("make", &folder, error))?;
            let one = source.collect(&folder).await?;
            all.taken = all.taken.min(one.taken);
            // Beside others, it has no position of its own.
            all.consistency = if alone { one.consistency } else { all.consistency.min(one.consistency) };
            all.facts.extend(
                one.facts.into_iter().map(|(fact, value)| (format!("{}.{fact}", source.name()), value)),
            );
            all.roots.extend(one.roots);
            all.excludes.extend(one.excludes);
            all.hold.join(one.hold);
        }
        Ok(all)
    }
}

/// Lets go because of an error, which is handed back; what went wrong with the letting go is only logged.
async fn let_go_after(hold: Hold, error: Error) -> Error {
    if let Err(also) = hold.release().await {
        let also = buttress_core::chain(&also);
        tracing::error!(target: "buttress::backup", error = %also, "what was held for a backup may not have been let go");
    }
    error
}
