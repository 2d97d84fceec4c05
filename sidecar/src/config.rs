//! `offshoot.toml`: what a worktree asks of the engine.
//!
//! The file comes with a repository, so nothing in it may name a program that is run by itself, nor a place to write to but an env file that
//! git ignores.

mod connection;
mod file;
mod hooks;
pub(crate) mod keys;
mod parse;
pub(crate) mod rules;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use offshoot_postgres::mask::Rule;
use offshoot_postgres::subset::Subset;
use offshoot_protocol::migrations::MigrationsOnCheckout;
use offshoot_storage::{DriverKind, RestoreWindow};

#[cfg(test)]
pub(crate) use connection::Preset;
pub(crate) use connection::{AddressOf, Connection};
pub(crate) use file::{ConfigFile, MAX_BYTES, broken, read};
pub(crate) use hooks::Hooks;
pub(crate) use parse::{ConfigError, closest, duration, duration_text, parse, parse_all};
pub(crate) use rules::Rules;

/// Name of the file, at the root of a worktree.
pub(crate) const FILE_NAME: &str = "offshoot.toml";

/// What all that seeds have made may have on the disk, unless the file says otherwise.
const SEED_CACHE_BYTES: u64 = 2_000_000_000;

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

/// What happens after a git branch was merged into the one that is checked out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnMerge {
    /// Its migrations and the deletion of its database branch are offered.
    #[default]
    Ask,
    /// The editor applies the migrations.
    Apply,
    /// Nothing.
    Nothing,
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
    /// See [`OnMerge`]. The main worktree's file counts.
    pub(crate) on_merge: OnMerge,
    /// Whether it is told what a checkout leaves behind. The main worktree's file counts.
    pub(crate) tells_leaving: bool,
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
    /// Which rows of a server are taken.
    pub(crate) subset: Subset,
    /// SQL files that belong behind the data of a fresh root branch, from the top of the work tree.
    pub(crate) seed_files: Vec<String>,
    /// The command that runs behind them, if somebody agrees to it.
    pub(crate) seed_command: Option<String>,
    /// The files and folders on which the command depends, and files that read others; absent if nobody says.
    pub(crate) seed_inputs: Option<Vec<String>>,
    /// What all that seeds have made may have on the disk; absent if none of it is kept.
    pub(crate) seed_cache: Option<u64>,
    /// Where programs of the work tree find the address.
    pub(crate) connection: Option<Connection>,
    /// Commands around branches. The main worktree's file counts.
    pub(crate) hooks: Hooks,
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
            on_merge: OnMerge::default(),
            tells_leaving: true,
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
            subset: Subset::default(),
            seed_files: Vec::new(),
            seed_command: None,
            seed_inputs: None,
            seed_cache: Some(SEED_CACHE_BYTES),
            connection: None,
            hooks: Hooks::default(),
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

# What happens after a git branch was merged into the one that is checked out; the file of the main work tree counts:
#   "ask"      its migrations and the deletion of its database branch are offered
#   "apply"    the editor tries its migrations on a throwaway and applies them
#   "nothing"  nothing
# on_merge = "ask"

# Whether a checkout tells what it leaves behind: migrations that the other branch lacks, changes in no migration, open transactions:
#   "tell"     `offshoot status` and the editor say so, once
#   "nothing"  nothing is said
# on_leave = "tell"

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
#   "null", "hash", "fake-name", "fake-email", "fake-phone", "shuffle", a fixed text, an expression in SQL, or "keep" for
#   what is not personal.
# `offshoot masking check` lists columns that look personal and have no rule.
# [masking.columns]
# "public.users.email" = "fake-email"

# Which rows `offshoot init` and `offshoot refresh` take of a server, with all rows that these refer to. Options of the command line
# stand in its place.
# [subset]
# Tables that are taken with all rows; `*` is any part of a name.
# tables = ["public.plans"]
# Tables that are left empty.
# exclude_table_data = ["public.audit_*"]
# Tables of which those rows are taken that meet a condition, in the source's SQL.
# [subset.where]
# "public.orders" = "created_at > now() - interval '30 days'"

