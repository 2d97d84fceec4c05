//! TLS towards a server, asked for as libpq has it: by `sslmode`, `sslrootcert`, `sslcert` and the like in the address, else by the
//! environment (`PGSSLMODE`, …), else by the files below `~/.postgresql`.
//!
//! What was asked for holds or the connection fails: with `require` and more nothing is sent in the clear, and what `verify-ca` and
//! `verify-full` cannot verify is refused. A setting that is not understood is an error.

mod error;
mod options;
mod stream;
mod verify;

use std::sync::Arc;

use postgres::config::{Host, SslMode};
use postgres::error::SqlState;
use postgres::{Client, Config};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, version};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use error::{ConnectError, TlsError};
pub use options::Mode;
pub(crate) use stream::Secure;

use options::Options;

/// How TLS is spoken with a server.
#[derive(Clone)]
pub struct Tls {
    mode: Mode,
    config: Arc<ClientConfig>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// One way to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// In the clear.
    Plain,
    /// By TLS if the server has it, else in the clear.
    Offered,
    /// By TLS.
    Secured,
}

impl Way {
    fn ssl_mode(self) -> SslMode {
        match self {
            Self::Plain => SslMode::Disable,
            Self::Offered => SslMode::Prefer,
            Self::Secured => SslMode::Require,
        }
    }
}

impl Tls {
    /// How TLS is spoken with the server at a URL.
    ///
    /// # Errors
    /// [`TlsError::Settings`] for what is not understood, contradicts itself, or names a file that cannot be read.
    pub fn of_url(url: &str) -> Result<Self, TlsError> {
        crate::load::Address::parse(url).tls()
    }

    /// Reads what is asked for; `parameter` knows those of the address.
    ///
    /// # Errors
    /// [`TlsError::Settings`] for what is not understood, contradicts itself, or names a file that cannot be read.
    pub(crate) fn new(parameter: &dyn Fn(&str) -> Option<String>) -> Result<Self, TlsError> {
        let options = Options::read(parameter, &|name| std::env::var(name).ok())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions: Vec<_> = [(&version::TLS12, options.allows_12), (&version::TLS13, options.allows_13)]
            .into_iter()
            .filter_map(|(version, is_allowed)| is_allowed.then_some(version))
            .collect();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(|error| TlsError::settings(error.to_string(), "Correct `ssl_min_protocol_version`."))?;
        let builder =
            builder.dangerous().with_custom_certificate_verifier(verify::verifier(&options, &provider)?);
        let mut config = match client_certificate(&options)? {
            Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|error| {
                TlsError::settings(
                    format!("the client certificate and its key cannot be used: {error}"),
                    "`sslcert` and `sslkey` have to belong together.",
                )
            })?,
            None => builder.with_no_client_auth(),
        };
        config.enable_sni = options.sends_name;
        Ok(Self { mode: options.mode, config: Arc::new(config) })
    }

    /// What was asked for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The ways to try, in order. A unix socket has no TLS, whatever was asked for, as with libpq.
    pub(crate) fn ways(&self, is_unix: bool) -> &'static [Way] {
        match self.mode {
            _ if is_unix => &[Way::Plain],
            Mode::Disable => &[Way::Plain],
            Mode::Allow => &[Way::Plain, Way::Secured],
            Mode::Prefer => &[Way::Offered, Way::Plain],
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => &[Way::Secured],
        }
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// What the Rust client makes its TLS by, also to cancel.
    pub fn maker(&self) -> MakeRustlsConnect {
        MakeRustlsConnect::new((*self.config).clone())
    }

    /// Connects, by one of the ways that were asked for.
    ///
    /// # Errors
    /// [`ConnectError`], of the first way that was not merely the wrong one.
    pub fn connect(&self, config: &Config) -> Result<Client, ConnectError> {
        let is_unix = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let ways = self.ways(is_unix && !config.get_hosts().is_empty());
        let mut first = None;
        for (index, way) in ways.iter().enumerate() {
            let mut config = config.clone();
            config.ssl_mode(way.ssl_mode());
            let error = match config.connect(self.maker()) {
                Ok(client) => return Ok(client),
                Err(error) => ConnectError::of(error),
            };
            let is_wrong_way = match &error {
                ConnectError::Tls(_) => *way == Way::Offered,
                ConnectError::Postgres(error) => {
                    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
                        && error.as_db_error().is_some_and(|error| error.message().contains("pg_hba.conf"))
                }
            };
            let error = first.unwrap_or(error);
            if !is_wrong_way || index + 1 == ways.len() {
                return Err(error);
            }
            first = Some(error);
        }
        Err(ConnectError::Tls(TlsError::settings("no way to connect", "Correct `sslmode`.")))
    }
}

/// The certificate that this side shows, if there is one.
fn client_certificate(
    options: &Options,
) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, TlsError> {
    let Some((certificate, key)) = &options.certificate else { return Ok(None) };
    options::check_private(key)?;
    let unread = |what: &str, path: &std::path::Path, error: &dyn std::fmt::Display| {
        TlsError::settings(
            format!("{what} {} cannot be read: {error}", path.display()),
            "It has to be PEM; a key that is encrypted cannot be used: `openssl pkey -in KEY -out PLAIN` decrypts it.",
        )
    };
    let chain =
        options::certificates(certificate).map_err(|e| unread("the client certificate", certificate, &e))?;
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|e| unread("the key of the client certificate", key, &e))?;
    Ok(Some((chain, key)))
}
