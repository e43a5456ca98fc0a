//! What the commands do.

use std::fs::{self, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use buttress_core::{Ctx, Validate, units};
use buttress_secrets::shamir::Share;
use buttress_secrets::vault::{PassphraseCost, VaultStore};
use buttress_secrets::{
    Action, Error, Expect, Lifecycle, Name, RotationPolicy, Secret, SecretStore, Stage, Step, Which, step,
};

use crate::cli::{Cli, Command, StepArg, ValueArgs};
use crate::{Failure, input, output};

/// Names that are shown.
const MOST: usize = 4096;

pub(crate) async fn run(cli: &Cli) -> Result<(), Failure> {
    let ctx = Ctx::default();
    match &cli.command {
        Command::Init => {
            let key = input::first_key(&cli.key)?;
            VaultStore::create(&cli.vault, key, PassphraseCost::default(), &ctx).await?;
            println!("made {}", cli.vault.display());
            println!("next: `secrets set NAME`, and `secrets export` for the day on which the key is lost");
            return Ok(());
        }
        Command::Recover { shares, key } => return recover(cli, shares, input::new_key(key)?, &ctx).await,
        _ => {}
    }
    if matches!(cli.command, Command::Get { reveal: false, .. }) && std::io::stdout().is_terminal() {
        let why =
            "a terminal remembers what it showed: redirect the value to where it is needed, or add --reveal";
        return Err(Failure(why.to_owned()));
    }
    let vault = VaultStore::open(&cli.vault, input::key(&cli.key)?, &ctx).await?;
    match &cli.command {
        Command::Set { name, value } => set(&vault, &Name::new(name)?, value).await,
        Command::Get { name, stage, .. } => get(&vault, &Name::new(name)?, (*stage).into()).await,
        Command::List => list(&vault).await,
        Command::Remove { name } => {
            let name = Name::new(name)?;
            let there = vault.remove(&name).await?;
            if !there {
                return Err(missing(&name, None).into());
            }
            println!("removed {name}");
            Ok(())
        }
        Command::Rotate { name, step, every, overlap, grace, value } => {
            let mut policy = RotationPolicy::default();
            (policy.every, policy.overlap, policy.grace) = (*every, *overlap, *grace);
            policy.validate().map_err(Error::Config)?;
            rotate(&vault, &Name::new(name)?, *step, policy, value, &ctx).await
        }
        Command::Rekey { key } => {
            vault.rekey(input::new_key(key)?, PassphraseCost::default()).await?;
            println!(
                "everything is encrypted under the new key; shares of `secrets export` do not open it any more"
            );
            Ok(())
        }
        Command::Verify => {
            let found = vault.verify().await?;
            let (secrets, generation, key) = (found.secrets, found.generation, found.derivation);
            let place = cli.vault.display();
            println!("{place}: whole; {secrets} secrets, generation {generation}, {key}");
            Ok(())
        }
        Command::Export { threshold, shares, into } => export(&vault, *threshold, *shares, into).await,
        Command::Init | Command::Recover { .. } => Ok(()),
    }
}

fn missing(name: &Name, version: Option<u64>) -> Error {
    Error::NotFound { name: name.clone(), version }
}

async fn set(vault: &VaultStore, name: &Name, value: &ValueArgs) -> Result<(), Failure> {
    let made = vault.put(name, &input::value(value)?, Expect::Anything).await?;
    println!("{name}: version {} is current", made.current.version);
    Ok(())
}

async fn get(vault: &VaultStore, name: &Name, stage: Stage) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    let found = vault.get(name, Which::At(stage)).await?.ok_or_else(|| missing(name, None))?;
    let newline: &[u8] = if out.is_terminal() { b"\n" } else { b"" };
    out.write_all(found.secret.expose())
        .and_then(|()| out.write_all(newline))
        .and_then(|()| out.flush())
        .map_err(|error| Failure(format!("the value cannot be written: {error}")))
}

async fn list(vault: &VaultStore) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for name in vault.list(MOST).await? {
        // One that was removed meanwhile is not there.
        if let Some(versions) = vault.lifecycle(&name).await? {
            rows.push((name, versions));
        }
    }
    print!("{}", output::versions(&rows));
    Ok(())
}

async fn rotate(
    vault: &VaultStore,
    name: &Name,
    named: Option<StepArg>,
    policy: RotationPolicy,
    value: &ValueArgs,
    ctx: &Ctx,
) -> Result<(), Failure> {
    let seen = vault.lifecycle(name).await?.ok_or_else(|| missing(name, None))?;
    let due = step(ctx.clock.wall(), &seen, &policy);
    let made = match (named, due) {
        (Some(StepArg::Create), _) | (None, Action::Create) => Some(Step::Create(next_value(value)?)),
        (Some(StepArg::Switch), _) | (None, Action::Switch) => Some(Step::Switch),
        (Some(StepArg::Retire), _) | (None, Action::Retire) => Some(Step::Retire),
        (None, Action::Wait(_)) => None,
    };
    let now = match made {
        Some(step) => {
            let label = step.as_str();
            let now = vault.rotate(name, &seen, step).await?;
            println!("{name}: {label}");
            now
        }
        None => seen,
    };
    print!("{}", output::versions(&[(name.clone(), now)]));
    println!("{}", next(&now, &policy, ctx));
    Ok(())
}

/// A value that nobody has to think of, unless one is given.
fn next_value(value: &ValueArgs) -> Result<Secret, Failure> {
    if value.random.is_none() && value.from_file.is_none() {
        return Ok(buttress_secrets::RandomValue::default().value()?);
    }
    input::value(value)
}

fn next(now: &Lifecycle, policy: &RotationPolicy, ctx: &Ctx) -> String {
    match step(ctx.clock.wall(), now, policy) {
        Action::Wait(left) => {
            let whole = std::time::Duration::from_secs(left.as_secs());
            format!("next: nothing for {}", units::format_duration(whole))
        }
        Action::Create => "next: create, which is due".to_owned(),
        Action::Switch => "next: switch, which is due".to_owned(),
        Action::Retire => "next: retire, which is due".to_owned(),
    }
}

async fn export(vault: &VaultStore, threshold: u8, shares: u8, into: &Path) -> Result<(), Failure> {
    let made = vault.shares(threshold, shares).await?;
    let failed = |path: &Path, error: std::io::Error| Failure(format!("{}: {error}", path.display()));
    fs::create_dir_all(into).map_err(|error| failed(into, error))?;
    for share in &made {
        let path = into.join(format!("share-{}-of-{shares}.txt", share.number()));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| failed(&path, error))?;
        let text = format!("{}\n", share.expose());
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|error| failed(&path, error))?;
        println!("{}", path.display());
    }
    println!(
        "any {threshold} of them open the vault until it gets a new key: give each to somebody else, with a copy of the vault, and \
         delete them here"
    );
    Ok(())
}

async fn recover(
    cli: &Cli,
    paths: &[PathBuf],
    key: buttress_secrets::vault::KeySource,
    ctx: &Ctx,
) -> Result<(), Failure> {
    let mut shares: Vec<Share> = Vec::new();
    for path in paths {
        let text = input::file(path)?;
        let share = text.text()?.trim().parse();
        shares.push(share.map_err(|error| Failure(format!("{}: {error}", path.display())))?);
    }
    VaultStore::recover(&cli.vault, &shares, key, PassphraseCost::default(), ctx).await?;
    println!(
        "the vault has the new key; these shares do not open it any more: make new ones with `secrets export`",
    );
    Ok(())
}
