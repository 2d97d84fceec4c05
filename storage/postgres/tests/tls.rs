//! TLS with a server, in every mode, for ordinary connections and those of replication.

#![allow(clippy::unwrap_used, reason = "helpers of tests too")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use offshoot_postgres::load::{self, LoadError};
use offshoot_postgres::physical::{self, CopyCluster, PhysicalError};
use offshoot_postgres::subset::{Session, Subset};
use offshoot_postgres::tls::{ConnectError, Tls, TlsError};
use offshoot_postgres::{ClientTools, Server, ServerSpec, Silent, account};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, RevokedCertParams, SerialNumber, date_time_ymd,
};
use support::{Cluster, PASSWORD, Running};

/// A certificate authority, with its certificate in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let file = folder.join(format!("{name}.crt"));
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file }
    }

    /// A certificate for some names, and its key, in files.
    fn issue(
        &self,
        folder: &Path,
        file: &str,
        common: &str,
        names: &[&str],
        serial: u64,
    ) -> (PathBuf, PathBuf) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().unwrap();
        let files = (folder.join(format!("{file}.crt")), folder.join(format!("{file}.key")));
        fs::write(&files.0, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        fs::write(&files.1, key.serialize_pem()).unwrap();
        fs::set_permissions(&files.1, fs::Permissions::from_mode(0o600)).unwrap();
        files
    }

    /// A list of revoked certificates, in a file.
    fn revoke(&self, folder: &Path, serial: u64) -> PathBuf {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let file = folder.join(format!("revoked-{serial}.crl"));
        fs::write(&file, list.signed_by(&self.issuer).unwrap().pem().unwrap()).unwrap();
        file
    }
}

/// A server on a TCP port, and the authority that its certificate is of, if it has one.
struct Source {
    running: Running,
    authority: Authority,
    port: u16,
}

impl Source {
    /// One with a certificate for these names.
    fn new(common: &str, names: &[&str], has_tls: bool) -> Option<Self> {
        let cluster = Cluster::new()?;
        let folder = cluster.dir.path().to_owned();
        let authority = Authority::new(&folder, "authority");
        let (certificate, key) = authority.issue(&folder, "server", common, names, 7);
        account::chown(&key, cluster.account.as_ref()).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut settings = vec![("listen_addresses", "127.0.0.1".to_owned()), ("port", port.to_string())];
        if has_tls {
            let path = |path: &Path| path.display().to_string();
            settings.extend([
                ("ssl", "on".to_owned()),
                ("ssl_cert_file", path(&certificate)),
                ("ssl_key_file", path(&key)),
                ("ssl_ca_file", path(&authority.file)),
            ]);
        }
        let mut spec: ServerSpec = cluster.spec();
        spec.settings.extend(settings.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let mut server = Server::spawn(&spec).unwrap();
        server.wait_ready(Instant::now() + Duration::from_secs(90), &|| false).unwrap();
        Some(Self { running: Running { server, cluster }, authority, port })
    }

    fn folder(&self) -> &Path {
        self.running.cluster.dir.path()
    }

    fn url(&self, host: &str, parameters: &str) -> String {
        let password = PASSWORD.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02x}"));
        format!("postgres://postgres:{password}@{host}:{}/postgres?{parameters}", self.port)
    }

    /// With the authority, by a mode.
    fn verified(&self, mode: &str) -> String {
        format!("sslmode={mode}&sslrootcert={}", self.authority.file.display())
    }

