//! `[connection]`: the file in which programs find the address.

use offshoot_protocol::types::UrlResult;

/// What programs of this work tree read to find its database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    /// The file, from the top of the work tree.
    pub(crate) env_file: String,
    /// The variable, where a framework does not fix several.
    pub(crate) variable: String,
    /// The framework.
    pub(crate) preset: Option<Preset>,
    /// Which address.
    pub(crate) address: AddressOf,
    /// The line that names the file.
    pub(crate) line: usize,
}

/// The variable of a file that names none.
pub(crate) const VARIABLE: &str = "DATABASE_URL";

/// Which address a file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AddressOf {
    /// The work tree's, which leads to whatever is checked out.
    #[default]
    Worktree,
    /// The one of the branch that is checked out.
    Branch,
}

/// What a framework reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preset {
    Rails,
    Django,
    Prisma,
    Sqlalchemy,
    Laravel,
    Spring,
    Libpq,
}

impl Preset {
    pub(crate) const ALL: &[Self] = &[
        Self::Rails,
        Self::Django,
        Self::Prisma,
        Self::Sqlalchemy,
        Self::Laravel,
        Self::Spring,
        Self::Libpq,
    ];

    /// As the file has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rails => "rails",
            Self::Django => "django",
            Self::Prisma => "prisma",
            Self::Sqlalchemy => "sqlalchemy",
            Self::Laravel => "laravel",
            Self::Spring => "spring",
            Self::Libpq => "libpq",
        }
    }

    /// Whether it reads several variables, of fixed names.
    pub(crate) fn has_several(self) -> bool {
        matches!(self, Self::Laravel | Self::Spring | Self::Libpq)
    }
}

impl Connection {
    /// The variables that lead to `address`, with their values, in the order of the file.
    pub(crate) fn values(&self, address: &UrlResult) -> Vec<(String, String)> {
        let UrlResult { url, host, port, user, password, database, .. } = address;
        let port = port.to_string();
        // Both schemes are libpq's; some drivers know only this one.
        let long = || format!("postgresql://{}", url.strip_prefix("postgres://").unwrap_or(url));
        let all = |list: &[(&str, &str)]| {
            list.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
        };
        match self.preset {
            None | Some(Preset::Rails | Preset::Django) => all(&[(&self.variable, url)]),
            Some(Preset::Prisma) => all(&[(&self.variable, &format!("{}?schema=public", long()))]),
            Some(Preset::Sqlalchemy) => all(&[(&self.variable, &long())]),
            Some(Preset::Laravel) => all(&[
                ("DB_CONNECTION", "pgsql"),
                ("DB_HOST", host),
                ("DB_PORT", &port),
                ("DB_DATABASE", database),
                ("DB_USERNAME", user),
                ("DB_PASSWORD", password),
            ]),
            Some(Preset::Spring) => {
                let name = url.rsplit('/').next().unwrap_or(database);
                all(&[
                    ("SPRING_DATASOURCE_URL", &format!("jdbc:postgresql://{host}:{port}/{name}")),
                    ("SPRING_DATASOURCE_USERNAME", user),
                    ("SPRING_DATASOURCE_PASSWORD", password),
                ])
            }
            Some(Preset::Libpq) => all(&[
                ("PGHOST", host),
                ("PGPORT", &port),
                ("PGUSER", user),
                ("PGPASSWORD", password),
                ("PGDATABASE", database),
            ]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(preset: Option<Preset>) -> String {
        let address = UrlResult {
            url: "postgres://dev:p%24w@127.0.0.1:5433/my%20shop".into(),
            branch: "main".into(),
            host: "127.0.0.1".into(),
            port: 5433,
            user: "dev".into(),
            password: "p$w".into(),
            database: "my shop".into(),
        };
        let (env_file, variable) = (".env".to_owned(), "DATABASE_URL".to_owned());
        let connection = Connection { env_file, variable, preset, address: AddressOf::Worktree, line: 1 };
        let lines: Vec<_> =
            connection.values(&address).iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        lines.concat()
    }

    #[test]
    fn each_framework_gets_its_names_and_its_form() {
        let url = "dev:p%24w@127.0.0.1:5433/my%20shop";
        for plain in [None, Some(Preset::Rails), Some(Preset::Django)] {
            assert_eq!(shown(plain), format!("DATABASE_URL=postgres://{url}\n"));
        }
        assert_eq!(shown(Some(Preset::Prisma)), format!("DATABASE_URL=postgresql://{url}?schema=public\n"));
        assert_eq!(shown(Some(Preset::Sqlalchemy)), format!("DATABASE_URL=postgresql://{url}\n"));
        assert_eq!(
            shown(Some(Preset::Laravel)),
            "DB_CONNECTION=pgsql\nDB_HOST=127.0.0.1\nDB_PORT=5433\nDB_DATABASE=my shop\nDB_USERNAME=dev\nDB_PASSWORD=p$w\n"
        );
        assert_eq!(
            shown(Some(Preset::Spring)),
            "SPRING_DATASOURCE_URL=jdbc:postgresql://127.0.0.1:5433/my%20shop\nSPRING_DATASOURCE_USERNAME=dev\nSPRING_DATASOURCE_PASSWORD=p$w\n"
        );
        assert!(shown(Some(Preset::Libpq)).starts_with("PGHOST=127.0.0.1\nPGPORT=5433\nPGUSER=dev\n"));
    }
}
