//! What can be typed.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgGroup, Args as Group, Parser, Subcommand, ValueEnum};
use offshoot_storage::DriverKind;

mod branch;
mod bundle;
mod data;
mod env;
mod follow;
mod hooks;
mod masking;
mod migrations;
mod policy;
mod promote;
mod seed;
mod snapshot;
pub(super) use branch::BranchCommand;
pub(super) use bundle::BundleCommand;
pub(super) use data::{DumpArgs, DumpFormat, PushArgs, RefreshArgs, SubsetArgs};
pub(super) use env::EnvCommand;
pub(super) use follow::{FollowCommand, FollowingArgs};
pub(super) use hooks::HooksCommand;
pub(super) use masking::MaskingCommand;
pub(super) use migrations::{ApplyArgs, CheckArgs, MigrationsCommand, NewArgs, RehearseArgs, StatusArgs};
pub(super) use policy::{Against, PolicyCommand};
pub(super) use promote::PromoteArgs;
pub(super) use seed::SeedCommand;
pub(super) use snapshot::SnapshotCommand;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

const TOP_EXAMPLES: &str = "\
EXAMPLES:
    offshoot init --from postgres://localhost/shop    a copy of a database to branch from
    git checkout -b feature                           the database is branched too
    offshoot exec psql                                the same address on every branch
    offshoot branch reset feature                     back to the data of its parent";

