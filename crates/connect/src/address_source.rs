//! Where a server is, for logins that change while a program runs.

use std::sync::Arc;

use buttress_core::BoxFuture;

use crate::Address;
use crate::error::BoxError;

/// Where a server is and how it is logged in to, asked for each new connection.
///
/// An [`Address`] always says the same. One that is kept as a secret follows its rotation: connections that are open stay, new ones
/// use the new login.
pub trait AddressSource: Send + Sync + 'static {
    /// The server as errors name it, without a password.
    fn place(&self) -> String;

    /// Where to connect now. It counts towards the time that the connection may take.
    fn address(&self) -> BoxFuture<'_, Result<Address, BoxError>>;
}

impl AddressSource for Address {
    fn place(&self) -> String {
        self.to_string()
    }

    fn address(&self) -> BoxFuture<'_, Result<Address, BoxError>> {
        Box::pin(async { Ok(self.clone()) })
    }
}

impl<S: AddressSource + ?Sized> AddressSource for Arc<S> {
    fn place(&self) -> String {
        (**self).place()
    }

    fn address(&self) -> BoxFuture<'_, Result<Address, BoxError>> {
        (**self).address()
    }
}
