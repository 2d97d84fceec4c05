//! What can be compared: branches, servers, files and git commits.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use offshoot_protocol::error::Reason;
use offshoot_protocol::measure::LoadFile;
use offshoot_protocol::method::{
    BranchGetList, PastGetSchema, SchemaGetFork, SchemaGetGiven, SnapshotGetList, SnapshotGetSchema,
    WorktreeGetStatus,
};
use offshoot_protocol::past::{Moment, MomentParams};
use offshoot_protocol::policy::Given;
use offshoot_protocol::snapshot::{SnapshotListParams, SnapshotParams};
use offshoot_protocol::types::{Branch, BranchParams, Nothing, UrlResult, WorktreeParams};

use super::call::{self, Folder};
use super::gitref::{self, Found, GitRef};
use super::script;
use crate::cli::commit::full_id;
use crate::cli::connect::Session;
use crate::cli::output::Output;
use crate::cli::url::address;
use crate::cli::{moment, restore};
use crate::config::ConfigFile;
use crate::failure::{Failure, Result};
use crate::paths::Paths;
use crate::project::{self, Project};
use crate::renames::{self, Line};
use crate::{names, timestamp};

/// How the names of files of facts end.
pub(super) const EXTENSION: &str = "facts";

/// What stands for a branch's fork point, behind its name.
const FORK: &str = "@fork";

/// From which likeness on, of at most 1, a name is offered in place of another.
const MIN_LIKENESS: f32 = 0.7;

/// One side of a comparison.
#[derive(Debug)]
pub(super) enum Side {
    /// A database branch and where it listens.
    Branch(UrlResult),
    /// A database branch as it was when it was made, and the file with its facts.
    Fork(String, PathBuf),
    /// A snapshot, as `branch@name`, and the file with its facts.
    Snapshot(String, PathBuf),
    /// A branch as it was at a moment: what that is called, and the file with its facts.
    Then(String, PathBuf),
    /// A connection URL.
    Url(String),
    /// A file that `offshoot schema export` wrote.
    File(PathBuf),
    /// SQL files.
    Scripts(Scripts),
    /// A file of facts of a git commit: its name and its content.
    Commit(String, Vec<u8>),
}

/// SQL files of a path or of a git commit.
#[derive(Debug)]
pub(super) struct Scripts {
    /// Their common name.
    name: String,
    /// The word for programs.
    kind: &'static str,
    /// In the order in which they run.
    pub(super) files: Vec<LoadFile>,
    /// Keeps the folder that they lie in if that is temporary.
    _folder: Option<Folder>,
}

impl Side {
    /// The name for people, without a password.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Branch(address) => address.branch.clone(),
            Self::Fork(branch, _) => format!("{branch}{FORK}"),
            Self::Url(url) => shown(url),
            Self::File(path) => path.display().to_string(),
            Self::Scripts(scripts) => scripts.name.clone(),
            Self::Snapshot(name, _) | Self::Then(name, _) | Self::Commit(name, _) => name.clone(),
        }
    }

    /// The word for programs.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Branch(_) => "branch",
            Self::Fork(..) => "fork",
            Self::Snapshot(..) => "snapshot",
            Self::Then(..) => "moment",
            Self::Url(_) => "url",
            Self::File(_) => "file",
            Self::Scripts(scripts) => scripts.kind,
            Self::Commit(..) => "git",
        }
    }
}

/// Finds sides. The engine is asked only for branches, so that files can be compared anywhere.
pub(super) struct Sides {
    output: Output,
    engine: Option<Session>,
}

impl Sides {
    pub(super) fn new(output: Output) -> Self {
        Self { output, engine: None }
    }

    /// Both sides, with the worktree's branch and its parent for what is not given.
    pub(super) fn pair(&mut self, from: Option<&str>, to: Option<&str>) -> Result<(Side, Side)> {
        if let (Some(from), Some(to)) = (from, to) {
            return Ok((self.find(from)?, self.find(to)?));
        }
        let branch = self.current()?;
        let from = match (from, &branch.parent) {
            (Some(from), _) => self.find(from)?,
            (None, Some(parent)) => self.branch(parent)?,
            (None, None) => {
                let failure = Failure::user(format!("database branch {} has no parent", branch.name));
                return Err(failure.hint("Name what to compare it with: `offshoot diff A`."));
            }
        };
        Ok((from, self.branch(&branch.name)?))
    }

