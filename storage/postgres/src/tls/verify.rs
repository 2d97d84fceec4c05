//! Whether a server is who it says it is.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::db::{rfc4519::CN, rfc5280::ID_CE_SUBJECT_ALT_NAME};
use x509_cert::der::{Decode as _, Tagged as _};

use super::TlsError;
use super::options::{Mode, Options, Roots, certificates};

/// What verifies the server's certificate as `options` have it.
pub(super) fn verifier(
    options: &Options,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let trusted = match &options.roots {
        Roots::Anybody => return Ok(Arc::new(Anybody(Arc::clone(provider)))),
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            if found.certs.is_empty() {
                return Err(TlsError::settings(
                    "this machine has no certificate authorities that could be found",
                    "Install them (Debian: `ca-certificates`), or name a file by `sslrootcert`.",
                ));
            }
            found.certs
        }
        Roots::File(path) => certificates(path).map_err(|error| unread("sslrootcert", path, &error))?,
    };
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(trusted.iter().cloned());
    if usable == 0 {
        let hint = "It has to have X.509 certificates in PEM.";
        return Err(TlsError::settings("no certificate authority of `sslrootcert` can be used", hint));
    }
    let mut builder = WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
    if let Some(path) = &options.revoked {
        let lists = CertificateRevocationListDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unread("sslcrl", path, &error))?;
        builder = builder.with_crls(lists);
    }
    let chain = builder.build().map_err(|error| {
        TlsError::settings(
            format!("`sslrootcert` or `sslcrl` cannot be used: {error}"),
            "Both have to be PEM.",
        )
    })?;
    let exact = if options.revoked.is_none() { trusted } else { Vec::new() };
    Ok(Arc::new(Verifier { chain, exact, compares_name: options.mode == Mode::VerifyFull }))
}

fn unread(setting: &str, path: &Path, error: &dyn std::fmt::Display) -> TlsError {
    TlsError::settings(
        format!("`{setting}` {} cannot be read: {error}", path.display()),
        "It has to be a file in PEM. A relative path is one of the folder that the command was run in.",
    )
}

/// Takes whoever answers: what `require` says without a certificate authority.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    // Who holds the key of a certificate that anybody could have made says nothing, and old certificates cannot be read.
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Takes certificates of the authorities that are trusted, and those that stand among them themselves.
#[derive(Debug)]
struct Verifier {
    chain: Arc<WebPkiServerVerifier>,
    /// The trusted certificates: a server may have one of them as its own.
    exact: Vec<CertificateDer<'static>>,
    compares_name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.exact.contains(certificate) {
            return self.verify_exact(certificate, name, now);
        }
        let verified = self.chain.verify_server_cert(certificate, intermediates, name, ocsp, now);
        match verified {
            // The name is compared when the chain is verified.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.compares_name || is_for_common_name(certificate, name) => {
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

impl Verifier {
    /// A certificate that is trusted itself: it has no chain, and its time and its name count.
    fn verify_exact(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let bad = || Error::InvalidCertificate(CertificateError::BadEncoding);
        let parsed = Certificate::from_der(certificate).map_err(|_| bad())?;
        let validity = &parsed.tbs_certificate.validity;
        if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
            return Err(CertificateError::Expired.into());
        }
        if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
            return Err(CertificateError::NotValidYet.into());
        }
        if self.compares_name && !is_for_common_name(certificate, name) {
            let end = rustls::server::ParsedCertificate::try_from(certificate)?;
            rustls::client::verify_server_name(&end, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }
}

/// Whether a certificate without alternative names has the host's in its subject, as certificates of old have it.
fn is_for_common_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let Ok(parsed) = Certificate::from_der(certificate) else { return false };
    let extensions = parsed.tbs_certificate.extensions.iter().flatten();
    if extensions.into_iter().any(|one| one.extn_id == ID_CE_SUBJECT_ALT_NAME) {
        return false;
    }
    let host = name.to_str();
    let attributes = parsed.tbs_certificate.subject.0.iter().flat_map(|set| set.0.iter());
    let mut names = attributes.filter(|one| one.oid == CN).filter_map(|one| {
        let text = match one.value.tag() {
            x509_cert::der::Tag::Utf8String => Utf8StringRef::try_from(&one.value).ok()?.as_str().to_owned(),
            _ => PrintableStringRef::try_from(&one.value).ok()?.as_str().to_owned(),
        };
        Some(text)
    });
    names.any(|pattern| fits(&pattern, &host))
}

/// Whether a name, or one with `*` for its first part, is the host's.
fn fits(pattern: &str, host: &str) -> bool {
    let rest = pattern.strip_prefix("*.");
    let below =
        rest.and_then(|rest| host.split_once('.').filter(|(_, below)| below.eq_ignore_ascii_case(rest)));
    pattern.eq_ignore_ascii_case(host) || below.is_some()
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_one_part_of_a_name() {
        for (pattern, host, is_it) in [
            ("db.example.com", "DB.example.com", true),
            ("*.example.com", "db.example.com", true),
            ("*.example.com", "a.db.example.com", false),
            ("*.example.com", "example.com", false),
            ("*", "db", false),
        ] {
            assert_eq!(fits(pattern, host), is_it, "{pattern} {host}");
        }
    }
}