/// A database branch for every git branch.
#[derive(Debug, Parser)]
#[command(name = "offshoot", version, styles = STYLES, after_help = TOP_EXAMPLES, max_term_width = 100)]
pub(super) struct Args {
    /// Run as if started in DIR.
    #[arg(short = 'C', value_name = "DIR", global = false)]
    pub(super) directory: Vec<PathBuf>,
    /// Print JSON, errors too.
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Give this repository a database.
    #[command(after_help = "\
EXAMPLES:
    offshoot init --empty
    offshoot init --from postgres://me:secret@db.example.com/shop
    offshoot init --from postgres://backup:secret@db.example.com/shop --physical
    offshoot init --from postgres://backup:secret@db.example.com/shop --physical --follow
    offshoot init --from dump.sql.gz --postgres 17
    offshoot init --from \"$URL\" --table 'public.plan*' --where \"public.orders=created_at > now() - interval '30 days'\"
    offshoot init --from backup.dump --root-branch main")]
    Init(InitArgs),
    /// Show where this worktree's database is.
    #[command(after_help = "\
EXAMPLES:
    offshoot status
    offshoot status --json")]
    Status {
        /// Show the password in the URL.
        #[arg(long)]
        show_password: bool,
        /// Never mind what is offered here after a checkout, merge, rebase or revert, and which commands of `[hooks]` failed.
        #[arg(long)]
        dismiss: bool,
    },
    /// Print the URL of this worktree's database. It stays the same whatever is checked out.
    #[command(after_help = "\
EXAMPLES:
    url=$(offshoot url) && psql \"$url\"     or `offshoot exec psql`; with an empty URL psql goes elsewhere
    offshoot url --branch main      an address that always leads to `main`
    offshoot url --new-port         after another program took the port")]
    Url {
        /// A URL that always leads to branch B.
        #[arg(long, value_name = "B", conflicts_with = "new_port")]
        branch: Option<String>,
        /// Give up the present port and take another.
        #[arg(long)]
        new_port: bool,
    },
    /// List, make and change database branches.
    #[command(after_help = "\
EXAMPLES:
    offshoot branch list
    offshoot branch create experiment --from main
    offshoot branch reset feature")]
    Branch {
        #[command(subcommand)]
        command: BranchCommand,
    },
    /// Keep a branch as it is now, to compare with and to branch from.
    #[command(after_help = "\
EXAMPLES:
    offshoot snapshot create before-split
    offshoot diff @before-split
    offshoot snapshot list")]
    Snapshot {
        #[command(subcommand)]
        command: SnapshotCommand,
    },
    /// Answer the question of a checkout, or what `offshoot status` offers.
    #[command(after_help = "\
EXAMPLES:
    offshoot answer create      make a database branch for the git branch
    offshoot answer parent      use the parent's database, and do not ask for this git branch again
    offshoot answer never       make none by itself in this repository, and do not ask
    offshoot answer ask         forget these answers
    offshoot answer dismiss     never mind what `offshoot status` offers
    offshoot answer snapshot    keep the branch that was left as it is")]
    Answer {
        /// What to do.
        answer: Word,
    },
    /// Take a branch back in its place to what it was at a moment. `offshoot undo` undoes it.
    ///
    /// Its connections end; its addresses, its parent, its children and its snapshots stay. What it had is kept in the trash, as
    /// `BRANCH~before-restore-TIME`. To look at a moment beside the present: `offshoot branch create NAME --at WHEN`.
    #[command(after_help = "\
EXAMPLES:
    offshoot restore --at \"10 minutes ago\"           this worktree's branch
    offshoot restore feature --at 2026-11-20T14:03:07Z
    offshoot restore feature --at @before-split       a snapshot
    offshoot undo feature                             swaps back")]
    Restore {
        /// The branch; the one of this worktree otherwise.
        branch: Option<String>,
        /// The moment that it goes back to.
        ///
        /// A time (`2026-11-20T14:03:07Z`, `2026-11-20 14:03`, `yesterday 14:00`, `10 minutes ago`): all that was committed by then,
        /// to the microsecond. A position in the WAL (`0/16B3748`): all whose commit begins before it. `@NAME`: a snapshot; `@fork`:
        /// what it was when it was made. A git commit that has a snapshot. Times without a zone are of this machine's.
        #[arg(long, value_name = "WHEN")]
        at: String,
        #[command(flatten)]
        against: Against,
    },
    /// Show what happened to a branch, and when; the newest first.
    ///
    /// Below the entries of a branch stand those of the branch that it was made of, up to then, and so on.
    #[command(after_help = "\
EXAMPLES:
    offshoot log                    this worktree's branch
    offshoot log feature -n 5
    offshoot log --all              all branches, also those that are gone
    offshoot log --json | jq -r '.entries[] | select(.kind == \"migrated\").commit'")]
    Log(LogArgs),
    /// Bring back the branch that was deleted, reset or restored last.
    #[command(after_help = "\
EXAMPLES:
    offshoot branch delete feature && offshoot undo
    offshoot undo feature       whatever was deleted, reset or restored since; again: swaps the two states")]
    Undo {
        /// The branch to bring back; the one that was deleted or reset last if it is not named.
        name: Option<String>,
        #[command(flatten)]
        against: Against,
    },
    /// Explain and check the rules of `offshoot.toml`, and apply changed ones.
    #[command(after_help = "\
EXAMPLES:
    offshoot policy check                   mistakes and contradictions, for CI
    offshoot policy explain feature/login   which line decides what about this branch
    offshoot policy plan                    what changed rules would change")]
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Bring the migrations of a git branch to the next tier, once what that wants holds
    ///
    /// `[[tiers]]` of offshoot.toml names the tiers and what each wants. All of it is tried on throwaways of the tier's branch first. Then
    /// the project's own tool runs on it, after a snapshot. If that fails, the branch is again what it was.
    #[command(after_help = "\
EXAMPLES:
    offshoot promote                        what is checked out, to the next tier
    offshoot promote feature/login --dry-run
    offshoot promote staging --to main
    offshoot promote --json | jq '.checks[] | select(.outcome != \"passed\")'")]
    Promote(PromoteArgs),
    /// Run SQL, from the command line, a file or a prompt.
    #[command(after_help = "\
EXAMPLES:
    offshoot sql                                    a prompt
    offshoot sql -c 'select count(*) from item'
    offshoot sql --branch main -f migration.sql
    pg_dump other | offshoot sql -f -
    offshoot sql --json -c 'select * from item' | jq .results")]
    Sql(SqlArgs),
    /// Show what the schema of branch B has that the one of A has not.
    #[command(after_help = "\
EXAMPLES:
    offshoot diff                           this worktree's branch against its parent
    offshoot diff main feature --stat       one line an object
    offshoot diff --sql > migration.sql     what makes the parent's schema into this one
    offshoot diff --markdown                a comment for a pull request
    offshoot diff before.facts --exit-code && echo nothing changed
    offshoot diff --sql --rename 'column public.item.name -> title'
    offshoot diff postgres://me@db.example.com/shop main --json
    offshoot diff main schema.sql           what a file would change; folders of migrations likewise
    offshoot diff @\"1 hour ago\"             what changed here since; --rows for the rows
    offshoot diff git:main HEAD             the schema files of two commits; offshoot.toml names them
    offshoot diff --three-way               what this branch and its parent each changed since they parted
    offshoot diff --measure main            what the way from main to here costs with main's data
    offshoot diff --measure --script split.sql    what a migration of your own costs, on the parent's data
    offshoot diff --rows                    which rows this branch changed")]
    Diff(DiffArgs),
    /// Write a branch to a file that `pg_restore`, psql and `offshoot init` read.
    #[command(after_help = "\
EXAMPLES:
    offshoot dump > shop.sql
    offshoot dump main --format custom -o shop.dump
    offshoot dump --schema-only -o schema.sql --force")]
    Dump(DumpArgs),
    /// Carry a branch to a colleague as a file with the pages that differ.
    #[command(after_help = "\
EXAMPLES:
    offshoot bundle create main --full -o main.bundle    once: the base
    offshoot bundle create feature -o feature.bundle     what differs from it
    offshoot bundle apply feature.bundle                 on the other machine
    offshoot bundle inspect feature.bundle")]
    Bundle {
        #[command(subcommand)]
        command: BundleCommand,
    },
    /// Write schemas to files.
    #[command(after_help = "\
EXAMPLES:
    offshoot schema export -o schema.facts")]
    Schema {
        #[command(subcommand)]
        command: SchemaCommand,
    },
    /// Show what migrations have done to which branch, apply them, try them out.
    #[command(after_help = "\
EXAMPLES:
    offshoot migrations status
    offshoot migrations apply
    offshoot migrations check --against main")]
    Migrations {
        #[command(subcommand)]
        command: MigrationsCommand,
    },
    /// Bring a branch's schema, never its data, to another server.
    #[command(after_help = "\
EXAMPLES:
    offshoot push --to postgres://me@staging.example.com/shop
    offshoot push feature --to \"$STAGING_URL\" --dry-run
    offshoot push --to \"$STAGING_URL\" --online --lock-timeout 2s --yes")]
    Push(PushArgs),
    /// Give the root branch new data. Other branches keep theirs until they are reset.
    #[command(after_help = "\
