//! `keys`: the passwords of the repository.

use buttress_backup::Id;
use serde_json::json;

use crate::Failed;
use crate::args::{Common, Keys, KeysCommand};
use crate::place::{new_password, open};
use crate::show;

pub(crate) async fn keys(common: &Common, args: Keys) -> Result<(), Failed> {
    let mut repository = open(common).await?;
    match args.what {
        KeysCommand::List => {
            let keys = repository.keys().await?;
            let rows: Vec<_> = keys
                .iter()
                .map(|key| {
                    let by = show::clean(&format!("{}@{}", key.username, key.hostname));
                    let current = if key.current { "this one" } else { "" };
                    [key.id.short(), show::time(key.created), by, current.to_owned()]
                })
                .collect();
            show::answer(common, &show::table(["ID", "MADE", "BY", ""], &rows), &json!(keys))
        }
        KeysCommand::Add(new) => {
            let id = repository.add_key(&new_password(new.new_password_file.as_deref())?).await?;
            let text = format!("added key {}; the other passwords still open the repository\n", id.short());
            show::answer(common, &text, &json!({ "added": id }))
        }
        KeysCommand::Remove { id } => {
            let ids: Vec<Id> = repository.keys().await?.iter().map(|key| key.id).collect();
            let fits = |one: &&Id| !id.is_empty() && one.to_string().starts_with(&id);
            let fitting: Vec<&Id> = ids.iter().filter(fits).collect();
            let [one] = fitting.as_slice() else {
                let many = fitting.len();
                return Err(Failed::Other(format!(
                    "{many} keys begin with `{id}`; `backup keys list` has them all"
                )));
            };
            repository.remove_key(**one).await?;
            show::answer(common, &format!("removed key {}\n", one.short()), &json!({ "removed": one }))
        }
        KeysCommand::Change(new) => {
            repository.change_password(&new_password(new.new_password_file.as_deref())?).await?;
            show::answer(common, "the password was changed\n", &json!({ "changed": true }))
        }
    }
}