    /// The first side alone.
    pub(super) fn first(&mut self, from: Option<&str>) -> Result<Side> {
        match from {
            Some(from) => self.find(from),
            None => Ok(self.pair(None, None)?.0),
        }
    }

    /// A branch as it was when it was made, and as it is now; the worktree's unless one is named.
    pub(super) fn fork_pair(&mut self, name: Option<&str>) -> Result<(Side, Side)> {
        let branch = self.named_or_current(name)?;
        Ok((self.fork(&branch.name)?, self.branch(&branch.name)?))
    }

    /// As [`Sides::fork_pair`], and its parent as it is now.
    pub(super) fn three(&mut self, name: Option<&str>) -> Result<(Side, Side, Side)> {
        let branch = self.named_or_current(name)?;
        let Some(parent) = &branch.parent else {
            return Err(Failure::user(format!("database branch {} has no parent", branch.name))
                .hint("Name another branch: `offshoot diff --three-way BRANCH`."));
        };
        let (fork, mine) = (self.fork(&branch.name)?, self.branch(&branch.name)?);
        Ok((fork, mine, self.branch(parent)?))
    }

    /// What the second side was when it left the first, if that is its parent and it is known.
    pub(super) fn fork_of_child(&mut self, from: &Side, to: &Side) -> Result<Option<Side>> {
        let (Side::Branch(from), Side::Branch(to)) = (from, to) else { return Ok(None) };
        let branches = self.branches()?;
        let is_child = |it: &&Branch| it.name == to.branch && it.parent.as_ref() == Some(&from.branch);
        if !branches.iter().any(|branch| is_child(&branch)) {
            return Ok(None);
        }
        match self.fork(&to.branch) {
            Ok(fork) => Ok(Some(fork)),
            Err(failure) if failure.is(Reason::Cancelled) => Err(failure),
            Err(_) => Ok(None),
        }
    }

    fn branches(&mut self) -> Result<Vec<Branch>> {
        Ok(self.engine()?.call::<BranchGetList>(&Nothing {})?.branches)
    }

    fn named_or_current(&mut self, name: Option<&str>) -> Result<Branch> {
        match name {
            Some(name) => self.named(name, "the name of a branch is wanted here"),
            None => self.current(),
        }
    }

    /// The branch of that name. `wanted` says what a name of something else should have been.
    pub(super) fn named(&mut self, name: &str, wanted: &str) -> Result<Branch> {
        let branches = self.branches()?;
        if let Some(branch) = branches.iter().find(|branch| branch.name == name) {
            return Ok(branch.clone());
        }
        let known = |name: &str| branches.iter().any(|branch| branch.name == name);
        let hint = match name.rsplit_once('@') {
            Some((branch, _)) if known(branch) => format!("Write `{branch}`."),
            _ => did_you_mean(name, &branches)
                .unwrap_or_else(|| "`offshoot branch list` shows the branches.".to_owned()),
        };
        let is_other = name.contains([':', '@']) || Path::new(name).exists();
        let text = if is_other { format!("; {wanted}") } else { String::new() };
        Err(Failure::user(format!("there is no database branch `{name}`{text}")).hint(hint))
    }

    /// The side that a person named, or the worktree's branch.
    pub(super) fn find_or_current(&mut self, name: Option<&str>) -> Result<Side> {
        if let Some(name) = name {
            return self.find(name);
        }
        let branch = self.current()?;
        self.branch(&branch.name)
    }