EXAMPLES:
    offshoot refresh --from postgres://me:secret@db.example.com/shop
    offshoot refresh --from postgres://backup:secret@db.example.com/shop --physical
    offshoot refresh --from dump.sql.gz
    offshoot refresh --from \"$URL\" --exclude-table-data 'public.audit_*'
    offshoot refresh --empty --run-seed     nothing but what [seed] names; its command is not asked about
    offshoot refresh                the changes of the source that is followed, now
    offshoot undo main              back to the data from before")]
    Refresh(RefreshArgs),
    /// Follow a running server: the root branch has what it has, minutes later.
    #[command(after_help = "\
EXAMPLES:
    offshoot follow start --from postgres://backup:secret@db.example.com/shop
    offshoot follow status
    offshoot follow resume      with another password or address, without copying anew
    offshoot follow stop")]
    Follow {
        #[command(subcommand)]
        command: FollowCommand,
    },
    /// Look after the rules by which personal data are replaced while they are imported.
    #[command(after_help = "\
EXAMPLES:
    offshoot masking check      columns that look personal and have no rule; exits with 1 if there are any")]
    Masking {
        #[command(subcommand)]
        command: MaskingCommand,
    },
    /// Look at what seeds have made and is kept, so that the same seed does not run again.
    #[command(after_help = "\
