//! What is asked for, from the address, the environment and the places that libpq looks at.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};

use super::TlsError;

/// `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// In the clear.
    Disable,
    /// In the clear, unless the server refuses that.
    Allow,
    /// By TLS, unless the server has none.
    Prefer,
    /// By TLS.
    Require,
    /// By TLS, and the certificate has to be of an authority that is trusted.
    VerifyCa,
    /// By TLS, and it has to be for this host too.
    VerifyFull,
}

impl Mode {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

/// Who is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// Whoever answers.
    Anybody,
    /// The authorities of the machine.
    System,
    /// Those in a file.
    File(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) mode: Mode,
    pub(super) roots: Roots,
    /// A list of certificates that are revoked.
    pub(super) revoked: Option<PathBuf>,
    /// The certificate of this side, and its key.
    pub(super) certificate: Option<(PathBuf, PathBuf)>,
    pub(super) allows_12: bool,
    pub(super) allows_13: bool,
    /// Whether the server is told by which name it was called.
    pub(super) sends_name: bool,
}

/// Parameters that narrow down who is spoken with and cannot be honoured, their variables, and what there is instead.
const NOT_UNDERSTOOD: [(&str, &str, &str); 4] = [
    ("sslcrldir", "PGSSLCRLDIR", "`sslcrl` names a file of revoked certificates."),
    ("sslpassword", "PGSSLPASSWORD", "The key of `sslkey` must not be encrypted."),
    (
        "require_auth",
        "PGREQUIREAUTH",
        "Take it out; `channel_binding=require` lets SCRAM alone through, tied to the server's certificate.",
    ),
    ("requirepeer", "PGREQUIREPEER", "Take it out; `sslmode=verify-full` compares who answers over TCP."),
];

