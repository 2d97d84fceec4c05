//! `offshoot.toml`: what a worktree asks of the engine.
//!
//! The file comes with a repository, so nothing in it may name a program to run or a place to write to.

mod file;
pub(crate) mod keys;
mod parse;
pub(crate) mod rules;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use offshoot_postgres::mask::Rule;
use offshoot_protocol::migrations::MigrationsOnCheckout;
use offshoot_storage::{DriverKind, RestoreWindow};

pub(crate) use file::{ConfigFile, MAX_BYTES, broken, read};
pub(crate) use parse::{ConfigError, duration, duration_text, parse, parse_all};
pub(crate) use rules::Rules;

/// Name of the file, at the root of a worktree.
pub(crate) const FILE_NAME: &str = "offshoot.toml";

/// What happens when a git branch is checked out that has no database branch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnCheckout {
    /// One is made, from the database branch of the git branch that it was cut from.
    #[default]
    Create,
    /// The endpoint stays where it is.
    Switch,
    /// The endpoint stays where it is, and `offshoot status` tells how to go on.
    Ask,
}

impl OnCheckout {
    /// As the file has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Switch => "switch",
            Self::Ask => "ask",
        }
    }
}

/// What happens to a database branch when its git branch is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnDelete {
    /// It stays, and `offshoot status` tells the command that deletes it.
    #[default]
    Ask,
    /// It goes to the trash, unless it is protected or in use.
    Trash,
    /// It stays, and nothing is said.
    Keep,
}

/// The settings of a worktree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// See [`OnCheckout`].
    pub(crate) on_checkout: OnCheckout,
    /// The line that says so.
    pub(crate) on_checkout_line: Option<usize>,
    /// See [`OnDelete`]. The main worktree's file counts.
    pub(crate) on_delete: OnDelete,
    /// How long a branch without connections stays awake.
    pub(crate) idle_timeout: Duration,
    /// How long open transactions may go on after a switch.
    pub(crate) switch_grace: Duration,
    /// Settings for every Postgres of the project, sorted by name.
    pub(crate) postgres: Vec<(String, String)>,
    /// What the editor does when a checkout leads to a branch with pending migrations.
    pub(crate) migrations_on_checkout: MigrationsOnCheckout,
    /// The command that `offshoot migrations check` runs at its end. Nothing else runs it: whoever starts a check has the
    /// repository's migrations run, which may be programs as well.
    pub(crate) migrations_check: Option<String>,
    /// What a new store keeps its branches apart by; chosen by `init` if absent.
    pub(crate) storage_driver: Option<DriverKind>,
    /// The file or folder that has the schema, from the top of the repository.
    pub(crate) schema_file: Option<String>,
    /// What the project's store may have on the disk.
    pub(crate) max_bytes: Option<u64>,
    /// What is kept free on the store's disk; absent means what suits its size.
    pub(crate) min_free_bytes: Option<u64>,
    /// The SQL file or folder of SQL files whose lines confirm renames, from the top of the work tree.
    pub(crate) schema_renames: Option<String>,
    /// How far back branches can be made; absent for not at all.
    pub(crate) restore_window: Option<Duration>,
    /// What that may have on the disk.
    pub(crate) restore_max_bytes: u64,
    /// Whether a snapshot is taken at each commit.
    pub(crate) snapshots_on_commit: bool,
    /// What becomes of personal data on their way into the store.
    pub(crate) masking: Vec<Rule>,
    /// SQL files that belong behind the data of a fresh root branch, from the top of the work tree.
    pub(crate) seed_files: Vec<String>,
    /// What holds for which branches.
    pub(crate) rules: Arc<Rules>,
}