EXAMPLES:
    offshoot seed list
    offshoot seed clear     the next `init --empty` or `refresh --empty` runs its seed again")]
    Seed {
        #[command(subcommand)]
        command: SeedCommand,
    },
    /// Run a program with DATABASE_URL and the PG* variables set.
    ///
    /// Programs of the project itself, in `node_modules/.bin`, `.venv/bin`, `venv/bin` and `vendor/bin`, are found behind those on
    /// PATH.
    #[command(after_help = "\
EXAMPLES:
    offshoot exec -- flyway migrate
    offshoot exec --branch main -- pg_dump --schema-only")]
    Exec {
        /// Lead to branch B instead of the one of this worktree.
        #[arg(long, value_name = "B")]
        branch: Option<String>,
        #[command(flatten)]
        against: Against,
        /// The program and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Look after the file, such as `.env`, in which programs find the address.
    ///
    /// `[connection]` in `offshoot.toml` names it. Nothing else in it is touched.
    #[command(after_help = "\
EXAMPLES:
    offshoot env show       whether the file has the address
    offshoot env write      write it now
    offshoot env undo       put the line back as it was")]
    Env {
        #[command(subcommand)]
        command: EnvCommand,
    },
    /// Let git tell Offshoot at once, where files are watched badly. Not needed otherwise.
    #[command(after_help = "\
EXAMPLES:
    offshoot hooks install
    offshoot hooks status
    offshoot hooks uninstall")]
    Hooks {
        #[command(subcommand)]
        command: HooksCommand,
    },
    /// Look at the engine, the process behind the databases.
    #[command(after_help = "\
EXAMPLES:
    offshoot engine status
    offshoot engine logs --follow
    offshoot engine stop")]
    Engine {
        #[command(subcommand)]
        command: EngineCommand,
    },
    /// Show what the databases take on the disk, and what of it deleting would free.
    #[command(after_help = "\
EXAMPLES:
    offshoot du
    offshoot du --json | jq .totalBytes
    offshoot branch purge --all     removes for good what is in the trash")]
    Du,
    /// Check everything that Offshoot needs, and say what to do about the rest.
    #[command(after_help = "\
EXAMPLES:
    offshoot doctor")]
    Doctor,
    /// Run the language server on standard input and output. Editors start it.
    #[command(hide = true)]
    Lsp {
        /// What is logged to standard error: `debug`, or as `tracing` writes it. OFFSHOOT_LOG otherwise, or `info`.
        #[arg(long, value_name = "LEVEL")]
        log: Option<String>,
    },
    /// Run a program until standard input ends. The engine starts migration tools with it, which must not outlive it.
    #[command(hide = true)]
    Leash {
        /// The program and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Print the completions of a shell.
    #[command(after_help = "\
EXAMPLES:
    offshoot completions bash > ~/.local/share/bash-completion/completions/offshoot
    offshoot completions zsh > \"${fpath[1]}/_offshoot\"
    offshoot completions fish > ~/.config/fish/completions/offshoot.fish")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// An answer, as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Word {
    /// Make a database branch for the git branch that is checked out.
    Create,
    /// Use the database of its parent.
    Parent,
    /// Make none by itself in this repository.
    Never,
    /// Forget what was answered, and ask again.
    Ask,
    /// Never mind what `offshoot status` offers.
    Dismiss,
    /// Take a snapshot of the branch that was left behind.
    Snapshot,
}

#[derive(Debug, Group)]
#[group(skip)]
#[command(group(ArgGroup::new("source").required(true).args(["empty", "from"])))]
pub(super) struct InitArgs {
    /// Start with an empty database.
    #[arg(long)]
    pub(super) empty: bool,
    /// Start with the data of a running Postgres (a URL), an SQL script (.sql, .sql.gz) or a pg_dump archive.
    #[arg(long, value_name = "SOURCE")]
    pub(super) from: Option<String>,
    /// Copy the files of the whole server instead of the rows of one database: faster for large ones. Same major, a role with
    /// REPLICATION, no masking.
    #[arg(long, requires = "from")]
    pub(super) physical: bool,
    /// The most that the server is to send a second, such as 20MB, with --physical.
    #[arg(long, value_name = "SIZE", requires = "physical", value_parser = data::max_rate)]
    pub(super) max_rate: Option<u32>,
    #[command(flatten)]
    pub(super) following: FollowingArgs,
    #[command(flatten)]
    pub(super) subset: SubsetArgs,
    /// Run `seed.command` of offshoot.toml without asking.
    #[arg(long)]
    pub(super) run_seed: bool,
    /// Which major of Postgres: 14 to 18; the newest otherwise, or that of the server with --physical.
    #[arg(long, value_name = "MAJOR", value_parser = clap::value_parser!(u32).range(14..=18))]
    pub(super) postgres: Option<u32>,
    /// Folder with the programs of an installed Postgres.
    #[arg(long, value_name = "DIR")]
    pub(super) bin_dir: Option<PathBuf>,
    /// Name of the database; of the source's otherwise, or `app`.
    #[arg(long, value_name = "NAME")]
    pub(super) database: Option<String>,
    /// The git branch that the data belongs to; the one checked out now otherwise.
    #[arg(long, value_name = "NAME")]
    pub(super) root_branch: Option<String>,
    /// How branches are kept apart: by `layers` of pages, or as a `clone` where the file system can clone files.
    #[arg(long, value_name = "DRIVER", value_parser = driver)]
    pub(super) driver: Option<DriverKind>,
}

fn driver(name: &str) -> Result<DriverKind, String> {
    DriverKind::parse(name).ok_or_else(|| "it is `layers` or `clone`".to_owned())
}

#[derive(Debug, Group)]
#[group(skip)]
pub(super) struct LogArgs {
    /// The branch; the one of this worktree otherwise. It may be gone.
    pub(super) branch: Option<String>,
    /// How many entries, at the most 2,000.
    #[arg(short = 'n', value_name = "N", default_value_t = 50)]
    pub(super) number: u32,
    /// Those of all branches.
    #[arg(long, conflicts_with = "branch")]
    pub(super) all: bool,
}

#[derive(Debug, Group)]
#[group(skip)]
pub(super) struct SqlArgs {
    /// Lead to branch B instead of the one of this worktree.
    #[arg(long, value_name = "B")]
    pub(super) branch: Option<String>,
    /// Run SQL and exit; may be given several times.
    #[arg(short, long, value_name = "SQL", conflicts_with = "file")]
    pub(super) command: Vec<String>,
    /// Run a script and exit; `-` reads standard input.
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) against: Against,
}

