//! The keys of `offshoot.toml`: what each means, for suggestions, completions, hovers and the JSON schema, in the words of the file that
//! `init` writes.

#[cfg(test)]
mod schema;

/// A key.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The table that it is in; empty at the top.
    pub(crate) table: &'static str,
    /// Its name.
    pub(crate) key: &'static str,
    /// One sentence.
    pub(crate) about: &'static str,
    /// What it is without a line, as TOML; empty for tables.
    pub(crate) default: &'static str,
    /// What its value is.
    shape: Shape,
    /// Its values, where there are few, each with its meaning.
    pub(crate) values: &'static [(&'static str, &'static str)],
    /// What a completion writes after the key.
    pub(crate) rest: &'static str,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Any text.
    Text,
    /// One of the values.
    Word,
    /// Such as `"5m"`.
    Time,
    /// Such as `"20GB"`, or a number.
    Size,
    /// At least 1.
    Count,
    Flag,
    /// A list of texts.
    Texts,
    /// A list of some of the values.
    Words,
    /// A table whose keys are the file's own.
    Map,
    /// A table with keys of this list.
    Table,
    /// A list of such tables.
    Tables,
}

const fn setting(
    table: &'static str,
    key: &'static str,
    shape: Shape,
    about: &'static str,
    default: &'static str,
    rest: &'static str,
) -> Setting {
    Setting { table, key, about, default, shape, values: &[], rest }
}

const fn word(mut of: Setting, values: &'static [(&'static str, &'static str)]) -> Setting {
    of.values = values;
    of
}