    /// Whether a connection has TLS.
    fn has_tls(&self, host: &str, parameters: &str) -> Result<bool, ConnectError> {
        let tls = Tls::of_url(&self.url(host, parameters)).map_err(ConnectError::Tls)?;
        let mut config = postgres::Config::new();
        config.host(host).port(self.port).user("postgres").password(PASSWORD).dbname("postgres");
        let mut client = tls.connect(&config)?;
        let row = client.query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[]);
        Ok(row.unwrap().get(0))
    }

    /// The same of a connection of replication, which tells by the channel binding.
    fn sees(&self, host: &str, parameters: &str) -> Result<(), PhysicalError> {
        physical::see(&self.url(host, parameters)).map(drop)
    }

    #[track_caller]
    fn is_refused(&self, host: &str, parameters: &str, why: &str) {
        let Err(ConnectError::Tls(error)) = self.has_tls(host, parameters) else {
            panic!("{parameters}: a connection")
        };
        assert!(error.to_string().contains(why), "{parameters}: {error}");
        assert!(!error.hint().is_empty());
        let PhysicalError::Tls(same) = self.sees(host, parameters).unwrap_err() else {
            panic!("{parameters}: a connection")
        };
        assert_eq!(same, error, "both ways to connect say the same");
        let LoadError::Tls(same) = load::server_major(&self.url(host, parameters)).unwrap_err() else {
            panic!("{parameters}: a connection")
        };
        assert_eq!(same, error);
    }

    /// Lets in whom these lines let in.
    fn admit(&self, lines: &str) {
        fs::write(
            self.running.cluster.data_dir().join("pg_hba.conf"),
            format!("local all all trust\n{lines}\n"),
        )
        .unwrap();
        let mut client = self.running_client();
        let mut loaded =
            || -> String { client.query_one("SELECT pg_conf_load_time()::text", &[]).unwrap().get(0) };
        let before = loaded();
        self.running_client().batch_execute("SELECT pg_reload_conf()").unwrap();
        // A session hears of it from the server, which takes nobody in before it has read the lines.
        support::wait_until("the lines hold", || loaded() != before);
    }

    fn running_client(&self) -> postgres::Client {
        let mut config = postgres::Config::new();
        config.host_path(self.folder().join("s")).port(self.port).user("postgres").password(PASSWORD);
        config.connect(postgres::NoTls).unwrap()
    }
}

#[test]
fn every_mode_is_what_it_says() {
    let Some(source) = Source::new("server", &["localhost"], true) else { return };
    let localhost = |parameters: &str| source.has_tls("localhost", parameters).unwrap();
    for (mode, has_tls) in [("disable", false), ("allow", false), ("prefer", true), ("require", true)] {
        assert_eq!(localhost(&format!("sslmode={mode}")), has_tls, "{mode}");
        source.sees("localhost", &format!("sslmode={mode}")).unwrap();
    }
    assert!(localhost(""), "what the server offers is taken");
    for mode in ["require", "verify-ca", "verify-full"] {
        assert!(localhost(&source.verified(mode)), "{mode}");
        source.sees("localhost", &source.verified(mode)).unwrap();
    }
    // The name counts in one mode alone.
    assert!(source.has_tls("127.0.0.1", &source.verified("verify-ca")).unwrap());
    source.is_refused("127.0.0.1", &source.verified("verify-full"), "it is not for 127.0.0.1");
    let other = Authority::new(source.folder(), "other");
    for mode in ["require", "verify-ca", "verify-full"] {
        let parameters = format!("sslmode={mode}&sslrootcert={}", other.file.display());
        source.is_refused("localhost", &parameters, "signed by none of the certificate authorities");
    }
    assert!(localhost(&format!("sslmode=prefer&sslrootcert={}", other.file.display())), "as libpq has it");
    // The server's own certificate may be what is trusted.
    let own = source.folder().join("server.crt");
    assert!(localhost(&format!("sslmode=verify-full&sslrootcert={}", own.display())));
    let revoked = source.authority.revoke(source.folder(), 7);
    let parameters = format!("{}&sslcrl={}", source.verified("verify-ca"), revoked.display());
    source.is_refused("localhost", &parameters, "revoked");
    let others = source.authority.revoke(source.folder(), 8);
    assert!(localhost(&format!("{}&sslcrl={}", source.verified("verify-ca"), others.display())));
    source.is_refused(
        "localhost",
        "sslmode=verify-ca&sslrootcert=/no/such/file",
        "`sslrootcert` /no/such/file cannot",
    );
    if Path::new("/etc/ssl/certs/ca-certificates.crt").is_file() {
        source.is_refused("localhost", "sslmode=verify-full&sslrootcert=system", "signed by none");
    }
    source.is_refused("localhost", "sslmode=required", "`sslmode=required` is not understood");
    for version in ["TLSv1.2", "TLSv1.3"] {
        let parameters = format!("ssl_min_protocol_version={version}&ssl_max_protocol_version={version}");
        assert!(localhost(&format!("sslmode=require&{parameters}")));
    }
}

