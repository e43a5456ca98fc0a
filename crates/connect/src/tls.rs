//! rustls on ring, trusting the system's certificates and one file of our own.

#[cfg(feature = "postgres")]
use std::path::Path;

use rustls::crypto::{CryptoProvider, ring};
#[cfg(feature = "postgres")]
use rustls::pki_types::{CertificateDer, pem::PemObject};
#[cfg(feature = "postgres")]
use rustls::{ClientConfig, RootCertStore};

#[cfg(feature = "postgres")]
use crate::Error;

/// Makes ring what rustls uses where nobody says what it should use.
pub(crate) fn use_ring() {
    if CryptoProvider::get_default().is_none() {
        // Somebody was quicker: then that is the default.
        let _ = ring::default_provider().install_default();
    }
}

/// A client that trusts the system's certificates and those in `ca_file`.
#[cfg(feature = "postgres")]
pub(crate) fn client(ca_file: Option<&Path>) -> Result<ClientConfig, Error> {
    use_ring();
    let mut roots = RootCertStore::empty();
    // Where some cannot be read the others count; what nobody vouches for then fails in the handshake, and says so.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let unusable = |problem: String| Error::File { path: path.display().to_string(), problem };
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unusable(error.to_string()))?;
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(unusable("it holds no certificate in PEM".to_owned()));
        }
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