    /// A plain name is first a branch, then a file or folder, then a git commit; `git:`, `./` and a colon say which is meant.
    fn find(&mut self, name: &str) -> Result<Side> {
        let path = Path::new(name);
        if is_url(name) {
            return Ok(Side::Url(name.to_owned()));
        }
        if name.starts_with(gitref::PREFIX) {
            return commit(&GitRef::parse(name));
        }
        if let Some((branch, at)) = self.moment(name)? {
            let params = MomentParams { branch, at };
            let quiet = self.output.json;
            let file = call::long::<PastGetSchema>(self.engine()?, &params, quiet)?;
            return Ok(Side::Then(name_of(&params), file.path.into()));
        }
        // No branch has such names, but for the first.
        if path.extension().is_some_and(|extension| extension == EXTENSION) && !name.contains(':') {
            return Ok(Side::File(path.to_owned()));
        }
        let is_path =
            ["./", "../", "/", "~/"].iter().any(|start| name.starts_with(start)) || name.ends_with('/');
        if (is_path && path.exists()) || (script::is_script(name) && path.is_file()) {
            return scripts(path);
        }
        if name.contains(':') {
            return commit(&GitRef::parse(name));
        }
        let (why, near) = match self.database_branch(name)? {
            Ok(side) => return Ok(side),
            Err(why) => why,
        };
        if path.exists() {
            return scripts(path);
        }
        let reference = GitRef::parse(name);
        if reference.exists() {
            return commit(&reference);
        }
        let near = near.unwrap_or_else(|| {
            "`offshoot branch list` shows the branches; `offshoot diff --help` what else can be compared."
                .to_owned()
        });
        let hint = format!("{why}, no file or folder of that name, and no commit.\n{near}");
        Err(Failure::user(format!("{name} is nothing that can be compared")).hint(hint))
    }

    /// What `B@"1 hour ago"` means, or `@"1 hour ago"` for the worktree's branch; `None` if it is nothing of that kind. A snapshot of
    /// that name comes first.
    pub(super) fn moment(&mut self, name: &str) -> Result<Option<(String, Moment)>> {
        let Some((branch, text)) = name.rsplit_once('@') else { return Ok(None) };
        let when = moment::parse(text, SystemTime::now());
        // Then it can be a snapshot's name only, or nothing.
        if when.is_err() && (names::check(text).is_ok() || full_id(text).is_some()) {
            return Ok(None);
        }
        let here = std::env::current_dir().map_err(|e| Failure::io("find the current folder", &e))?;
        if Project::find(&here, &Paths::from_env()?).is_err() {
            return Ok(None);
        }
        if !branch.is_empty() && !self.branches()?.iter().any(|it| it.name == branch) {
            return Ok(None);
        }
        let when = when?;
        let branch = if branch.is_empty() { self.current()?.name } else { branch.to_owned() };
        let of = SnapshotListParams { branch: Some(branch.clone()), all: false };
        let taken = self.engine()?.call::<SnapshotGetList>(&of)?.snapshots;
        let at = if taken.iter().any(|snapshot| snapshot.name == text) {
            Moment::Snapshot(text.to_owned())
        } else {
            restore::on_the_wire(when)
        };
        Ok(Some((branch, at)))
    }

    /// As [`Sides::moment`]; snapshots as well.
    pub(super) fn past(&mut self, name: &str) -> Result<Option<(String, Moment)>> {
        if let Some(found) = self.moment(name)? {
            return Ok(Some(found));
        }
        let Some((branch, snapshot)) = name.rsplit_once('@') else { return Ok(None) };
        let branch = if branch.is_empty() { self.current()?.name } else { branch.to_owned() };
        let is_branch = |name: &str, all: &[Branch]| all.iter().any(|it| it.name == name);
        let branches = self.branches()?;
        let is_it = is_branch(&branch, &branches) && !is_branch(name, &branches) && snapshot != &FORK[1..];
        if !is_it {
            return Ok(None);
        }
        let snapshot = self.snapshot(&branch, snapshot)?;
        Ok(Some((branch, Moment::Snapshot(snapshot))))
    }

    /// The name of the snapshot of `branch` that is meant: by its name, or by the git commit at which it was taken.
    fn snapshot(&mut self, branch: &str, meant: &str) -> Result<String> {
        let of = SnapshotListParams { branch: Some(branch.to_owned()), all: false };
        let taken = self.engine()?.call::<SnapshotGetList>(&of)?.snapshots;
        if taken.iter().any(|snapshot| snapshot.name == meant) {
            return Ok(meant.to_owned());
        }
        let commit = full_id(meant);
        let at = taken.into_iter().find(|snapshot| commit.is_some() && snapshot.commit == commit);
        Ok(at.map_or_else(|| meant.to_owned(), |snapshot| snapshot.name))
    }