#[test]
fn a_name_in_the_subject_alone_counts_where_there_is_no_other() {
    let Some(source) = Source::new("localhost", &[], true) else { return };
    assert!(source.has_tls("localhost", &source.verified("verify-full")).unwrap());
    source.is_refused("127.0.0.1", &source.verified("verify-full"), "it is not for 127.0.0.1");
}

#[test]
fn a_server_without_tls_is_refused_where_tls_is_demanded() {
    let Some(source) = Source::new("server", &["localhost"], false) else { return };
    assert!(!source.has_tls("localhost", "sslmode=prefer").unwrap());
    source.sees("localhost", "sslmode=prefer").unwrap();
    for mode in ["require", "verify-ca", "verify-full"] {
        source.is_refused("localhost", &source.verified(mode), "the server has no TLS");
    }
    let error = source.sees("localhost", "channel_binding=require").unwrap_err();
    assert!(error.to_string().contains("`channel_binding=require`"), "{error}");
}

#[test]
fn lines_of_pg_hba_that_are_for_one_way_lead_to_it() {
    let Some(source) = Source::new("server", &["localhost"], true) else { return };
    source.admit("hostssl all all all scram-sha-256\nhostssl replication all all scram-sha-256");
    let has_tls = |parameters: &str| source.has_tls("localhost", parameters);
    for mode in ["allow", "prefer", "require"] {
        assert!(has_tls(&format!("sslmode={mode}")).unwrap(), "{mode}");
        source.sees("localhost", &format!("sslmode={mode}")).unwrap();
    }
    let error = load::server_major(&source.url("localhost", "sslmode=disable")).unwrap_err();
    assert!(
        matches!(error, LoadError::SourceTls { .. }) && error.hint().contains("sslmode=disable"),
        "{error}"
    );
    assert!(matches!(source.sees("localhost", "sslmode=disable"), Err(PhysicalError::NotAdmitted { .. })));

    source.admit("hostnossl all all all scram-sha-256\nhostnossl replication all all scram-sha-256");
    assert!(!has_tls("sslmode=prefer").unwrap());
    source.sees("localhost", "sslmode=prefer").unwrap();
    assert!(has_tls("sslmode=require").is_err());
    assert!(matches!(source.sees("localhost", "sslmode=require"), Err(PhysicalError::NotAdmitted { .. })));
}

#[test]
fn a_client_certificate_is_shown_where_the_server_wants_one() {
    let Some(source) = Source::new("server", &["localhost"], true) else { return };
    let folder = source.folder().to_owned();
    source.admit("hostssl all all all cert\nhostssl replication all all cert");
    let with = |(certificate, key): &(PathBuf, PathBuf)| {
        format!("sslmode=require&sslcert={}&sslkey={}", certificate.display(), key.display())
    };
    let own = source.authority.issue(&folder, "client", "postgres", &[], 9);
    assert!(source.has_tls("localhost", &with(&own)).unwrap());
    source.sees("localhost", &with(&own)).unwrap();
    source.is_refused("localhost", "sslmode=require", "client certificate");
    fs::set_permissions(&own.1, fs::Permissions::from_mode(0o644)).unwrap();
    source.is_refused("localhost", &with(&own), "others can read the key");
    let missing = format!("sslmode=require&sslcert={}&sslkey=/no/such/key", own.0.display());
    source.is_refused("localhost", &missing, "/no/such/key cannot be read");
}

