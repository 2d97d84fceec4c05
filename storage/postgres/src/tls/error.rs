//! Why a server was not reached as it was asked for.

use std::error::Error;
use std::io;

use postgres::error::SqlState;

/// Why TLS with a server did not come to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The server has no TLS, and it was demanded.
    #[error("the server has no TLS, which `sslmode` demands")]
    NotOffered,
    /// The server's certificate could not be verified.
    #[error("the certificate of the server is refused: {message}")]
    NotVerified {
        /// Why.
        message: String,
    },
    /// The server's certificate is one that is trusted, and of another host.
    #[error("the certificate of the server is refused: it is not for {wanted}: it has {found}")]
    OtherHost {
        /// The host of the URL.
        wanted: String,
        /// The names that it has.
        found: String,
    },
    /// The server wants a certificate of this side.
    #[error("the server refused the client certificate, or wants one: {message}")]
    Client {
        /// What it said.
        message: String,
    },
    /// The two do not understand each other.
    #[error("TLS with the server failed: {message}")]
    Handshake {
        /// Why.
        message: String,
    },
    /// What is asked for cannot be done.
    #[error("{message}")]
    Settings {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
}

impl TlsError {
    pub(crate) fn settings(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Settings { message: message.into(), hint: hint.into() }
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::NotOffered => {
                "Set `ssl = on` at the server, use a tunnel (`ssh -L`), or say `sslmode=disable` if the network is trusted."
            }
            Self::NotVerified { .. } => {
                "`sslrootcert=FILE` in the URL names the certificate authority, in PEM; `sslmode=verify-ca` does not compare the name \
                 of the host, and `sslmode=require` without an `sslrootcert` encrypts without knowing who is there."
            }
            Self::OtherHost { .. } => {
                "Put a name that the certificate has into the URL, or let the server have a certificate for this one; `sslmode=verify-ca` \
                 does not compare the name of the host."
            }
            Self::Client { .. } => "`sslcert=FILE&sslkey=FILE` in the URL name a certificate that the server trusts and that is made out to the user, and its key.",
            Self::Handshake { .. } => "The server needs TLS 1.2 or 1.3; `ssl_min_protocol_version` and its certificate say more.",
            Self::Settings { hint, .. } => hint,
        }
        .to_owned()
    }

    /// What a failure of the TLS library means.
    pub(crate) fn of(error: &rustls::Error) -> Self {
        use rustls::{AlertDescription as Alert, CertificateError as Wrong, Error};
        let message = match error {
            Error::InvalidCertificate(Wrong::UnknownIssuer) => {
                "it is signed by none of the certificate authorities that are trusted".to_owned()
            }
            Error::InvalidCertificate(Wrong::NotValidForNameContext { expected, presented }) => {
                let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
                let found = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
                return Self::OtherHost { wanted: expected.to_str().into_owned(), found };
            }
            Error::InvalidCertificate(Wrong::Expired | Wrong::ExpiredContext { .. }) => {
                "it has expired".to_owned()
            }
            Error::InvalidCertificate(Wrong::Revoked) => "it is revoked".to_owned(),
            Error::InvalidCertificate(other) => other.to_string(),
            Error::AlertReceived(
                alert @ (Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnknownCA
                | Alert::CertificateUnknown
                | Alert::CertificateExpired
                | Alert::CertificateRevoked),
            ) => return Self::Client { message: format!("{alert:?}") },
            other => return Self::Handshake { message: other.to_string() },
        };
        Self::NotVerified { message }
    }

    /// The failure of the TLS library in an error of a stream, if there is one.
    pub(crate) fn in_io(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref::<rustls::Error>().map(Self::of)
    }
}

/// `localhost` of `DnsName("localhost")`, which is how the TLS library writes it.
fn bare(name: &str) -> &str {
    name.split_once("(\"").and_then(|(_, rest)| rest.strip_suffix("\")")).unwrap_or(name)
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TLS was not to be had as it was asked for.
    #[error(transparent)]
    Tls(TlsError),
    /// Anything else.
    #[error(transparent)]
    Postgres(postgres::Error),
}

impl ConnectError {
    pub(super) fn of(error: postgres::Error) -> Self {
        if let Some(said) = error.as_db_error() {
            if said.message().contains("certificate")
                && *said.code() == SqlState::INVALID_AUTHORIZATION_SPECIFICATION
            {
                return Self::Tls(TlsError::Client { message: said.message().to_owned() });
            }
            return Self::Postgres(error);
        }
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(one) = cause {
            if let Some(failure) = one.downcast_ref::<io::Error>().and_then(TlsError::in_io) {
                return Self::Tls(failure);
            }
            if one.to_string() == "server does not support TLS" {
                return Self::Tls(TlsError::NotOffered);
            }
            cause = one.source();
        }
        if error.to_string().contains("TLS") {
            return Self::Tls(TlsError::Handshake { message: crate::load::causes(&error) });
        }
        Self::Postgres(error)
    }
}
