//! Connection URLs: without what must not be shown, with what libpq would find, and for somebody who stands elsewhere.

mod login;

pub(crate) use login::{known_password, with_known_password, with_password};

use crate::failure::{Failure, Result};

/// A URL with stars for its password.
pub(crate) fn hide_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // The last `@` before the path: a password may contain one where its author forgot to encode it.
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let tail = hide_in_query(tail);
    let shown = authority.rsplit_once('@').and_then(|(login, host)| {
        let (user, _) = login.split_once(':')?;
        Some(format!("{scheme}://{user}:****@{host}{tail}"))
    });
    shown.unwrap_or_else(|| format!("{scheme}://{authority}{tail}"))
}

/// `/d?password=x&a=b` with stars for the secrets that libpq takes there.
fn hide_in_query(tail: &str) -> String {
    let Some((path, query)) = tail.split_once('?') else { return tail.to_owned() };
    let hide = |pair: &str| match pair.split_once('=') {
        Some((key @ ("password" | "sslpassword"), _)) => format!("{key}=****"),
        _ => pair.to_owned(),
    };
    format!("{path}?{}", query.split('&').map(hide).collect::<Vec<_>>().join("&"))
}

/// A URL without its password.
pub(crate) fn without_password(url: &str) -> String {
    let hidden = hide_password(url).replacen(":****@", "@", 1);
    match hidden.split_once('?') {
        Some((address, query)) => {
            let kept: Vec<&str> = query.split('&').filter(|pair| !pair.ends_with("password=****")).collect();
            if kept.is_empty() { address.to_owned() } else { format!("{address}?{}", kept.join("&")) }
        }
        None => hidden,
    }
}

/// A URL in which the files of TLS have absolute paths, for somebody who stands elsewhere.
pub(crate) fn with_absolute_files(url: &str) -> Result<String> {
    let Some((address, query)) = url.split_once('?').filter(|_| url.contains("://")) else {
        return Ok(url.to_owned());
    };
    let pair = |pair: &str| match pair.split_once('=') {
        Some((key @ ("sslrootcert" | "sslcert" | "sslkey" | "sslcrl"), path))
            if !path.is_empty() && path != "system" && !path.starts_with(['/', '%']) =>
        {
            let folder = std::env::current_dir().map_err(|e| Failure::io("find the current folder", &e))?;
            let folder =
                folder.to_str().ok_or_else(|| Failure::user("the current folder's path is not UTF-8"))?;
            Ok(format!("{key}={}/{path}", encoded(folder, b"-_.~/")))
        }
        _ => Ok(pair.to_owned()),
    };
    let pairs = query.split('&').map(pair).collect::<Result<Vec<_>>>()?;
    Ok(format!("{address}?{}", pairs.join("&")))
}

/// A text as a part of a URL, in which letters, digits and `plain` are as they are.
fn encoded(text: &str, plain: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || plain.contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// A part of a URL as what it stands for; `None` if it is none.
pub(crate) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                let hex = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
                rest = after;
            }
            (b'%', _) => return None,
            (plain, _) => bytes.push(*plain),
        }
    }
    String::from_utf8(bytes).ok()
}

/// A text in which every URL has stars for its password.
pub(crate) fn hide_passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in
        text.split_inclusive(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '|'))
    {
        if piece.contains("://") {
            out.push_str(&hide_password(piece));
        } else {
            out.push_str(piece);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_and_nothing_else() {
        for (url, shown, bare) in [
            ("postgres://u:secret@h:1/d", "postgres://u:****@h:1/d", "postgres://u@h:1/d"),
            ("postgres://u:p@ss@h/d?x=a@b:c", "postgres://u:****@h/d?x=a@b:c", "postgres://u@h/d?x=a@b:c"),
            (
                "postgres://u@h/d?password=x&sslmode=require",
                "postgres://u@h/d?password=****&sslmode=require",
                "postgres://u@h/d?sslmode=require",
            ),
            ("postgres://h/d?password=x", "postgres://h/d?password=****", "postgres://h/d"),
            ("postgres://u@h:5432/d", "postgres://u@h:5432/d", "postgres://u@h:5432/d"),
            ("postgres://h:5432/d", "postgres://h:5432/d", "postgres://h:5432/d"),
            ("dump.sql", "dump.sql", "dump.sql"),
        ] {
            assert_eq!(hide_password(url), shown);
            assert_eq!(without_password(url), bare);
        }
    }

    #[test]
    fn files_of_tls_get_absolute_paths() {
        let here = std::env::current_dir().unwrap();
        let url = "postgres://u:p@h/d?sslmode=verify-ca&sslrootcert=certs/ca.pem&sslkey=/k&sslcert=%2Fc";
        let made =
            format!("postgres://u:p@h/d?sslmode=verify-ca&sslrootcert={}/certs/ca.pem", here.display());
        assert_eq!(with_absolute_files(url).unwrap(), format!("{made}&sslkey=/k&sslcert=%2Fc"));
        for same in ["postgres://h/d", "postgres://h/d?sslrootcert=system", "dump?sslkey=x"] {
            assert_eq!(with_absolute_files(same).unwrap(), same);
        }
    }

    #[test]
    fn passwords_are_hidden_inside_of_text() {
        assert_eq!(
            hide_passwords("cannot reach \"postgres://u:p@h/d\" nor postgres://u:q@h; see a://b"),
            "cannot reach \"postgres://u:****@h/d\" nor postgres://u:****@h; see a://b"
        );
    }
}