#[derive(Debug, Group)]
#[group(skip)]
pub(super) struct DiffArgs {
    /// What to compare with: a branch, BRANCH@fork, BRANCH@SNAPSHOT, what it was (BRANCH@"1 hour ago", BRANCH@0/16B3748), a
    /// postgres:// URL, a file of `offshoot schema export`, an SQL file, a folder of them, or a git commit (git:REF, REF:PATH); the parent of this worktree's branch otherwise.
    #[arg(value_name = "A")]
    pub(super) from: Option<String>,
    /// What is compared, likewise; this worktree's branch otherwise.
    #[arg(value_name = "B")]
    pub(super) to: Option<String>,
    /// Print the SQL that makes A's schema into B's.
    #[arg(long, conflicts_with_all = ["json", "markdown", "stat"])]
    pub(super) sql: bool,
    /// Plan so that others go on reading and writing, where Postgres has such a form.
    #[arg(long)]
    pub(super) online: bool,
    /// Take one thing for the same under another name, as in 'table public.old -> new'; may be given several times.
    #[arg(long, value_name = "RENAME", allow_hyphen_values = true, conflicts_with_all = ["rows", "three_way"])]
    pub(super) rename: Vec<String>,
    /// Take for renames what the lines `-- offshoot:rename table public.old -> new` of a file say.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rows", "three_way"])]
    pub(super) renames: Vec<PathBuf>,
    /// Count as a difference, too, what otherwise is none.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', conflicts_with = "rows")]
    pub(super) count: Vec<Counted>,
    /// Print a comment for a pull request, of less than 65,536 characters.
    #[arg(long, conflicts_with_all = ["json", "stat"])]
    pub(super) markdown: bool,
    /// Print one line an object.
    #[arg(long, conflicts_with = "json")]
    pub(super) stat: bool,
    /// Run the plan on a throwaway copy of A, a branch, BRANCH@fork or BRANCH@SNAPSHOT, with all its data, and show what it costs.
    #[arg(long, conflicts_with_all = ["sql", "stat", "rows"])]
    pub(super) measure: bool,
    /// In place of a plan measure the statements of FILE, such as a migration that also fills columns.
    #[arg(long, value_name = "FILE", requires = "measure",
          conflicts_with_all = ["to", "from_fork", "online", "rename", "renames", "count", "exit_code"])]
    pub(super) script: Option<PathBuf>,
    /// Show which rows branch B changed since it was made, or has in another state than branch A; of each table N of each kind.
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "5", require_equals = true,
          conflicts_with_all = ["sql", "stat", "online"])]
    pub(super) rows: Option<u32>,
    /// Show what branch A, by default this worktree's, changed since it was made, whatever its parent did meanwhile.
    #[arg(long, conflicts_with_all = ["to", "rows", "three_way"])]
    pub(super) from_fork: bool,
    /// Show what branch A, by default this worktree's, and its parent changed since A was made, and what of it collides.
    #[arg(long, conflicts_with_all = ["to", "sql", "online", "rows", "measure"])]
    pub(super) three_way: bool,
    /// Exit with 1 if anything differs.
    #[arg(long)]
    pub(super) exit_code: bool,
}

