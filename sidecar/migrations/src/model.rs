//! What a scan finds: projects, their migrations, their history table, their commands.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::sql::quote;
use crate::tool::Tool;

/// A table that may be in a named schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The schema; without it the connection's search path decides.
    pub schema: Option<String>,
    /// The table.
    pub name: String,
}

impl Table {
    pub(crate) fn new(schema: Option<&str>, name: &str) -> Self {
        Self { schema: schema.filter(|schema| !schema.is_empty()).map(str::to_owned), name: name.to_owned() }
    }

    /// The name as SQL, quoted.
    pub fn sql(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", quote(schema), quote(&self.name)),
            None => quote(&self.name),
        }
    }

    /// The query whose only column holds each row of the table as JSON, with these columns of it.
    ///
    /// The columns are those that [`crate::COLUMNS_QUERY`] calls plain: of any other type, making JSON of a value may run
    /// a cast or another function that anybody wrote. No operator and no cast is looked for by name.
    pub fn rows_query<C: AsRef<str>>(&self, columns: &[C]) -> String {
        let columns: Vec<_> = columns.iter().map(|column| quote(column.as_ref())).collect();
        format!(
            "select pg_catalog.textin(pg_catalog.jsonb_out(pg_catalog.to_jsonb(history.*))) from (select {} from {}) history",
            columns.join(", "),
            self.sql()
        )
    }
}

/// What a migration is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MigrationKind {
    /// Runs once, in its place.
    Versioned,
    /// Runs whenever its content changed.
    Repeatable,
    /// Runs instead of all up to its version, on an empty database.
    Baseline,
}

/// How a migration is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Down {
    /// It cannot be.
    None,
    /// The same file says how.
    SameFile,
    /// Another file says how.
    File(String),
}

/// What a tool does with a pending file that is older than the newest applied one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Late {
    /// It runs it.
    Runs,
    /// It stops with an error.
    Refuses,
    /// It never runs it and says nothing.
    Skips,
    /// The tool has no order but what files say of each other.
    Graph,
}

/// One migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// What the history table knows it by.
    pub key: String,
    /// The version, if the tool has such.
    pub version: Option<String>,
    /// What people call it.
    pub name: String,
    /// The file, relative to the repository.
    pub path: String,
    /// Where in the file it starts, from 1.
    pub line: u32,
    /// What it is for.
    pub kind: MigrationKind,
    /// How it is taken back.
    pub down: Down,
    /// The checksums that the tool takes as unchanged, in the tool's notation. Empty if the tool keeps none.
    pub checksums: Vec<String>,
    /// The keys of the migrations that must run before it, for tools whose files say so.
    pub parents: Vec<String>,
    /// The id that git gives the file's content, in hexadecimal.
    pub blob: String,
    /// Whether the file is unfit to be judged: half written, or with a merge unfinished.
    pub broken: bool,
    /// When the tool compares by time, that time in milliseconds.
    pub when_ms: Option<i64>,
}

/// How the tool is started.
///
/// Words may hold `{bare_url}`, `{jdbc_url}`, `{host}`, `{port}`, `{user}` and `{database}`, for the address of the
/// branch, and variables also `{url}` and `{password}`. All users of a machine see words, and none but their owner
/// sees variables: so words never hold the password. Tools whose drivers follow libpq have it from `PGPASSWORD`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands {
    /// The folder to start it in, relative to the repository.
    pub folder: String,
    /// Variables to set.
    pub env: Vec<(String, String)>,
    /// Applies all that is pending. Empty if there is no such command.
    pub apply: Vec<String>,
    /// Prints the tool's own status. Empty if there is no such command.
    pub status: Vec<String>,
    /// Takes the newest migration back. Empty if the tool cannot.
    pub down: Vec<String>,
}

/// A tool in a folder.
#[derive(Debug, Clone)]
pub struct Project {
    /// The tool.
    pub tool: Tool,
    /// The layout, if the tool has several: `0.x` or `1.0` of Drizzle.
    pub layout: Option<&'static str>,
    /// The folder that the tool is run in, relative to the repository; empty for its root.
    pub root: String,
    /// The configuration file.
    pub config: Option<String>,
    /// The folders with migrations.
    pub folders: Vec<String>,
    /// The history table; none for plain files.
    pub history: Option<Table>,
    /// What the tool does with late files.
    pub late: Late,
    /// The migrations, in the order in which the tool runs them.
    pub migrations: Vec<Migration>,
    /// How to start the tool.
    pub commands: Commands,
    /// What is wrong with the files.
    pub diagnostics: Vec<Diagnostic>,
    /// What else the tool's module must remember, such as the project's name in Sqitch.
    pub options: BTreeMap<String, String>,
}

impl Project {
    pub(crate) fn new(tool: Tool, root: &str) -> Self {
        Self {
            tool,
            layout: None,
            root: root.to_owned(),
            config: None,
            folders: Vec::new(),
            history: None,
            late: Late::Runs,
            migrations: Vec::new(),
            commands: Commands { folder: root.to_owned(), ..Commands::default() },
            diagnostics: Vec::new(),
            options: BTreeMap::new(),
        }
    }
}
