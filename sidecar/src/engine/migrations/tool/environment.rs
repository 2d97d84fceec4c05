//! The variables that a tool is run with.

use std::collections::BTreeMap;
use std::path::Path;

use offshoot_protocol::migrations::MigrationsVariable;
use offshoot_protocol::types::UrlResult;

use crate::libpq::IN_THE_WAY;
use crate::programs;

/// Variables of a tool.
pub(super) struct Environment {
    pub(super) variables: BTreeMap<String, String>,
    /// What could not be done as usual, for people.
    pub(super) note: Option<String>,
}

/// The caller's variables, with those that lead to the branch, and with the project's own programs found.
pub(super) fn environment_of(
    root: &Path,
    folder: &Path,
    address: &UrlResult,
    given: &[MigrationsVariable],
) -> Environment {
    let mut all: BTreeMap<_, _> =
        given.iter().map(|variable| (variable.name.clone(), variable.value.clone())).collect();
    all.retain(|name, _| !IN_THE_WAY.contains(&name.as_str()));
    let paths = programs::folders(root, folder);
    let inherited = all.get("PATH").cloned().unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".to_owned());
    let paths = paths.iter().map(|path| path.display().to_string());
    let (left_out, mut path): (Vec<String>, Vec<String>) = paths.partition(|path| path.contains(':'));
    path.push(inherited);
    all.insert("PATH".to_owned(), path.join(":"));
    for (name, value) in [
        ("DATABASE_URL", &address.url),
        ("PGHOST", &address.host),
        ("PGPORT", &address.port.to_string()),
        ("PGUSER", &address.user),
        ("PGPASSWORD", &address.password),
        ("PGDATABASE", &address.database),
        // Some drivers would insist on TLS, which a loopback connection does not have.
        ("PGSSLMODE", &"disable".to_owned()),
    ] {
        all.insert(name.to_owned(), value.clone());
    }
    let note = left_out.first().map(|first| {
        format!("{first} is not on PATH for the tool, as a colon in a folder's name ends it there.")
    });
    Environment { variables: all, note }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_with_a_colon_is_left_out_of_the_path_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let address = UrlResult {
            url: String::new(),
            branch: String::new(),
            host: String::new(),
            port: 1,
            user: String::new(),
            password: String::new(),
            database: String::new(),
        };
        for (name, is_told) in [("plain", false), ("a:b", true)] {
            let root = folder.path().join(name);
            fs::create_dir_all(root.join("node_modules/.bin")).unwrap();
            let Environment { variables, note } = environment_of(&root, &root, &address, &[]);
            assert_eq!(note.is_some(), is_told, "{note:?}");
            assert_eq!(variables["PATH"].contains(name), !is_told);
        }
    }
}
