//! `recover`: a database as it was at any second of its log.

use crate::Failed;
use crate::args::{Common, Recover};

#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(crate) async fn recover(common: &Common, what: &Recover) -> Result<(), Failed> {
    use buttress_backup::log::{Log, ShippedConfig};
    use serde_json::json;

    use crate::keep::{config, ctx};
    use crate::show;

    let ctx = ctx(common)?;
    let config = config(&what.config)?;
    let names: Vec<_> = config.logs.iter().map(|log| log.log().name.as_str()).collect();
    let Some(shipped) = config.logs.iter().find(|log| log.log().name == what.log) else {
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(Failed::Other(format!(
            "the configuration has no log `{}`; there are: {there}",
            what.log
        )));
    };
    let (_, password) = config.place(&ctx).await?;
    let log = Log::open(shipped.log(), &password, &ctx).await?;
    let at = what.at.map(Into::into);
    let (text, answer) = match shipped {
        #[cfg(feature = "postgres")]
        ShippedConfig::Postgres(_) => {
            use buttress_backup::log::postgres::{Target, prepare};
            let wal = what
                .to
                .with_file_name(format!("{}-wal", what.to.file_name().unwrap_or_default().to_string_lossy()));
            let target = at.map_or(Target::End, Target::Time);
            let prepared = prepare(&log, &what.to, &wal, target, None).await?;
            let text = format!(
                "{} has been prepared, with {} of the log in {}. Give both to the user who runs the server, and start it: it \
                 recovers, and then is open for writing.\n",
                show::path(&what.to),
                show::count(prepared.files, "file"),
                show::path(&wal),
            );
            (
                text,
                json!({ "data": what.to.to_string_lossy(), "wal": wal.to_string_lossy(), "files": prepared.files }),
            )
        }
        #[cfg(feature = "sqlite")]
        ShippedConfig::Sqlite(_) => {
            let recovered = buttress_backup::log::sqlite::recover(&log, at, &what.to, None).await?;
            let shown = |time| jiff::Timestamp::try_from(time).map(show::time).unwrap_or_default();
            let (since, time) = (shown(recovered.since), shown(recovered.time));
            let text = format!(
                "{} has everything that was committed before {since}, and nothing of after {time}\n",
                show::path(&what.to),
            );
            (text, json!({ "database": what.to.to_string_lossy(), "since": since, "time": time }))
        }
        // Of kinds that other versions know.
        _ => return Err(Failed::Other(format!("the log `{}` is of an unknown kind", what.log))),
    };
    show::answer(common, &text, &answer)
}

#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
#[expect(clippy::unused_async, reason = "as where there are logs")]
pub(crate) async fn recover(_: &Common, what: &Recover) -> Result<(), Failed> {
    Err(Failed::Other(format!(
        "this program was built without logs, so it cannot recover `{}`: build it with the features postgres or sqlite",
        what.log
    )))
}