impl Config {
    /// What the store keeps of the past.
    pub(crate) fn restore(&self) -> Option<RestoreWindow> {
        let max_bytes = self.restore_max_bytes;
        self.restore_window.map(|window| RestoreWindow { window, max_bytes, ..RestoreWindow::default() })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            on_checkout: OnCheckout::default(),
            on_checkout_line: None,
            on_delete: OnDelete::default(),
            idle_timeout: Duration::from_mins(5),
            switch_grace: Duration::from_secs(5),
            postgres: Vec::new(),
            migrations_on_checkout: MigrationsOnCheckout::default(),
            migrations_check: None,
            storage_driver: None,
            schema_file: None,
            max_bytes: None,
            min_free_bytes: None,
            schema_renames: None,
            snapshots_on_commit: false,
            restore_window: Some(RestoreWindow::default().window),
            restore_max_bytes: RestoreWindow::default().max_bytes,
            masking: Vec::new(),
            seed_files: Vec::new(),
            rules: Arc::default(),
        }
    }
}

/// The file that `init` writes.
pub(crate) const TEMPLATE: &str = r#"# Offshoot: a database branch for every git branch. Every line is optional.

# What happens when a git branch is checked out that has no database branch yet:
#   "create"  make one, from the database branch of the git branch that it was cut from
#   "switch"  stay on the present database branch
#   "ask"     stay, and let `offshoot status` tell how to go on
# on_checkout = "create"

# What happens to a database branch when its git branch is deleted; the file of the main work tree counts:
#   "ask"    it stays, and `offshoot status` tells the command that deletes it
#   "trash"  it goes to the trash, from where `offshoot undo` brings it back
#   "keep"   it stays, and nothing is said
# on_delete = "ask"

# A branch without connections falls asleep after this time.
# idle_timeout = "5m"

# How long open transactions may go on after a switch, before their connections are closed.
# switch_grace = "5s"

# Settings for Postgres.
# [postgres]
# settings = { shared_buffers = "64MB" }

# Migrations: what the editor does when a checkout leads to a branch on which some are pending ("ask", "apply" or "nothing"),
# and a command that `offshoot migrations check` runs at its end, with DATABASE_URL set.
# [migrations]
# on_checkout = "ask"
# check_command = "npm test"

# The schema in files, for `offshoot diff` and the editor.
# [schema]
# The file of facts, the SQL file or the folder of SQL files that has the schema.
# file = "db/schema.facts"
# The SQL file or the folder of SQL files whose lines `-- offshoot:rename table public.old -> new` confirm renames.
# renames = "db/migrations"

# The past of every branch, for `offshoot branch create NAME --at …`; the file of the main work tree counts.
# [restore]
# How far back it goes; "off" keeps none.
# window = "7d"
# What it may have on the disk; the oldest goes first.
# max_bytes = "10GB"

# A snapshot of the database at each git commit on a branch that has one, for as long as the window above:
# `offshoot branch create NAME --at COMMIT`.
# [snapshots]
# on_commit = false

# Personal data, replaced on their way into the store by `offshoot init --from …` and `offshoot refresh`:
#   "null", "hash", "fake-name", "fake-email", "fake-phone", a fixed text, or "keep" for what is not personal.
# `offshoot masking check` lists columns that look personal and have no rule.
# [masking.columns]
# "public.users.email" = "fake-email"

# SQL files that `offshoot init` and `offshoot refresh` run on the fresh database, in order.
# [seed]
# files = ["db/seed.sql"]

# Rules about branches by their names. The first that fits decides, alone; the file of the main work tree counts.
# [[branches]]
# `*` is any part of a name between slashes, `**` any number of parts, `{a,b}` a or b.
# pattern = "main"
# No reset, deletion, restore or renaming without `--override`.
# protected = true
# [[branches]]
# pattern = "feature/**"
# The branch that a new one is made from.
# parent = "main"
# How long after it is made it goes to the trash by itself.
# ttl = "14d"
# From 90 % of this on, of its own bytes, it is told.
# max_bytes = "2GB"

# What there may be altogether.
# [limits]
# How many database branches, the root among them.
# branches = 50

# Room for the store; the file of the main work tree counts.
# [storage]
# What it may have on the disk. From 90 % on it is told; at the limit nothing more is made.
# max_bytes = "20GB"
# What it leaves free on its disk.
# min_free_bytes = "1GB"
# How `offshoot init` keeps branches apart: "layers", or "clone" on a file system that can clone files (XFS, btrfs).
# driver = "layers"
"#;