impl Options {
    pub(super) fn read(
        parameter: &dyn Fn(&str) -> Option<String>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, TlsError> {
        let asked = |name: &str, fallback: &str| {
            let given = parameter(name).or_else(|| variable(fallback));
            given.filter(|value| !value.is_empty())
        };
        for (name, fallback, hint) in NOT_UNDERSTOOD {
            if asked(name, fallback).is_some() {
                return Err(TlsError::settings(format!("`{name}` is not understood"), hint));
            }
        }
        if asked("gssencmode", "PGGSSENCMODE").as_deref() == Some("require") {
            let hint = "Take it out; `sslmode` asks for TLS.";
            return Err(TlsError::settings("`gssencmode=require`: GSSAPI is not spoken", hint));
        }
        let home = variable("HOME").filter(|home| !home.is_empty());
        let usual = |name: &str| {
            let path = Path::new(home.as_ref()?).join(".postgresql").join(name);
            path.is_file().then_some(path)
        };
        let root = asked("sslrootcert", "PGSSLROOTCERT");
        let mode = match asked("sslmode", "PGSSLMODE") {
            Some(text) => Mode::parse(&text).ok_or_else(|| {
                TlsError::settings(
                    format!("`sslmode={text}` is not understood"),
                    "It is disable, allow, prefer, require, verify-ca or verify-full.",
                )
            })?,
            None if root.as_deref() == Some("system") => Mode::VerifyFull,
            None => Mode::Prefer,
        };
        let (allows_12, allows_13) = versions(&asked)?;
        Ok(Self {
            mode,
            roots: roots(mode, root, &usual)?,
            revoked: asked("sslcrl", "PGSSLCRL").map(PathBuf::from).or_else(|| usual("root.crl")),
            certificate: certificate(mode, &asked, &usual)?,
            allows_12,
            allows_13,
            sends_name: asked("sslsni", "PGSSLSNI").as_deref() != Some("0"),
        })
    }
}

/// Who is trusted. With a file of authorities `require` is as `verify-ca`.
fn roots(
    mode: Mode,
    asked: Option<String>,
    usual: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<Roots, TlsError> {
    if mode < Mode::Require {
        return Ok(Roots::Anybody);
    }
    match asked {
        Some(word) if word == "system" && mode == Mode::VerifyFull => Ok(Roots::System),
        Some(word) if word == "system" => Err(TlsError::settings(
            "`sslrootcert=system` goes with `sslmode=verify-full` only",
            "Anybody can have a certificate of such an authority: the name of the host has to be compared.",
        )),
        Some(path) => Ok(Roots::File(path.into())),
        None => match usual("root.crt") {
            Some(path) => Ok(Roots::File(path)),
            None if mode == Mode::Require => Ok(Roots::Anybody),
            None => Err(TlsError::settings(
                "there is no `sslrootcert` to verify the server by, and no ~/.postgresql/root.crt",
                "`sslrootcert=FILE` in the URL names the certificate authority; `sslrootcert=system` takes those of this machine.",
            )),
        },
    }
}

/// The certificate of this side and its key, where there are both.
fn certificate(
    mode: Mode,
    asked: &dyn Fn(&str, &str) -> Option<String>,
    usual: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<Option<(PathBuf, PathBuf)>, TlsError> {
    if mode == Mode::Disable || asked("sslcertmode", "PGSSLCERTMODE").as_deref() == Some("disable") {
        return Ok(None);
    }
    let given = asked("sslcert", "PGSSLCERT").map(PathBuf::from);
    let key = asked("sslkey", "PGSSLKEY").map(PathBuf::from);
    let was_asked = given.is_some();
    match (given.or_else(|| usual("postgresql.crt")), key.or_else(|| usual("postgresql.key"))) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (Some(certificate), None) if was_asked => Err(TlsError::settings(
            format!(
                "{} has no `sslkey`, and there is no ~/.postgresql/postgresql.key",
                certificate.display()
            ),
            "`sslkey=FILE` in the URL names the key of the client certificate.",
        )),
        _ => Ok(None),
    }
}

/// Whether TLS 1.2 and 1.3 may be spoken. Older ones never are.
fn versions(asked: &dyn Fn(&str, &str) -> Option<String>) -> Result<(bool, bool), TlsError> {
    let order = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
    let place = |name: &str, fallback: &str, otherwise: usize| match asked(name, fallback) {
        None => Ok(otherwise),
        Some(text) => order.iter().position(|known| known.eq_ignore_ascii_case(&text)).ok_or_else(|| {
            TlsError::settings(format!("`{name}={text}` is not understood"), "It is TLSv1.2 or TLSv1.3.")
        }),
    };
    let least = place("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", 2)?;
    let most = place("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", 3)?;
    let allows = |at: usize| (least..=most).contains(&at);
    if !allows(2) && !allows(3) {
        let hint = "TLS 1.2 and 1.3 are spoken.";
        return Err(TlsError::settings(
            "the versions of TLS that the URL allows are none that can be spoken",
            hint,
        ));
    }
    Ok((allows(2), allows(3)))
}

/// Refuses a key that others can read, as libpq does.
pub(super) fn check_private(key: &Path) -> Result<(), TlsError> {
    let facts = fs::metadata(key).map_err(|error| {
        TlsError::settings(
            format!("the key of the client certificate {} cannot be read: {error}", key.display()),
            "`sslkey=FILE` in the URL names it.",
        )
    })?;
    let open = if facts.uid() == 0 { 0o027 } else { 0o077 };
    if facts.mode() & open != 0 {
        return Err(TlsError::settings(
            format!("others can read the key of the client certificate {}", key.display()),
            format!("Close it: `chmod 0600 {}`.", key.display()),
        ));
    }
    Ok(())
}

/// The certificates of a file; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    let all = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(asked: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Options, TlsError> {
        let find = |all: &[(&str, &str)], name: &str| {
            all.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Options::read(&|name| find(asked, name), &|name| find(variables, name))
    }

    #[test]
    fn the_address_goes_before_the_environment() {
        assert_eq!(read(&[], &[]).unwrap().mode, Mode::Prefer);
        assert_eq!(read(&[], &[("PGSSLMODE", "require")]).unwrap().mode, Mode::Require);
        let both = read(&[("sslmode", "disable")], &[("PGSSLMODE", "require")]).unwrap();
        assert_eq!(both.mode, Mode::Disable);
        let message = |asked: &[(&str, &str)]| read(asked, &[]).unwrap_err().to_string();
        assert!(message(&[("sslmode", "verify")]).contains("`sslmode=verify` is not understood"));
        for name in ["sslcrldir", "sslpassword", "require_auth", "requirepeer"] {
            assert!(message(&[(name, "x")]).contains(&format!("`{name}` is not understood")));
        }
        assert!(message(&[("gssencmode", "require")]).contains("GSSAPI"));
        assert!(read(&[("gssencmode", "prefer")], &[]).is_ok());
        assert!(read(&[], &[("PGREQUIREAUTH", "scram-sha-256")]).is_err());
    }

    #[test]
    fn who_is_trusted_is_what_libpq_says() {
        let roots = |asked: &[(&str, &str)]| read(asked, &[]).map(|options| options.roots);
        let file = || ("sslrootcert", "/ca.pem");
        assert_eq!(roots(&[("sslmode", "prefer"), file()]).unwrap(), Roots::Anybody);
        assert_eq!(roots(&[("sslmode", "require")]).unwrap(), Roots::Anybody);
        assert_eq!(roots(&[("sslmode", "require"), file()]).unwrap(), Roots::File("/ca.pem".into()));
        assert!(roots(&[("sslmode", "verify-ca")]).unwrap_err().to_string().contains("no `sslrootcert`"));
        assert_eq!(roots(&[("sslrootcert", "system")]).unwrap(), Roots::System);
        assert!(roots(&[("sslmode", "require"), ("sslrootcert", "system")]).is_err());
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".postgresql")).unwrap();
        let usual = home.path().join(".postgresql/root.crt");
        fs::write(&usual, "").unwrap();
        let found = read(&[("sslmode", "verify-ca")], &[("HOME", home.path().to_str().unwrap())]).unwrap();
        assert_eq!(found.roots, Roots::File(usual));
    }

    #[test]
    fn versions_of_tls_can_be_narrowed() {
        let versions = |asked: &[(&str, &str)]| read(asked, &[]).map(|it| (it.allows_12, it.allows_13));
        assert_eq!(versions(&[]).unwrap(), (true, true));
        assert_eq!(versions(&[("ssl_min_protocol_version", "TLSv1.3")]).unwrap(), (false, true));
        assert_eq!(versions(&[("ssl_max_protocol_version", "tlsv1.2")]).unwrap(), (true, false));
        assert!(versions(&[("ssl_max_protocol_version", "TLSv1.1")]).is_err());
        assert!(versions(&[("ssl_min_protocol_version", "3")]).is_err());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("k");
        fs::write(&key, "").unwrap();
        for (mode, is_fine) in [(0o600, true), (0o400, true), (0o644, false), (0o604, false)] {
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(check_private(&key).is_ok(), is_fine, "{mode:o}");
        }
    }
}