/// Every key.
#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    word(setting("", "on_checkout", Shape::Word, "What happens when a git branch is checked out that has no database branch yet",
        "\"create\"", " = \"create\""), CHECKOUT),
    word(setting("", "on_delete", Shape::Word, "What happens to a database branch when its git branch is deleted; the file of the main work tree counts",
        "\"ask\"", " = \"ask\""), DELETE),
    word(setting("", "on_merge", Shape::Word, "What happens after a git branch was merged into the one that is checked out; the file of the main work tree counts",
        "\"ask\"", " = \"ask\""), MERGE),
    word(setting("", "on_leave", Shape::Word, "Whether a checkout tells what it leaves behind: migrations that the other branch lacks, changes in no migration, open transactions",
        "\"tell\"", " = \"tell\""), LEAVE),
    setting("", "idle_timeout", Shape::Time, "A branch without connections falls asleep after this time.",
        "\"5m\"", " = \"5m\""),
    setting("", "switch_grace", Shape::Time, "How long open transactions may go on after a switch, before their connections are closed.",
        "\"5s\"", " = \"5s\""),
    setting("", "postgres", Shape::Table, "Settings for Postgres.",
        "", ".settings = {  }"),
    setting("postgres", "settings", Shape::Map, "Settings for Postgres.",
        "{}", " = { shared_buffers = \"64MB\" }"),
    setting("", "migrations", Shape::Table, "Migrations: what the editor does when a checkout leads to a branch on which some are pending",
        "", ".on_checkout = \"ask\""),
    word(setting("migrations", "on_checkout", Shape::Word, "Migrations: what the editor does when a checkout leads to a branch on which some are pending",
        "\"ask\"", " = \"ask\""), &[("ask", ""), ("apply", ""), ("nothing", "")]),
    setting("migrations", "check_command", Shape::Text, "a command that `offshoot migrations check` runs at its end, with DATABASE_URL set.",
        "", " = \"npm test\""),
    setting("", "schema", Shape::Table, "The schema in files, for `offshoot diff` and the editor.",
        "", ".file = \"db/schema.facts\""),
    setting("schema", "file", Shape::Text, "The file of facts, the SQL file or the folder of SQL files that has the schema.",
        "", " = \"db/schema.facts\""),
    setting("schema", "renames", Shape::Text, "The SQL file or the folder of SQL files whose lines `-- offshoot:rename table public.old -> new` confirm renames.",
        "", " = \"db/migrations\""),
    setting("", "restore", Shape::Table, "The past of every branch, for `offshoot branch create NAME --at …`; the file of the main work tree counts.",
        "", ".window = \"7d\""),
    setting("restore", "window", Shape::Time, "How far back it goes; \"off\" keeps none.",
        "\"7d\"", " = \"7d\""),
    setting("restore", "max_bytes", Shape::Size, "What it may have on the disk; the oldest goes first.",
        "\"10GB\"", " = \"10GB\""),
    setting("", "snapshots", Shape::Table, "A snapshot of the database at each git commit on a branch that has one, for as long as the window above:",
        "", ".on_commit = true"),
    setting("snapshots", "on_commit", Shape::Flag, "A snapshot of the database at each git commit on a branch that has one, for as long as the window above:",
        "false", " = true"),
    setting("", "masking", Shape::Table, "Personal data, replaced on their way into the store by `offshoot init --from …` and `offshoot refresh`:",
        "", ".columns = {  }"),
    setting("masking", "columns", Shape::Map, "Personal data, replaced on their way into the store by `offshoot init --from …` and `offshoot refresh`:",
        "{}", " = { \"public.users.email\" = \"fake-email\" }"),
    setting("", "subset", Shape::Table, "Which rows `offshoot init` and `offshoot refresh` take of a server, with all rows that these refer to.",
        "", ".tables = [\"public.plans\"]"),
    setting("subset", "tables", Shape::Texts, "Tables that are taken with all rows; `*` is any part of a name.",
        "[]", " = [\"public.plans\"]"),
    setting("subset", "exclude_table_data", Shape::Texts, "Tables that are left empty.",
        "[]", " = [\"public.audit_*\"]"),
    setting("subset", "where", Shape::Map, "Tables of which those rows are taken that meet a condition, in the source's SQL.",
        "{}", " = { \"public.orders\" = \"created_at > now() - interval '30 days'\" }"),
    setting("", "seed", Shape::Table, "SQL files that `offshoot init` and `offshoot refresh` run on the fresh database, in order.",
        "", ".files = [\"db/seed.sql\"]"),
    setting("seed", "files", Shape::Texts, "SQL files that `offshoot init` and `offshoot refresh` run on the fresh database, in order.",
        "[]", " = [\"db/seed.sql\"]"),
    setting("seed", "command", Shape::Text, "A command that runs behind them, with DATABASE_URL set, after it was agreed to.",
        "", " = \"npm run seed\""),
    setting("seed", "inputs", Shape::Texts, "The files and folders on which the command depends: what it makes is kept, and it runs anew when one of them changes.",
        "", " = [\"db/fixtures\"]"),
    setting("seed", "cache", Shape::Size, "What all that seeds have made may have on the disk, for all projects; \"off\" keeps none, and runs the seed each time.",
        "\"2GB\"", " = \"off\""),
    setting("", "connection", Shape::Table, "The address of this work tree's database, in a file for programs that read one.",
        "", ".env_file = \".env\""),
    setting("connection", "env_file", Shape::Text, "The file, such as \".env\", which git has to ignore. It gets the password; only the lines of the variables are touched.",
        "", " = \".env\""),
    setting("connection", "variable", Shape::Text, "The name of the variable.",
        "\"DATABASE_URL\"", " = \"DATABASE_URL\""),
    word(setting("connection", "preset", Shape::Word, "The variables, and the form of the URL, that a framework reads:",
        "", " = \"prisma\""), PRESET),
    word(setting("connection", "address", Shape::Word, "Which address it is:",
        "\"worktree\"", " = \"branch\""), ADDRESS),
    setting("", "branches", Shape::Tables, "Rules about branches by their names. The first that fits decides, alone; the file of the main work tree counts.",
        "", " = [{ pattern = \"feature/**\", ttl = \"14d\" }]"),
    setting("branches", "pattern", Shape::Text, "`*` is any part of a name between slashes, `**` any number of parts, `{a,b}` a or b.",
        "", " = \"feature/**\""),
    setting("branches", "parent", Shape::Text, "The branch that a new one is made from.",
        "", " = \"main\""),
    setting("branches", "ttl", Shape::Time, "How long after it is made it goes to the trash by itself.",
        "", " = \"14d\""),
    setting("branches", "protected", Shape::Flag, "No reset, deletion, restore or renaming without `--override`.",
        "false", " = true"),
    word(setting("branches", "masking", Shape::Word, "What has to hold of the data of a new one:",
        "\"any\"", " = \"required\""), MASKING),
    setting("branches", "writers", Shape::Texts, "The roles whose own sessions may write; [] for none. All others read. Without it, all may write.",
        "", " = []"),
    setting("branches", "override", Shape::Flag, "Whether `--override` goes past `protected` and `writers`.",
        "true", " = false"),
    word(setting("branches", "on_checkout", Shape::Word, "What happens when a git branch is checked out that has no database branch yet",
        "", " = \"create\""), CHECKOUT),
    setting("branches", "max_bytes", Shape::Size, "From 90 % of this on, of its own bytes, it is told.",
        "", " = \"2GB\""),
    setting("branches", "extensions", Shape::Texts, "Extensions that a new one has before anybody connects to it.",
        "[]", " = [\"pg_trgm\"]"),
    setting("branches", "roles", Shape::Texts, "Roles that it has, none of which logs in.",
        "[]", " = [\"reader\"]"),
    setting("branches", "grants", Shape::Texts, "What roles may do with what there is in a schema, and with what is made there later.",
        "[]", " = [\"select on tables to reader\"]"),
    setting("", "tiers", Shape::Tables, "Branches that migrations are promoted to by `offshoot promote`, from the first to the last; the file of the main work tree counts.",
        "", " = [{ branch = \"main\", checks = [\"reversible\"] }]"),
    setting("tiers", "branch", Shape::Text, "The git branch and the database branch that are the tier.",
        "", " = \"staging\""),
    word(setting("tiers", "checks", Shape::Words, "What has to hold on a throwaway of the tier before migrations come to it:",
        "[\"applies\"]", " = [\"applies\", \"reversible\"]"), CHECKS),
    setting("tiers", "max_lock", Shape::Time, "How long a table that is there may be closed to writers.",
        "", " = \"2s\""),
    setting("tiers", "max_rewrite", Shape::Size, "How many bytes of tables and indexes may be written anew.",
        "", " = \"100MB\""),
    setting("tiers", "override", Shape::Flag, "Whether `offshoot promote --override` goes past a check that failed.",
        "true", " = false"),
    setting("", "hooks", Shape::Table, "Commands around branches, with DATABASE_URL set; the file of the main work tree counts. None runs before `offshoot policy trust`.",
        "", ".after_create = \"npm run db:seed\""),
    setting("hooks", "after_create", Shape::Text, "After a branch was made.",
        "", " = \"npm run db:seed\""),
    setting("hooks", "before_delete", Shape::Text, "Before a branch goes to the trash. If it fails, the branch stays.",
        "", " = \"./scripts/export.sh\""),
    setting("hooks", "timeout", Shape::Time, "How long each may take.",
        "\"1m\"", " = \"1m\""),
    word(setting("hooks", "on_failure", Shape::Word, "What becomes of a new branch whose command failed:",
        "\"keep\"", " = \"undo\""), &[("keep", "it stays, and it is told"), ("undo", "it goes to the trash")]),
    setting("", "limits", Shape::Table, "What there may be altogether.",
        "", ".branches = 50"),
    setting("limits", "branches", Shape::Count, "How many database branches, the root among them.",
        "", " = 50"),
    setting("", "storage", Shape::Table, "Room for the store; the file of the main work tree counts.",
        "", ".max_bytes = \"20GB\""),
    setting("storage", "max_bytes", Shape::Size, "What it may have on the disk. From 90 % on it is told; at the limit nothing more is made.",
        "", " = \"20GB\""),
    setting("storage", "min_free_bytes", Shape::Size, "What it leaves free on its disk.",
        "", " = \"1GB\""),
    word(setting("storage", "driver", Shape::Word, "How `offshoot init` keeps branches apart: \"layers\", or \"clone\" on a file system that can clone files (XFS, btrfs).",
        "\"layers\"", " = \"layers\""), &[("layers", ""), ("clone", "")]),
];

