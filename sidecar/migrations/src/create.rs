//! New migrations in the naming and the format of a tool.

use crate::model::Project;
use crate::script::is_sql;
use crate::text;
use crate::tool::Tool;

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Relative to the repository.
    pub path: String,
    /// Its content.
    pub text: String,
}

/// What a new migration does.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// The statements that apply it.
    pub up: String,
    /// The statements that take it back.
    pub down: String,
    /// Whether a statement of it must not be in a transaction.
    pub loose: bool,
}

/// More digits than anybody counts migrations with: a version of these is a time.
const TIME_DIGITS: usize = 10;

impl Project {
    /// Whether [`Project::new_files`] knows the tool's format and naming.
    pub fn can_write(&self) -> bool {
        let knows = matches!(
            self.tool,
            Tool::Flyway
                | Tool::Prisma
                | Tool::Supabase
                | Tool::Atlas
                | Tool::Sqlx
                | Tool::Diesel
                | Tool::Refinery
                | Tool::Dbmate
                | Tool::Goose
                | Tool::GolangMigrate
                | Tool::Tern
                | Tool::PlainSql
                | Tool::NodePgMigrate
        );
        let newest_is_sql = self.migrations.last().is_none_or(|newest| is_sql(self.tool, &newest.path));
        let code = matches!(self.tool, Tool::NodePgMigrate) && self.migrations.is_empty();
        knows && newest_is_sql && !code && !self.folders.is_empty()
    }

    /// The files of a new migration that is called `name`, made at `time`, 14 digits of UTC. `None` if the tool's migrations are
    /// no SQL files, or its list of them would have to be edited.
    pub fn new_files(&self, name: &str, time: &str, content: &Content) -> Option<Vec<NewFile>> {
        if !self.can_write() {
            return None;
        }
        let folder = self.folders.last()?;
        let name = slug(name);
        let (up, down) = (content.up.trim_end(), content.down.trim_end());
        let file = |path: String, text: String| NewFile { path: text::join(folder, &path), text };
        let version = self.next_version(time);
        let loose = content.loose;
        let stem = format!("{version}_{name}");
        Some(match self.tool {
            Tool::Flyway | Tool::Refinery => vec![file(format!("V{version}__{name}.sql"), format!("{up}\n"))],
            Tool::Prisma => vec![file(format!("{time}_{name}/migration.sql"), format!("{up}\n"))],
            Tool::Supabase => vec![file(format!("{time}_{name}.sql"), format!("{up}\n"))],
            Tool::Atlas => {
                let mode = if loose { "-- atlas:txmode none\n\n" } else { "" };
                vec![file(format!("{stem}.sql"), format!("{mode}{up}\n"))]
            }
            Tool::Diesel => {
                let at = |from: usize, to: usize| time.get(from..to).unwrap_or_default();
                let stem = format!("{}-{}-{}-{}_{name}", at(0, 4), at(4, 6), at(6, 8), at(8, 14));
                let mut files = vec![
                    file(format!("{stem}/up.sql"), format!("{up}\n")),
                    file(format!("{stem}/down.sql"), format!("{down}\n")),
                ];
                if loose {
                    files.push(file(
                        format!("{stem}/metadata.toml"),
                        "run_in_transaction = false\n".to_owned(),
                    ));
                }
                files
            }
            Tool::Sqlx => {
                let mark = if loose { "-- no-transaction\n" } else { "" };
                let pairs = self.migrations.iter().any(|one| one.path.ends_with(".up.sql"));
                if pairs {
                    vec![
                        file(format!("{stem}.up.sql"), format!("{mark}{up}\n")),
                        file(format!("{stem}.down.sql"), format!("{mark}{down}\n")),
                    ]
                } else {
                    vec![file(format!("{stem}.sql"), format!("{mark}{up}\n"))]
                }
            }
            Tool::GolangMigrate => vec![
                file(format!("{stem}.up.sql"), format!("{up}\n")),
                file(format!("{stem}.down.sql"), format!("{down}\n")),
            ],
            Tool::Dbmate => {
                let mode = if loose { " transaction:false" } else { "" };
                let text = format!("-- migrate:up{mode}\n{up}\n\n-- migrate:down{mode}\n{down}\n");
                vec![file(format!("{stem}.sql"), text)]
            }
            Tool::Goose => {
                let mode = if loose { "-- +goose NO TRANSACTION\n" } else { "" };
                let part = |sql: &str| {
                    if sql.contains('$') {
                        format!("-- +goose StatementBegin\n{sql}\n-- +goose StatementEnd")
                    } else {
                        sql.to_owned()
                    }
                };
                let text = format!("{mode}-- +goose Up\n{}\n\n-- +goose Down\n{}\n", part(up), part(down));
                vec![file(format!("{stem}.sql"), text)]
            }
            Tool::Tern => {
                let mode = if loose { "---- tern: disable-tx ----\n" } else { "" };
                let text = format!("{mode}{up}\n\n---- create above / drop below ----\n\n{down}\n");
                vec![file(format!("{stem}.sql"), text)]
            }
            Tool::NodePgMigrate => {
                let text = format!("-- Up Migration\n{up}\n\n-- Down Migration\n{down}\n");
                vec![file(format!("{version}_{}.sql", name.replace('_', "-")), text)]
            }
            Tool::PlainSql => vec![file(format!("{stem}.sql"), format!("{up}\n"))],
            _ => return None,
        })
    }

