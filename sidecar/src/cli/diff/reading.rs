//! Reading the facts of a side.

use std::path::Path;
use std::thread;
use std::time::Duration;

use offshoot_postgres::CHECK_PASSWORD;
use offshoot_postgres::tls::{ConnectError, Tls};
use offshoot_protocol::types::UrlResult;
use offshoot_schema::{Facts, read_settled};
use postgres::error::SqlState;
use postgres::{Client, Config, NoTls};

use super::script;
use super::side::{Side, shown};
use crate::address::with_known_password;
use crate::cli::output::Output;
use crate::failure::{Failure, Result, chain};

const CONNECT_PATIENCE: Duration = Duration::from_secs(15);
/// Branches wake at their first connection, and may have to recover then.
const WAKE_PATIENCE: Duration = Duration::from_mins(2);
/// An open transaction may have locked what has to be read.
const LOCK_PATIENCE: &str = "SET lock_timeout = '10s'";

/// Parameters of a URL that the client knows, beside those of TLS; libpq and poolers have others, which say nothing of the schema.
const PARAMETERS: &[&str] = &[
    "user",
    "password",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "options",
    "connect_timeout",
    "channel_binding",
];

/// A side with its facts.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) facts: Facts,
}

/// Reads both sides at once.
pub(super) fn both(from: Side, to: Side, output: Output) -> Result<(Read, Read)> {
    if matches!((&from, &to), (Side::Scripts(..), Side::Scripts(..))) {
        // One progress at a time.
        return Ok((one(from, output)?, one(to, output)?));
    }
    thread::scope(|scope| {
        let other = scope.spawn(|| one(from, output));
        let to = one(to, output);
        let from = other.join().map_err(|_| Failure::internal("reading a schema broke off"))?;
        Ok((from?, to?))
    })
}

/// Reads one side.
pub(super) fn one(side: Side, output: Output) -> Result<Read> {
    let (name, kind) = (side.name(), side.kind());
    let facts = match &side {
        Side::Branch(address) => of_branch(address)?,
        Side::Url(url) => of_url(url)?,
        Side::File(path) | Side::Fork(_, path) | Side::Snapshot(_, path) | Side::Then(_, path) => {
            of_file(path)?
        }
        Side::Scripts(scripts) => script::facts(&scripts.files, output)?,
        Side::Commit(name, content) => of_text(name, content)?,
    };
    Ok(Read { name, kind, facts })
}

fn of_branch(address: &UrlResult) -> Result<Facts> {
    let place = format!("database branch {}", address.branch);
    let mut config = Config::new();
    config
        .host(&address.host)
        .port(address.port)
        .user(&address.user)
        .password(&address.password)
        .dbname(&address.database)
        .application_name("offshoot diff")
        .connect_timeout(WAKE_PATIENCE);
    let mut client = config.connect(NoTls).map_err(|e| unreachable(&place, &e))?;
    client.batch_execute(LOCK_PATIENCE).map_err(|e| unreachable(&place, &e))?;
    facts(&mut client, &place)
}

fn of_url(url: &str) -> Result<Facts> {
    facts(&mut connect(url)?, &shown(url))
}

/// How TLS is spoken with the server at `url`.
pub(super) fn tls(url: &str) -> Result<Tls> {
    Tls::of_url(url).map_err(|error| Failure::user(error.to_string()).hint(error.hint()))
}

/// Connects to the server at `url`.
pub(super) fn connect(url: &str) -> Result<Client> {
    let place = shown(url);
    // What the parser says may quote a part of the password.
    let mut config = known(&with_known_password(url)).parse::<Config>().map_err(|_| {
        Failure::user(format!("not a connection URL: {place}")).hint(
            "It looks like postgres://user:password@host:5432/database. In a password, @ is written %40, / %2F, ? %3F, # %23 \
             and % itself %25.",
        )
    })?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_PATIENCE);
    }
    config.application_name("offshoot diff");
    tls(url)?.connect(&config).map_err(|error| match error {
        ConnectError::Tls(error) => {
            Failure::user(format!("cannot connect to {place}: {error}")).hint(error.hint())
        }
        ConnectError::Postgres(error) => unreachable(&place, &error),
    })
}

/// The URL with only those parameters that the client knows.
fn known(url: &str) -> String {
    let Some((base, query)) = url.split_once('?') else { return url.to_owned() };
    let is_known = |pair: &&str| pair.split_once('=').is_none_or(|(name, _)| PARAMETERS.contains(&name));
    let pairs: Vec<_> = query.split('&').filter(is_known).collect();
    if pairs.is_empty() { base.to_owned() } else { format!("{base}?{}", pairs.join("&")) }
}

fn unreachable(place: &str, error: &postgres::Error) -> Failure {
    let message = chain(error);
    let failure = Failure::user(format!("cannot connect to {place}: {message}"));
    let is_tls = ["no encryption", "SSL off"].iter().any(|word| message.contains(word));
    match error.code() {
        _ if is_tls => failure.hint("The server takes TLS only: take `sslmode=disable` out of the URL."),
        Some(code)
            if [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(code) =>
        {
            failure.hint(CHECK_PASSWORD)
        }
        Some(_) => failure,
        None if message.contains("password missing") => failure.hint(CHECK_PASSWORD),
        None => failure.hint("Check host and port, and that the server runs."),
    }
}

/// Reads the whole schema.
pub(super) fn facts(client: &mut Client, place: &str) -> Result<Facts> {
    read_settled(client).map_err(|error| {
        if error.code() == Some(SqlState::LOCK_NOT_AVAILABLE.code()) {
            let message = format!("the schema of {place} cannot be read while a transaction changes it");
            return Failure::user(message).hint("Commit the transaction or roll it back.");
        }
        let message = format!("the schema of {place} cannot be read: {}", chain(&error));
        Failure::user(message).hint(error.hint())
    })
}

/// Reads a file of facts.
pub(super) fn of_file(path: &Path) -> Result<Facts> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|e| Failure::user(format!("cannot read {shown}: {e}")))?;
    of_text(&shown.to_string(), &bytes)
}

fn of_text(shown: &str, bytes: &[u8]) -> Result<Facts> {
    let advice = "`offshoot schema export -o NAME.facts` writes such a file.";
    let broken = |line: usize, what: &str| {
        Failure::user(format!("{shown} is not a file of facts: line {line}: {what}")).hint(advice)
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        broken(line, "it is not UTF-8")
    })?;
    let facts = Facts::from_text(text).map_err(|error| broken(error.line, &error.what))?;
    if facts.major == 0 {
        return Err(broken(2, "the line `server MAJOR` is missing"));
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::known;

    #[test]
    fn parameters_of_others_are_left_away() {
        assert_eq!(known("postgres://h/d?schema=x&sslmode=verify-full&user=u"), "postgres://h/d?user=u");
        assert_eq!(known("postgres://h/d"), "postgres://h/d");
        assert!(known("postgres://h/d?pgbouncer=true").parse::<postgres::Config>().is_ok());
    }
}