/// What may become of a database branch whose git branch is deleted.
const DELETE: &[(&str, &str)] = &[
    ("ask", "it stays, and `offshoot status` tells the command that deletes it"),
    ("trash", "it goes to the trash, from where `offshoot undo` brings it back"),
    ("keep", "it stays, and nothing is said"),
];
/// What may happen after a merge.
const MERGE: &[(&str, &str)] = &[
    ("ask", "its migrations and the deletion of its database branch are offered"),
    ("apply", "the editor tries its migrations on a throwaway and applies them"),
    ("nothing", "nothing"),
];
/// Whether leaving a branch is told of.
const LEAVE: &[(&str, &str)] =
    &[("tell", "`offshoot status` and the editor say so, once"), ("nothing", "nothing is said")];
const PRESET: &[(&str, &str)] = &[
    ("rails", "DATABASE_URL, postgres://…"),
    ("django", "DATABASE_URL, postgres://…"),
    ("prisma", "DATABASE_URL, postgresql://…?schema=public"),
    ("sqlalchemy", "DATABASE_URL, postgresql://…"),
    ("laravel", "DB_CONNECTION, DB_HOST, DB_PORT, DB_DATABASE, DB_USERNAME and DB_PASSWORD"),
    (
        "spring",
        "SPRING_DATASOURCE_URL, with jdbc:postgresql://…, SPRING_DATASOURCE_USERNAME and SPRING_DATASOURCE_PASSWORD",
    ),
    ("libpq", "PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE"),
];
const ADDRESS: &[(&str, &str)] = &[
    ("worktree", "the one that stays the same and leads to whatever is checked out"),
    ("branch", "the one of the branch that is checked out: it changes with each checkout"),
];
const CHECKS: &[(&str, &str)] = &[
    ("applies", "they run, all of them, and what the tier has applied is unchanged; always looked at"),
    ("idempotent", "a second run of the tool changes nothing"),
    ("reversible", "they can be taken back, and the schema is what it was"),
    ("no-drift", "the tier has the schema that its migrations make"),
    ("lint", "the rules for statements find nothing that others would wait for long for"),
    ("command", "the command of `[migrations] check_command` succeeds on it"),
];
const MASKING: &[(&str, &str)] = &[
    ("required", "they came in by all rules of `[masking.columns]` that there are now"),
    ("any", "they came in however they did"),
];