    /// The branch, its fork point or a snapshot of it; or why there is none, and which was perhaps meant.
    fn database_branch(&mut self, name: &str) -> Result<std::result::Result<Side, (String, Option<String>)>> {
        let here = std::env::current_dir().map_err(|e| Failure::io("find the current folder", &e))?;
        if let Err(failure) = Project::find(&here, &Paths::from_env()?) {
            return Ok(Err((format!("There are no database branches here ({failure})"), None)));
        }
        let names = self.branches()?;
        let is_branch = |name: &str| names.iter().any(|branch| branch.name == name);
        if is_branch(name) {
            return self.branch(name).map(Ok);
        }
        if let Some(branch) = name.strip_suffix(FORK)
            && is_branch(branch)
        {
            return self.fork(branch).map(Ok);
        }
        if let Some((branch, snapshot)) = name.rsplit_once('@')
            && (is_branch(branch) || branch.is_empty())
        {
            let here = if branch.is_empty() { self.current()?.name } else { branch.to_owned() };
            if snapshot == &FORK[1..] {
                return self.fork(&here).map(Ok);
            }
            let snapshot = self.snapshot(&here, snapshot)?;
            let params = SnapshotParams { branch: here, name: snapshot.clone() };
            let quiet = self.output.json;
            let file = call::long::<SnapshotGetSchema>(self.engine()?, &params, quiet)?;
            return Ok(Ok(Side::Snapshot(format!("{}@{snapshot}", params.branch), file.path.into())));
        }
        Ok(Err((format!("There is no database branch {name}"), did_you_mean(name, &names))))
    }

    fn fork(&mut self, branch: &str) -> Result<Side> {
        if self.branches()?.iter().any(|it| it.name == branch && it.parent.is_none()) {
            return Err(Failure::user(format!("{branch} has no fork point, as it has no parent"))
                .hint("Only a branch that was made from another one has a fork point."));
        }
        let quiet = self.output.json;
        let params = BranchParams { name: branch.to_owned() };
        let file = call::long::<SchemaGetFork>(self.engine()?, &params, quiet)?;
        Ok(Side::Fork(branch.to_owned(), file.path.into()))
    }

    /// What rules gave the branch of a side.
    pub(super) fn given(&mut self, side: &Side) -> Result<Given> {
        let name = match side {
            Side::Branch(address) => &address.branch,
            Side::Snapshot(name, _) | Side::Then(name, _) => {
                name.split_once('@').map_or("", |(branch, _)| branch)
            }
            // A branch is given it after its fork point.
            Side::Fork(..) | Side::Url(_) | Side::File(_) | Side::Scripts(_) | Side::Commit(..) => {
                return Ok(Given::default());
            }
        };
        let name = name.to_owned();
        if !self.branches()?.iter().any(|branch| branch.name == name) {
            return Ok(Given::default());
        }
        self.engine()?.call::<SchemaGetGiven>(&BranchParams { name })
    }

    fn branch(&mut self, name: &str) -> Result<Side> {
        Ok(Side::Branch(address(self.engine()?, Some(name))?))
    }

    /// The worktree's branch.
    pub(super) fn current(&mut self) -> Result<Branch> {
        let engine = self.engine()?;
        let path = engine.path();
        let status = engine.call::<WorktreeGetStatus>(&WorktreeParams { path })?;
        status.branch.ok_or_else(|| {
            Failure::user("this worktree has no database branch")
                .hint("`offshoot status` tells why; or name both sides: `offshoot diff A B`.")
        })
    }

    /// Whether one of them is the worktree's branch as it is now.
    pub(super) fn has_current(&mut self, from: &Side, to: &Side) -> bool {
        let name = |side: &Side| match side {
            Side::Branch(address) => Some(address.branch.clone()),
            _ => None,
        };
        let names = [name(from), name(to)];
        names.iter().any(Option::is_some)
            && self.current().is_ok_and(|branch| names.contains(&Some(branch.name)))
    }