    /// A version behind all there are, in their form: a time, or a number of as many digits.
    fn next_version(&self, time: &str) -> String {
        let versions = self.migrations.iter().filter_map(|one| one.version.as_deref());
        let digits = |version: &str| !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
        let newest = versions.filter(|version| digits(version)).max_by_key(|version| text::number(version));
        let counted = match self.tool {
            Tool::Flyway | Tool::Refinery => Some("1"),
            Tool::Tern | Tool::PlainSql => Some("001"),
            _ => None,
        };
        match (newest, counted) {
            (Some(newest), _) if newest.len() < TIME_DIGITS => {
                format!("{:0width$}", text::number(newest) + 1, width = newest.len())
            }
            (None, Some(first)) => first.to_owned(),
            // Milliseconds since 1970, or digits of a calendar.
            (Some(newest), _) if newest.len() == 13 => (text::number(newest) + 1).to_string(),
            // A clock may be behind that of whoever made the newest.
            (Some(newest), _) if newest.len() == time.len() && newest >= time => {
                (text::number(newest) + 1).to_string()
            }
            _ => time.to_owned(),
        }
    }
}

/// A name as files are called.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.trim().chars() {
        match letter {
            letter if letter.is_ascii_alphanumeric() => slug.push(letter.to_ascii_lowercase()),
            _ if !slug.ends_with('_') && !slug.is_empty() => slug.push('_'),
            _ => {}
        }
    }
    let slug = slug.trim_end_matches('_');
    if slug.is_empty() { "migration".to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemorySource, Scanner};

    fn paths(there: &str, text: &str) -> Vec<String> {
        let source = MemorySource::new([(there, text)]);
        let project = Scanner::default().scan(&source).unwrap().projects.remove(0);
        let content = Content { up: "select 1;".into(), down: "select 2;".into(), loose: false };
        let files = project.new_files("Add Tags!", "20260102030405", &content).unwrap();
        files.into_iter().map(|file| file.path).collect()
    }

    #[test]
    fn versions_go_on_in_the_form_that_is_there() {
        let up = "-- migrate:up\nselect 1;\n-- migrate:down\n";
        assert_eq!(
            paths("db/migrations/20240101000000_a.sql", up),
            ["db/migrations/20260102030405_add_tags.sql"]
        );
        assert_eq!(
            paths("db/migrations/20990101000000_a.sql", up),
            ["db/migrations/20990101000001_add_tags.sql"]
        );
        assert_eq!(paths("migrations/009_a.sql", "select 1;"), ["migrations/010_add_tags.sql"]);
        assert_eq!(paths("sql/V1__a.sql", "select 1;"), ["sql/V2__add_tags.sql"]);
        let pair = paths("migrations/000001_a.up.sql", "select 1;");
        assert_eq!(pair, ["migrations/000002_add_tags.up.sql", "migrations/000002_add_tags.down.sql"]);
    }
}
