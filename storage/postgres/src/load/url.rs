//! Connection strings: taking the password out, and leaving away what libpq does not know.

use crate::tls::{Tls, TlsError};

/// Parameters that other programs put into URLs (Prisma, poolers) and that libpq refuses.
const FOREIGN: &[&str] = &[
    "schema",
    "pgbouncer",
    "connection_limit",
    "max_pool_size",
    "socket_timeout",
    "statement_cache_size",
    "prepared_statement_cache_size",
    "sslaccept",
    "sslidentity",
    "uselibpqcompat",
    "serverVersion",
    "charset",
    "prepareThreshold",
    "currentSchema",
];

/// Parameters that the Rust client knows, beside those it is given by other means, such as [`Tls`].
const CLIENT: &[&str] = &[
    "user",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "options",
    "application_name",
    "keepalives",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
    "connect_timeout",
];

/// Parameters that libpq knows and that are taken care of elsewhere, or say nothing about who is spoken with and how.
const KNOWN: &[&str] = &[
    "passfile",
    "client_encoding",
    "fallback_application_name",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "replication",
    "gssencmode",
    "krbsrvname",
    "gsslib",
    "gssdelegation",
    "requirepeer",
    "require_auth",
    "sslmode",
    "sslnegotiation",
    "sslcompression",
    "sslcert",
    "sslkey",
    "sslcertmode",
    "sslpassword",
    "sslrootcert",
    "sslcrl",
    "sslcrldir",
    "sslsni",
    "sslkeylogfile",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "min_protocol_version",
    "max_protocol_version",
];

/// Whether other programs put it into URLs, for themselves.
fn is_foreign(name: &str) -> bool {
    FOREIGN.contains(&name) || name.starts_with("pool_") || name.starts_with("x-")
}

/// A connection string without its password, and the password.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(super) address: String,
    pub(super) password: Option<String>,
}

impl Source {
    /// Reads a URL or a `keyword=value` string as libpq takes them.
    pub(crate) fn parse(text: &str) -> Self {
        match text.split_once("://") {
            Some((scheme @ ("postgres" | "postgresql"), rest)) => from_url(scheme, rest),
            _ => from_keywords(text),
        }
    }

    /// The address with signs of life asked for, so that a network that is cut ends the dump.
    pub(super) fn for_dump(&self) -> String {
        const ALIVE: [&str; 3] = ["keepalives_idle=30", "keepalives_interval=10", "keepalives_count=6"];
        let address = &self.address;
        // Somebody knows better.
        if address.contains("keepalives") {
            return address.clone();
        }
        if !address.contains("://") {
            return format!("{address} {}", ALIVE.join(" "));
        }
        format!("{address}{}{}", if address.contains('?') { '&' } else { '?' }, ALIVE.join("&"))
    }

    /// The value of a parameter of the address.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        if !self.address.contains("://") {
            return keywords(&self.address)
                .into_iter()
                .rev()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value);
        }
        let (_, query) = self.address.split_once('?')?;
        let mut pairs = query.split('&').rev().filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| decoded(value))
    }

    /// How TLS is spoken with it.
    pub(crate) fn tls(&self) -> Result<Tls, TlsError> {
        self.check_names()?;
        Tls::new(&|name| self.parameter(name))
    }

    /// Refuses parameters that nobody knows: a misspelt `sslmode` would count for none.
    fn check_names(&self) -> Result<(), TlsError> {
        let names: Vec<String> = if self.address.contains("://") {
            let query = self.address.split_once('?').map_or("", |(_, query)| query);
            let pairs = query.split('&').filter(|pair| !pair.is_empty());
            pairs.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name).to_owned()).collect()
        } else {
            keywords(&self.address).into_iter().map(|(name, _)| name).collect()
        };
        let is_known = |name: &str| CLIENT.contains(&name) || KNOWN.contains(&name);
        let Some(name) = names.into_iter().find(|name| !is_known(name)) else { return Ok(()) };
        let (message, hint) = if matches!(name.as_str(), "service" | "servicefile") {
            (
                format!("`{name}` in the address of a server: service files are not read"),
                "Put host, port, database and user into the URL; the password may stand in PGPASSWORD or `~/.pgpass`.",
            )
        } else {
            (
                format!("the parameter `{name}` in the address of a server is not known"),
                "Correct it, or take it out. It could be a misspelt one that asks for TLS: `sslmode`, `sslrootcert`, `sslcert`, `sslkey`.",
            )
        };
        Err(TlsError::settings(message, hint))
    }

    /// How the Rust client connects to it, but for TLS, or what is wrong with the address.
    pub(crate) fn client_config(&self) -> Result<postgres::Config, String> {
        let parsed = self.for_client().parse::<postgres::Config>();
        let mut config = parsed.map_err(|error| super::error::causes(&error))?;
        if let Some(password) = &self.password {
            config.password(password);
        }
        Ok(config)
    }

    pub(crate) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The address with only the parameters that the Rust client knows, and none of its errors over the others.
    pub(super) fn for_client(&self) -> String {
        if !self.address.contains("://") {
            let known =
                keywords(&self.address).into_iter().filter(|(name, _)| CLIENT.contains(&name.as_str()));
            return joined(known);
        }
        let (base, query) = self.address.split_once('?').unwrap_or((&self.address, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let known = pairs.filter(|(name, _)| CLIENT.contains(name));
        let kept: Vec<String> = known.map(|(name, value)| format!("{name}={value}")).collect();
        if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) }
    }
}

