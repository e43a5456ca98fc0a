//! A login of PostgreSQL that rotates while everybody works: two roles that take turns.
//!
//! The secret is the whole address, login included. A role's password is changed only while nobody logs in as that role any more, so
//! that both the login in use and the one to come work at every moment:
//!
//! ```text
//!           create            switch            retire            create
//!  orders_a: | in use . . . . . . | still works . . . . . . . . . . . | its password is changed
//!  orders_b: | gets a password    | in use . . . . . . . . . . . . . .
//! ```
//!
//! Both roles are members of a third one, which owns the tables:
//!
//! ```sql
//! CREATE ROLE orders NOLOGIN;
//! CREATE ROLE orders_a LOGIN IN ROLE orders;
//! CREATE ROLE orders_b LOGIN IN ROLE orders;
//! ```
//!
//! ```no_run
//! use std::sync::Arc;
//! use buttress_connect::postgres::{Connections, Postgres};
//! use buttress_connect::ConnectionConfig;
//! use buttress_core::Ctx;
//! use buttress_pool::PoolConfig;
//! use buttress_secrets::postgres::{SecretAddress, TurnTaking};
//! use buttress_secrets::{Name, Secrets, SecretsConfig};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let (ctx, config) = (Ctx::default(), ConnectionConfig::default());
//! let secrets = Secrets::from_config(&SecretsConfig::default(), &ctx).await?;
//!
//! // Every service: connections that follow the secret.
//! let address = SecretAddress::new(&secrets, Name::new("orders/database")?);
//! let pool = Connections::by(address, &config, &ctx)?.pool(PoolConfig::default(), &ctx)?;
//!
//! // One of them, or a task of its own: the rotation, by a role that may alter the two.
//! let admin = SecretAddress::new(&secrets, Name::new("orders/admin")?);
//! let admin = Postgres::connect_by(admin, &config, &ctx).await?;
//! let logins = TurnTaking::new(Arc::clone(secrets.store()), admin, ["orders_a", "orders_b"]);
//! secrets.rotate_on_schedule("orders/database", logins)?;
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::sync::Arc;

use buttress_connect::postgres::Postgres;
use buttress_connect::postgres::client::Config;
use buttress_connect::{Address, AddressSource, BoxError};
use buttress_core::{BoxFuture, Classify};

use crate::{Error, Generate, Name, RandomValue, Secret, SecretStore, Secrets};

/// The address of a server, kept as a secret: each new connection is made with the login that is current then.
///
/// PostgreSQL's client copies the address while it connects, and does not overwrite its copies.
#[derive(Clone)]
pub struct SecretAddress {
    secrets: Secrets,
    name: Name,
}

impl SecretAddress {
    /// The address in the secret `name`.
    #[must_use]
    pub fn new(secrets: &Secrets, name: Name) -> Self {
        Self { secrets: secrets.clone(), name }
    }
}

impl AddressSource for SecretAddress {
    fn place(&self) -> String {
        format!("the address in the secret `{}`", self.name)
    }

    fn address(&self) -> BoxFuture<'_, Result<Address, BoxError>> {
        Box::pin(async { Ok(self.secrets.current(self.name.as_str()).await?.text()?.parse()?) })
    }
}

impl fmt::Debug for SecretAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretAddress({})", self.name)
    }
}

/// Makes the next login: gives a new password to that of two roles which is not in use, and answers the address with it.
///
/// The server is told a hash (`SCRAM-SHA-256`), so that no password stands in its logs. While a login made earlier waits for its turn it
/// must not be made again; the [rotation](crate::Rotator) does not.
pub struct TurnTaking {
    store: Arc<dyn SecretStore>,
    admin: Postgres,
    roles: [String; 2],
}

impl TurnTaking {
    /// Logins as `roles`, whose passwords `admin` may change. The secret is in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn SecretStore>, admin: Postgres, roles: [&str; 2]) -> Self {
        Self { store, admin, roles: roles.map(str::to_owned) }
    }

    async fn next(&self, name: &Name) -> Result<Secret, Error> {
        let versions = self.store.load(name).await?.ok_or_else(|| Error::not_found(name))?;
        let address = address_in(&versions.current.secret)?;
        let role = self.after(&address, name)?;
        let password = RandomValue::default().value()?;
        // The server makes no hash of a text that is one already. In a hash there is nothing to escape.
        let hash = postgres_protocol::password::scram_sha_256(password.expose());
        let alter = format!("ALTER ROLE {} WITH PASSWORD '{hash}'", quoted(role));
        self.admin.execute(&alter).await.map_err(|source| failed("give a role its password", source))?;
        let next = address.with_login(role, password.text()?).ok_or_else(|| unusable(&address))?;
        Ok(Secret::from(next.expose().to_owned()))
    }

    /// The role whose turn comes after that of `address`.
    fn after(&self, address: &Address, name: &Name) -> Result<&str, Error> {
        let config: Config = address.expose().parse().map_err(|_| unusable(address))?;
        let user = config.get_user().unwrap_or_default();
        match &self.roles {
            [one, other] if user == one => Ok(other),
            [one, other] if user == other => Ok(one),
            [one, other] => Err(Error::Login {
                name: name.clone(),
                user: user.to_owned(),
                roles: format!("`{one}` and `{other}`"),
            }),
        }
    }
}

impl Generate for TurnTaking {
    fn generate<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Secret, Error>> {
        Box::pin(self.next(name))
    }
}

impl fmt::Debug for TurnTaking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TurnTaking({:?} by {:?})", self.roles, self.admin)
    }
}

fn address_in(secret: &Secret) -> Result<Address, Error> {
    secret.text()?.parse().map_err(|source| failed("use the address", source))
}

fn unusable(address: &Address) -> Error {
    let problem = "a login of PostgreSQL is like \"postgres://user:password@host/database\"".to_owned();
    failed("use the address", buttress_connect::Error::Address { address: address.to_string(), problem })
}

fn failed(doing: &str, source: buttress_connect::Error) -> Error {
    let class = source.class();
    Error::Store { store: "postgres", doing: doing.to_owned(), class, source: source.into() }
}

/// A name as SQL has it.
fn quoted(role: &str) -> String {
    format!("\"{}\"", role.replace('"', "\"\""))
}