# SQL files that `offshoot init` and `offshoot refresh` run on the fresh database, in order.
# [seed]
# files = ["db/seed.sql"]
# A command that runs behind them, with DATABASE_URL set, after it was agreed to.
# command = "npm run seed"
# The files and folders on which the command depends: what it makes is kept, and it runs anew when one of them changes.
# inputs = ["package-lock.json", "db/fixtures"]
# What all that seeds have made may have on the disk, for all projects; "off" keeps none, and runs the seed each time.
# cache = "2GB"

# The address of this work tree's database, in a file for programs that read one.
# [connection]
# The file, such as ".env", which git has to ignore. It gets the password; only the lines of the variables are touched.
# env_file = ".env"
# The name of the variable.
# variable = "DATABASE_URL"
# The variables, and the form of the URL, that a framework reads:
#   "rails"       DATABASE_URL, postgres://…
#   "django"      DATABASE_URL, postgres://…
#   "prisma"      DATABASE_URL, postgresql://…?schema=public
#   "sqlalchemy"  DATABASE_URL, postgresql://…
#   "laravel"     DB_CONNECTION, DB_HOST, DB_PORT, DB_DATABASE, DB_USERNAME and DB_PASSWORD
#   "spring"      SPRING_DATASOURCE_URL, with jdbc:postgresql://…, SPRING_DATASOURCE_USERNAME and SPRING_DATASOURCE_PASSWORD
#   "libpq"       PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE
# preset = "prisma"
# Which address it is:
#   "worktree"  the one that stays the same and leads to whatever is checked out
#   "branch"    the one of the branch that is checked out: it changes with each checkout
# address = "worktree"

# Rules about branches by their names. The first that fits decides, alone; the file of the main work tree counts.
# [[branches]]
# `*` is any part of a name between slashes, `**` any number of parts, `{a,b}` a or b.
# pattern = "main"
# No reset, deletion, restore or renaming without `--override`.
# protected = true
# What has to hold of the data of a new one:
#   "required"  they came in by all rules of `[masking.columns]` that there are now
#   "any"       they came in however they did
# masking = "required"
# The roles whose own sessions may write; [] for none. All others read. Without it, all may write.
# writers = []
# Whether `--override` goes past `protected` and `writers`.
# override = true
# [[branches]]
# pattern = "feature/**"
# The branch that a new one is made from.
# parent = "main"
# How long after it is made it goes to the trash by itself.
# ttl = "14d"
# From 90 % of this on, of its own bytes, it is told.
# max_bytes = "2GB"
# Extensions that a new one has before anybody connects to it.
# extensions = ["pg_trgm"]
# Roles that it has, none of which logs in.
# roles = ["reader"]
# What roles may do with what there is in a schema, and with what is made there later.
# grants = ["select, insert on tables in public to reader"]

# Branches that migrations are promoted to by `offshoot promote`, from the first to the last; the file of the main work tree counts.
# [[tiers]]
# The git branch and the database branch that are the tier.
# branch = "staging"
# What has to hold on a throwaway of the tier before migrations come to it:
#   "applies"     they run, all of them, and what the tier has applied is unchanged; always looked at
#   "idempotent"  a second run of the tool changes nothing
#   "reversible"  they can be taken back, and the schema is what it was
#   "no-drift"    the tier has the schema that its migrations make
#   "lint"        the rules for statements find nothing that others would wait for long for
#   "command"     the command of `[migrations] check_command` succeeds on it
# checks = ["applies", "reversible"]
# How long a table that is there may be closed to writers.
# max_lock = "2s"
# How many bytes of tables and indexes may be written anew.
# max_rewrite = "100MB"
# Whether `offshoot promote --override` goes past a check that failed.
# override = true

# Commands around branches, with DATABASE_URL set; the file of the main work tree counts. None runs before `offshoot policy trust`.
# [hooks]
# After a branch was made.
# after_create = "npm run db:seed"
# Before a branch goes to the trash. If it fails, the branch stays.
# before_delete = "./scripts/export.sh"
# How long each may take.
# timeout = "1m"
# What becomes of a new branch whose command failed:
#   "keep"  it stays, and it is told
#   "undo"  it goes to the trash
# on_failure = "keep"

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