const CHECKOUT: &[(&str, &str)] = &[
    ("create", "make one, from the database branch of the git branch that it was cut from"),
    ("switch", "stay on the present database branch"),
    ("ask", "stay, and let `offshoot status` tell how to go on"),
];

/// The key at `word`, where the cursor is in `table`.
pub(crate) fn find(table: &str, word: &str) -> Option<&'static Setting> {
    let exact = SETTINGS.iter().find(|setting| setting.table == table && setting.key == word);
    exact.or_else(|| SETTINGS.iter().find(|setting| setting.key == word))
}

/// The names of the keys of a table.
pub(crate) fn known(table: &str) -> Vec<&'static str> {
    SETTINGS.iter().filter(|setting| setting.table == table).map(|setting| setting.key).collect()
}

/// What can follow a `[`: the headers of tables, with as many brackets as they have.
pub(crate) fn headers() -> impl Iterator<Item = (&'static Setting, String)> {
    SETTINGS.iter().filter_map(|setting| match setting.shape {
        Shape::Table => Some((setting, format!("[{}]", setting.key))),
        Shape::Map => Some((setting, format!("[{}.{}]", setting.table, setting.key))),
        Shape::Tables => Some((setting, format!("[[{}]]", setting.key))),
        _ => None,
    })
}

impl Setting {
    /// Whether it is a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.shape, Shape::Texts | Shape::Words)
    }

    /// Whether it is `true` or `false`.
    pub(crate) fn is_flag(&self) -> bool {
        self.shape == Shape::Flag
    }

    /// Markdown.
    pub(crate) fn help(&self) -> String {
        let mut text = match self.table {
            "" => format!("`{}`\n\n{}", self.key, self.about),
            table => format!("`{table}.{}`\n\n{}", self.key, self.about),
        };
        for (value, meaning) in self.values {
            text.extend(["\n- `\"", value, "\"`"]);
            if !meaning.is_empty() {
                text.extend([": ", meaning]);
            }
        }
        if !self.default.is_empty() {
            text.extend(["\n\nWithout it: `", self.default, "`"]);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{TEMPLATE, parse};

    #[test]
    fn the_words_are_those_of_the_file_that_init_writes() {
        for setting in SETTINGS {
            assert!(TEMPLATE.contains(setting.about), "{}", setting.key);
            for (value, meaning) in setting.values {
                assert!(TEMPLATE.contains(&format!("\"{value}\"")) && TEMPLATE.contains(meaning), "{value}");
            }
        }
    }

    #[test]
    fn every_completion_is_a_line_that_parses() {
        for setting in SETTINGS {
            let table = match setting.table {
                "" => String::new(),
                "branches" if setting.key == "pattern" => "[[branches]]\n".to_owned(),
                "branches" if setting.key == "masking" => {
                    "[masking.columns]\n'a.b.c' = 'null'\n[[branches]]\npattern = 'x'\n".to_owned()
                }
                "branches" => "[[branches]]\npattern = 'x'\n".to_owned(),
                "tiers" if setting.key == "branch" => "[[tiers]]\n".to_owned(),
                "tiers" => "[[tiers]]\nbranch = 'x'\n".to_owned(),
                "hooks" if setting.key == "on_failure" => "[hooks]\nafter_create = 'x'\n".to_owned(),
                "connection" if setting.key != "env_file" => "[connection]\nenv_file = '.env'\n".to_owned(),
                table => format!("[{table}]\n"),
            };
            parse(&format!("{table}{}{}", setting.key, setting.rest)).unwrap();
        }
        for (_, header) in headers().filter(|(_, header)| !header.starts_with("[[")) {
            parse(&header).unwrap();
        }
    }

    #[test]
    fn every_table_has_keys_and_every_key_has_a_table() {
        for setting in SETTINGS {
            let has_keys = !known(setting.key).is_empty();
            let is_table = matches!(setting.shape, Shape::Table | Shape::Tables) && setting.table.is_empty();
            assert!(!is_table || has_keys, "{}", setting.key);
            assert!(setting.table.is_empty() || known("").contains(&setting.table), "{}", setting.key);
        }
    }
}
