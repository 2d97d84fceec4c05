//! The password of a URL that has none, from where libpq looks for it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{encoded, percent_decode, without_password};

/// A URL with the password that libpq would find for it: its own, else PGPASSWORD, else that of the password file (PGPASSFILE,
/// `~/.pgpass`). What is no URL, and a URL that nobody knows a password for, stays what it is.
pub(crate) fn with_known_password(url: &str) -> String {
    match place(url).filter(|place| !place.has_password).and_then(|place| known(&place)) {
        Some(password) => with_password(url, &password),
        None => url.to_owned(),
    }
}

/// The password that the environment, or the password file, has for the server at `url`, whatever that has itself.
pub(crate) fn known_password(url: &str) -> Option<String> {
    known(&place(url)?)
}

/// A URL with this password in the place of its own.
pub(crate) fn with_password(url: &str, password: &str) -> String {
    let bare = without_password(url);
    let Some((scheme, rest)) = bare.split_once("://") else { return url.to_owned() };
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let password = encoded(password, b"-_.~");
    if let Some((user, host)) = authority.rsplit_once('@') {
        return format!("{scheme}://{user}:{password}@{host}{tail}");
    }
    let mark = if tail.contains('?') { '&' } else { '?' };
    format!("{scheme}://{authority}{tail}{mark}password={password}")
}

/// Whom a URL leads to, as the password file names it.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    host: String,
    port: String,
    database: String,
    user: String,
    has_password: bool,
    /// `passfile`, which goes before PGPASSFILE.
    file: Option<PathBuf>,
}

fn place(url: &str) -> Option<Place> {
    let (scheme, rest) = url.split_once("://")?;
    if !matches!(scheme, "postgres" | "postgresql") {
        return None;
    }
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    // An address of IPv6 stands in brackets.
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (host, ""),
    };
    let find = |parameter: &str, part: &str, variable: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.find(|(name, value)| *name == parameter && !value.is_empty());
        let value = value.map_or(part, |(_, value)| value);
        if value.is_empty() { std::env::var(variable).ok() } else { percent_decode(value) }
    };
    let user = find("user", user, "PGUSER").or_else(|| std::env::var("USER").ok()).unwrap_or_default();
    let host = find("host", host.trim_start_matches('[').trim_end_matches(']'), "PGHOST");
    Some(Place {
        host: host.unwrap_or_else(|| "localhost".to_owned()),
        port: find("port", port, "PGPORT").unwrap_or_else(|| "5432".to_owned()),
        database: find("dbname", path.trim_start_matches('/'), "PGDATABASE").unwrap_or_else(|| user.clone()),
        user,
        has_password: !password.is_empty() || query.split('&').any(|pair| pair.starts_with("password=")),
        file: query
            .split('&')
            .find_map(|pair| pair.strip_prefix("passfile="))
            .and_then(percent_decode)
            .map(PathBuf::from),
    })
}

fn known(place: &Place) -> Option<String> {
    let set = std::env::var("PGPASSWORD").ok().filter(|password| !password.is_empty());
    set.or_else(|| in_file(&place.file.clone().or_else(password_file)?, place))
}

fn password_file() -> Option<PathBuf> {
    let set = std::env::var_os("PGPASSFILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    set.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".pgpass")))
}

/// The password of the first line that fits. As for libpq, a file that others can read does not count.
fn in_file(path: &Path, place: &Place) -> Option<String> {
    let facts = fs::metadata(path).ok()?;
    if !facts.is_file() || facts.permissions().mode() & 0o077 != 0 {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    let wanted = [&place.host, &place.port, &place.database, &place.user];
    text.lines().find_map(|line| {
        let [host, port, database, user, password] = fields(line)?;
        let mut pairs = [host, port, database, user].into_iter().zip(wanted);
        let fits = pairs.all(|(field, wanted)| field.is_any || field.text == *wanted);
        (fits && !password.text.is_empty()).then_some(password.text)
    })
}

/// A field of a line.
#[derive(Debug, Default)]
struct Field {
    text: String,
    /// A star alone.
    is_any: bool,
}

/// `host:port:database:user:password`; a backslash takes the next character as it is.
fn fields(line: &str) -> Option<[Field; 5]> {
    let line = line.trim_end_matches('\r');
    if line.starts_with('#') {
        return None;
    }
    let (mut fields, mut field, mut begin) = (Vec::new(), Field::default(), 0);
    let mut letters = line.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            ':' if fields.len() < 4 => {
                field.is_any = &line[begin..at] == "*";
                fields.push(std::mem::take(&mut field));
                begin = at + 1;
            }
            '\\' => field.text.extend(letters.next().map(|(_, letter)| letter)),
            _ => field.text.push(letter),
        }
    }
    fields.push(field);
    fields.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_takes_the_place_of_the_one_that_a_url_has() {
        for (url, made) in [
            ("postgres://u:old@h:1/d?a=b", "postgres://u:n%40%3A%2F@h:1/d?a=b"),
            ("postgres://u@h/d", "postgres://u:n%40%3A%2F@h/d"),
            ("postgres://h/d?user=u&password=old", "postgres://h/d?user=u&password=n%40%3A%2F"),
            ("postgres://h/d", "postgres://h/d?password=n%40%3A%2F"),
        ] {
            assert_eq!(with_password(url, "n@:/"), made);
        }
    }

    #[test]
    fn a_password_is_found_by_the_first_line_that_fits() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines = "# other\n\nother:5432:*:*:wrong\ndb.example.com:*:shop:backup:se\\:cr\\\\et\r\n*:*:*:*:any:thing\n";
        fs::write(file.path(), lines).unwrap();
        let password = |url: &str| in_file(file.path(), &place(url).unwrap());
        for (url, found) in [
            ("postgres://backup@db.example.com:6000/shop", "se:cr\\et"),
            ("postgres://h/shop?user=backup&host=db.example.com", "se:cr\\et"),
            ("postgres://backup@db.example.com/crm", "any:thing"),
        ] {
            assert_eq!(password(url).as_deref(), Some(found));
        }
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(password("postgres://backup@db.example.com/crm"), None, "others can read it");
    }

    #[test]
    fn a_url_names_a_place() {
        let found = place("postgres://u:p@[::1]:6000/d%20b").unwrap();
        assert_eq!(
            (found.host.as_str(), found.port.as_str(), found.database.as_str()),
            ("::1", "6000", "d b")
        );
        assert!(found.has_password && !place("postgres://u@h/d").unwrap().has_password);
        assert_eq!(place("dump.sql"), None);
        let named = place("postgres://h/d?sslmode=require&passfile=%2Fa%20b").unwrap();
        assert_eq!(named.file, Some(PathBuf::from("/a b")));
    }
}