fn from_url(scheme: &str, rest: &str) -> Source {
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    let (user, host) =
        authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let (user, mut password) = match user.and_then(|user| user.split_once(':')) {
        Some((user, password)) => (Some(user), Some(decoded(password))),
        None => (user, None),
    };
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let mut kept = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "password" => password = Some(decoded(value)),
            name if is_foreign(name) => {}
            // As libpq has it.
            "ssl" if value == "true" => kept.push("sslmode=require"),
            _ => kept.push(pair),
        }
    }
    let user = user.map_or(String::new(), |user| format!("{user}@"));
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    Source { address: format!("{scheme}://{user}{host}{path}{query}"), password }
}

fn from_keywords(text: &str) -> Source {
    let mut password = None;
    let mut kept = Vec::new();
    for (name, value) in keywords(text) {
        if name == "password" {
            password = Some(value);
        } else {
            kept.push((name, value));
        }
    }
    Source { address: joined(kept.into_iter()), password }
}

/// `host=a password='b c'` as pairs; a backslash takes the next character as it is.
fn keywords(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let mut name = String::new();
        while let Some(c) = rest.next_if(|c| *c != '=') {
            name.push(c);
        }
        if rest.next().is_none() {
            // What is left has no value; the server's library will name it.
            if !name.trim().is_empty() {
                pairs.push((name.trim().to_owned(), String::new()));
            }
            return pairs;
        }
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        let quoted = rest.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        while let Some(c) = rest.next_if(|c| if quoted { *c != '\'' } else { !c.is_whitespace() }) {
            value.extend(if c == '\\' { rest.next() } else { Some(c) });
        }
        rest.next();
        pairs.push((name.trim().to_owned(), value));
    }
}

pub(super) fn joined(pairs: impl Iterator<Item = (String, String)>) -> String {
    let quoted = pairs.map(|(name, value)| {
        let value = value.replace('\\', "\\\\").replace('\'', "\\'");
        format!("{name}='{value}'")
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let byte = code.filter(|_| *first == b'%').and_then(|pair| u8::from_str_radix(pair, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (String, Option<String>) {
        let source = Source::parse(text);
        (source.address, source.password)
    }

    #[test]
    fn password_is_taken_out_of_a_url() {
        let (address, password) = parse("postgres://me:p%40s%2Fs@db.example:5433/app?sslmode=require");
        assert_eq!(address, "postgres://me@db.example:5433/app?sslmode=require");
        assert_eq!(password.as_deref(), Some("p@s/s"));
        let (address, password) = parse("postgresql://db/app?password=x&schema=public&pgbouncer=true");
        assert_eq!((address.as_str(), password.as_deref()), ("postgresql://db/app", Some("x")));
        assert_eq!(parse("postgres://me@db"), ("postgres://me@db".to_owned(), None));
    }

    #[test]
    fn password_is_taken_out_of_keywords() {
        let (address, password) = parse("host=db password = 'a b\\'c' dbname=app");
        assert_eq!(address, "host='db' dbname='app'");
        assert_eq!(password.as_deref(), Some("a b'c"));
    }

    #[test]
    fn client_gets_only_what_it_knows() {
        let source =
            Source::parse("postgres://me@db/app?sslmode=verify-full&sslrootcert=/x&application_name=a");
        assert_eq!(source.for_client(), "postgres://me@db/app?application_name=a");
        assert_eq!(Source::parse("postgres://me:x@db:5433/app").for_client(), "postgres://me@db:5433/app");
        assert_eq!(Source::parse("host=db sslrootcert=x").for_client(), "host='db'");
        assert!(source.for_client().parse::<postgres::Config>().is_ok());
        assert_eq!(source.parameter("sslrootcert").as_deref(), Some("/x"));
        assert_eq!(Source::parse("postgres://h/d?a=%2Fb%20c").parameter("a").as_deref(), Some("/b c"));
        assert_eq!(
            Source::parse("host=h sslmode='verify-ca'").parameter("sslmode").as_deref(),
            Some("verify-ca")
        );
        assert_eq!(source.parameter("host"), None);
    }

    #[test]
    fn a_parameter_that_nobody_knows_is_refused_and_not_taken_for_none() {
        let refused = |text: &str| Source::parse(text).tls().unwrap_err().to_string();
        assert!(refused("postgres://h/d?sslmod=require").contains("`sslmod`"));
        assert!(refused("postgres://h/d?sslmode=require&sslRootCert=/x").contains("`sslRootCert`"));
        assert!(refused("host=h sslmod=require").contains("`sslmod`"));
        assert!(refused("postgres://h/d?ssl=1").contains("`ssl`"));
        assert!(refused("postgres://?service=shop").contains("service files are not read"));
        for known in ["?application_name=a&connect_timeout=3", "?schema=s&pool_max_conns=4&x-table=t", ""] {
            assert!(Source::parse(&format!("postgres://h/d{known}")).tls().is_ok(), "{known}");
        }
        assert_eq!(Source::parse("postgres://h/d?ssl=true").address, "postgres://h/d?sslmode=require");
    }

    #[test]
    fn a_dump_asks_for_signs_of_life() {
        let dump = |text: &str| Source::parse(text).for_dump();
        let alive = "keepalives_idle=30&keepalives_interval=10&keepalives_count=6";
        assert_eq!(dump("postgres://me@db/app"), format!("postgres://me@db/app?{alive}"));
        assert_eq!(
            dump("postgres://me@db/app?sslmode=require"),
            format!("postgres://me@db/app?sslmode=require&{alive}")
        );
        assert_eq!(dump("host=db"), format!("host='db' {}", alive.replace('&', " ")));
        assert_eq!(dump("postgres://db/app?keepalives=0"), "postgres://db/app?keepalives=0");
    }
}