    /// The lines of the work tree that confirm renames.
    pub(super) fn rename_lines(&mut self) -> Result<Vec<Line>> {
        renames::of_worktree(Path::new(&self.engine()?.path()))
    }

    fn engine(&mut self) -> Result<&mut Session> {
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => Session::open(self.output)?,
        };
        Ok(self.engine.insert(engine))
    }
}

/// What a state of the past is called.
pub(super) fn name_of(params: &MomentParams) -> String {
    match &params.at {
        Moment::TimeUs(us) => format!("{}@{}", params.branch, timestamp::local(*us)),
        Moment::Lsn(at) | Moment::Snapshot(at) => format!("{}@{at}", params.branch),
    }
}

/// Names the branch that was perhaps meant.
fn did_you_mean(name: &str, branches: &[Branch]) -> Option<String> {
    let names: Vec<&str> = branches.iter().map(|branch| branch.name.as_str()).collect();
    let (name, end) = name.rsplit_once('@').map_or((name, ""), |(branch, _)| (branch, &name[branch.len()..]));
    let near = similar::get_close_matches(name, &names, 1, MIN_LIKENESS);
    near.first().map(|near| format!("Did you mean `{near}{end}`?"))
}

fn scripts(path: &Path) -> Result<Side> {
    let name = path.display();
    if path.is_file() && !script::is_script(&name.to_string()) {
        return Err(Failure::user(format!("{name} is neither a file of facts nor an SQL file")).hint(
            "Their names end in .facts and in .sql. `offshoot schema export -o NAME.facts` writes one of facts.",
        ));
    }
    let files = script::of_path(path)?;
    Ok(Side::Scripts(Scripts { name: name.to_string(), kind: "sql", files, _folder: None }))
}

fn commit(reference: &GitRef) -> Result<Side> {
    let default = schema_file();
    let name = reference.name(default.as_deref());
    Ok(match reference.read(default.as_deref())? {
        Found::Facts(content) => Side::Commit(name, content),
        Found::Scripts(files, folder) => {
            Side::Scripts(Scripts { name, kind: "git", files, _folder: Some(folder) })
        }
    })
}

/// The file of the schema that offshoot.toml names.
fn schema_file() -> Option<String> {
    let here = std::env::current_dir().ok()?;
    let worktree = project::worktree(&here).ok()?;
    ConfigFile::open(&worktree.path).config().schema_file.clone()
}

fn is_url(name: &str) -> bool {
    ["postgres://", "postgresql://"].iter().any(|scheme| name.starts_with(scheme))
}

/// A URL without password and parameters.
///
/// Rather too little is shown than a password whose author forgot to encode an `@`, a slash or a question mark in it.
pub(super) fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (place, parameters) = rest.split_at(end);
    match place.rsplit_once('@') {
        // Is it a password with a question mark, or a parameter with an `@`?
        None if parameters.contains('@') => format!("{scheme}://…"),
        _ if parameters.contains('@') && parameters.contains('/') => format!("{scheme}://…"),
        None => format!("{scheme}://{place}"),
        Some((user, place)) => {
            let user = user.split([':', '/']).next().unwrap_or_default();
            format!("{scheme}://{user}@{place}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn no_part_of_a_password_is_ever_shown() {
        for (url, expected) in [
            ("postgres://u:secret@h:5432/d", "postgres://u@h:5432/d"),
            ("postgres://u:se/cret@h/d", "postgres://u@h/d"),
            ("postgres://u:se@cret@h/d", "postgres://u@h/d"),
            ("postgres://u:secret@h/d?sslmode=require", "postgres://u@h/d"),
            ("postgres://u:se?cret@h/d", "postgres://…"),
            ("postgres://u:se#cret@h/d", "postgres://…"),
            ("postgres://u:se@cr?et@h/d", "postgres://…"),
            ("postgres://h/d?password=se@cret", "postgres://…"),
            ("postgresql://h/d?user=u&password=secret", "postgresql://h/d"),
            ("postgres://h", "postgres://h"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }
}