#[test]
fn a_cluster_is_copied_and_a_part_of_a_database_read_over_tls() {
    let Some(source) = Source::new("server", &["localhost"], true) else { return };
    source.admit("hostssl all all all scram-sha-256\nhostssl replication all all scram-sha-256");
    let mut client = source.running_client();
    client
        .batch_execute("CREATE TABLE line AS SELECT g, repeat('x', 500) FROM generate_series(1, 20000) g")
        .unwrap();
    let url = source.url("localhost", &format!("{}&channel_binding=require", source.verified("verify-full")));
    let major = physical::source_major(&url).unwrap();
    let to = source.folder().join("copy");
    fs::create_dir(&to).unwrap();
    account::chown(&to, source.running.cluster.account.as_ref()).unwrap();
    let order = CopyCluster {
        url: &url,
        data_dir: &to,
        account: source.running.cluster.account.as_ref(),
        major,
        max_rate_kb: None,
        slot: None,
    };
    let copied = physical::copy_cluster(&order, &Silent).unwrap();
    assert!(copied.bytes > 10_000_000 && to.join("PG_VERSION").is_file(), "{copied:?}");
    let subset = Subset { tables: vec!["line".into()], ..Subset::default() };
    Session::open(&url, &subset, &Silent).unwrap();
    let Err(LoadError::Tls(error)) =
        Session::open(&source.url("127.0.0.1", &source.verified("verify-full")), &subset, &Silent)
    else {
        panic!("a connection to another host")
    };
    let TlsError::OtherHost { wanted, found } = &error else { panic!("{error}") };
    assert_eq!((wanted.as_str(), found.as_str()), ("127.0.0.1", "localhost"));
}

#[test]
fn a_pg_dump_without_tls_reads_a_server_that_demands_it() {
    let Some(source) = Source::new("server", &["localhost"], true) else { return };
    let Some(tools) = support::tools(&source.running.cluster) else { return };
    let tools = ClientTools { has_tls: false, ..tools };
    source.admit("hostssl all all 127.0.0.1/32 scram-sha-256");
    source.running_client().batch_execute("CREATE TABLE t AS SELECT generate_series(1, 7) n").unwrap();
    source.running_client().batch_execute("CREATE DATABASE target").unwrap();
    let mut config = postgres::Config::new();
    config.host_path(source.folder().join("s")).port(source.port).user("postgres").dbname("target");
    let mut target = config.connect(postgres::NoTls).unwrap();
    let mut dump =
        |url: &str| load::dump_server(&tools, url, Duration::from_secs(5), &mut target, None, &Silent);

    let verified = source.url("localhost", &source.verified("verify-full"));
    let error = dump(&source.url("127.0.0.1", &source.verified("verify-full"))).unwrap_err();
    assert!(matches!(error, LoadError::Tls(TlsError::OtherHost { .. })), "{error}");
    let error = dump(&verified.replacen("postgres:%", "postgres:x%", 1)).unwrap_err();
    assert!(matches!(error, LoadError::SourcePassword { .. }), "{error}");
    // What the tool cannot do it does not leave out.
    let error = dump(&format!("{verified}&channel_binding=require")).unwrap_err();
    assert!(matches!(error, LoadError::ToolTls { .. }), "{error}");
    let error = dump(&source.url("localhost", "sslmode=disable")).unwrap_err();
    assert!(error.to_string().contains("no encryption"), "{error}");
    assert_eq!(dump(&verified).unwrap().rows_copied, 7);

    let own = format!("offshoot-tls-{}-", std::process::id());
    let entries = fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let left: Vec<_> = entries.filter(|it| it.file_name().to_string_lossy().starts_with(&own)).collect();
    assert!(left.is_empty(), "{left:?}");
}