/// What is no difference unless it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Counted {
    /// The order of columns; the plan writes columns anew that stand elsewhere.
    ColumnOrder,
    /// Patch versions of extensions.
    ExtensionPatches,
    /// Versions of collations.
    CollationVersions,
    /// Whether a materialized view is filled.
    Populated,
    /// The order of grants.
    GrantOrder,
    /// Roles and memberships.
    Roles,
    /// The tables that this repository's migration tools keep for themselves.
    MigrationHistory,
    /// What rules of `[[branches]]` gave a branch: extensions, roles and grants.
    Given,
}

#[derive(Debug, Subcommand)]
pub(super) enum SchemaCommand {
    /// Write a schema as text that git merges well and `offshoot diff` compares without a database.
    #[command(after_help = "\
EXAMPLES:
    offshoot schema export -o schema.facts
    offshoot schema export main > main.facts
    offshoot schema export postgres://me@db.example.com/shop -o shop.facts")]
    Export {
        /// Whose schema: a branch or a postgres:// URL; this worktree's branch otherwise.
        #[arg(value_name = "BRANCH|URL")]
        source: Option<String>,
        /// The file, whose name should end in .facts; standard output otherwise.
        #[arg(short = 'o', long = "output", value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum EngineCommand {
    /// Show whether the engine runs, and what it serves.
    #[command(after_help = "\
EXAMPLES:
    offshoot engine status")]
    Status,
    /// Stop the engine: every branch falls asleep. The next command starts it again. Refused while migrations are applied.
    #[command(after_help = "\
EXAMPLES:
    offshoot engine stop
    offshoot engine stop --force     ends a migration tool that runs, too")]
    Stop {
        /// Also while migrations are applied: the tool is ended where it is.
        #[arg(long)]
        force: bool,
    },
    /// Print the engine's log.
    #[command(after_help = "\
EXAMPLES:
    offshoot engine logs -n 50
    offshoot engine logs --follow")]
    Logs {
        /// How many lines.
        #[arg(short = 'n', value_name = "N", default_value_t = 100)]
        lines: usize,
        /// Go on printing as the log grows.
        #[arg(short, long)]
        follow: bool,
    },
    /// Run the engine of a store in the foreground.
    #[command(hide = true)]
    Run {
        #[arg(long)]
        store: PathBuf,
        #[arg(long)]
        common_dir: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_verb_has_help_with_an_example() {
        fn check(command: &clap::Command) {
            if command.is_hide_set() {
                return;
            }
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("EXAMPLES:\n"), "{}", command.get_name());
            assert!(command.get_about().is_some(), "{}", command.get_name());
            command.get_subcommands().for_each(check);
        }
        check(&Args::command());
    }
}
