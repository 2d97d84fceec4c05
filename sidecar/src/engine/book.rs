//! What the engine remembers in the store: ports, bindings, the repository.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use offshoot_git::Worktree;
use offshoot_storage::{BranchId, Store};

use crate::failure::Result;

const COMMON_DIR: &str = "project.commonDir";
const ENDPOINT: &str = "endpoint.";
const BOUND: &str = "bound.";
const BRANCH_PORT: &str = "branchport.";
const PROTECTED: &str = "protected.";
const EXPIRES: &str = "expires.";
const EXPIRES_BY: &str = "expiresby.";
const IN_GIT: &str = "ingit.";
const PREPARING: &str = "preparing.";
const TRUSTED: &str = "trusted.commands";
/// Texts of commands that stay trusted.
const MOST_TRUSTED: usize = 20;
const ENV_FILE: &str = "envfile.";
const ANSWERED_PARENT: &str = "answer.parent.";
const ANSWERED_NEVER: &str = "answer.never";
const TIP: &str = "tip.";

/// Names a worktree within its repository: its git directory relative to the common one, so that a repository
/// that moves keeps its ports. The main worktree is `.`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SeatKey(String);

impl SeatKey {
    pub(crate) fn of(worktree: &Worktree) -> Self {
        match worktree.git_dir.strip_prefix(&worktree.common_dir) {
            Ok(inner) if inner.as_os_str().is_empty() => Self(".".to_owned()),
            Ok(inner) => Self(inner.to_string_lossy().into_owned()),
            Err(_) => Self(worktree.git_dir.to_string_lossy().into_owned()),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who said when a branch goes to the trash by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// A rule of the file.
    Rule,
    /// A person, by a command.
    Person,
}

impl By {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Person => "person",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Rule, Self::Person].into_iter().find(|by| by.as_str() == text)
    }
}

/// The store's small table, by meaning. Every call touches the disk.
pub(crate) struct Book<'s>(pub(crate) &'s Store);

impl Book<'_> {
    pub(crate) fn common_dir(&self) -> Result<Option<PathBuf>> {
        Ok(self.0.get(COMMON_DIR)?.map(PathBuf::from))
    }

    pub(crate) fn set_common_dir(&self, path: &Path) -> Result<()> {
        Ok(self.0.put(COMMON_DIR, Some(&path.to_string_lossy()))?)
    }

    /// Worktrees that have a port.
    pub(crate) fn endpoints(&self) -> Result<Vec<(SeatKey, u16)>> {
        let all = self.0.list(ENDPOINT)?;
        Ok(all
            .into_iter()
            .filter_map(|(key, port)| parse(&key, &port, ENDPOINT))
            .map(|(k, p)| (SeatKey(k), p))
            .collect())
    }

    pub(crate) fn endpoint(&self, seat: &SeatKey) -> Result<Option<u16>> {
        Ok(self.0.get(&format!("{ENDPOINT}{}", seat.0))?.and_then(|port| port.parse().ok()))
    }

    pub(crate) fn set_endpoint(&self, seat: &SeatKey, port: u16) -> Result<()> {
        Ok(self.0.put(&format!("{ENDPOINT}{}", seat.0), Some(&port.to_string()))?)
    }

    pub(crate) fn bound(&self, seat: &SeatKey) -> Result<Option<BranchId>> {
        Ok(self.0.get(&format!("{BOUND}{}", seat.0))?.and_then(|id| id.parse().ok().map(BranchId)))
    }

    pub(crate) fn set_bound(&self, seat: &SeatKey, branch: BranchId) -> Result<()> {
        Ok(self.0.put(&format!("{BOUND}{}", seat.0), Some(&branch.0.to_string()))?)
    }

    /// Where the endpoint of each worktree leads.
    pub(crate) fn all_bound(&self) -> Result<Vec<(SeatKey, BranchId)>> {
        let all = self.0.list(BOUND)?;
        let parse = |(key, id): (String, String)| {
            Some((SeatKey(key.strip_prefix(BOUND)?.to_owned()), BranchId(id.parse().ok()?)))
        };
        Ok(all.into_iter().filter_map(parse).collect())
    }

    /// Forgets a worktree that is gone.
    pub(crate) fn release(&self, seat: &SeatKey) -> Result<()> {
        self.0.put(&format!("{ENDPOINT}{}", seat.0), None)?;
        self.set_env_file(seat, None)?;
        Ok(self.0.put(&format!("{BOUND}{}", seat.0), None)?)
    }

    /// What was written into a worktree's env file, as text.
    pub(crate) fn env_file(&self, seat: &SeatKey) -> Result<Option<String>> {
        Ok(self.0.get(&format!("{ENV_FILE}{}", seat.0))?)
    }

    pub(crate) fn set_env_file(&self, seat: &SeatKey, text: Option<&str>) -> Result<()> {
        Ok(self.0.put(&format!("{ENV_FILE}{}", seat.0), text)?)
    }

    /// Branches that have a port of their own.
    pub(crate) fn branch_ports(&self) -> Result<Vec<(BranchId, u16)>> {
        let all = self.0.list(BRANCH_PORT)?;
        let parsed = all.into_iter().filter_map(|(key, port)| parse(&key, &port, BRANCH_PORT));
        Ok(parsed.filter_map(|(id, port)| Some((BranchId(id.parse().ok()?), port))).collect())
    }

    pub(crate) fn set_branch_port(&self, id: BranchId, port: Option<u16>) -> Result<()> {
        Ok(self.0.put(&format!("{BRANCH_PORT}{}", id.0), port.map(|port| port.to_string()).as_deref())?)
    }

    /// Branches that must not be deleted, reset or renamed.
    pub(crate) fn protected(&self) -> Result<HashSet<BranchId>> {
        let all = self.0.list(PROTECTED)?;
        let id = |key: &str| Some(BranchId(key.strip_prefix(PROTECTED)?.parse().ok()?));
        Ok(all.iter().filter_map(|(key, _)| id(key)).collect())
    }

    pub(crate) fn is_protected(&self, id: BranchId) -> Result<bool> {
        Ok(self.0.get(&format!("{PROTECTED}{}", id.0))?.is_some())
    }

    pub(crate) fn set_protected(&self, id: BranchId, on: bool) -> Result<()> {
        Ok(self.0.put(&format!("{PROTECTED}{}", id.0), on.then_some("1"))?)
    }

    /// The names under which git had branches of the same name as database branches. A database branch that got another name by hand
    /// since belongs to no git branch any more.
    pub(crate) fn names_in_git(&self) -> Result<HashMap<BranchId, String>> {
        let all = self.0.list(IN_GIT)?;
        let parse =
            |(key, name): (String, String)| Some((BranchId(key.strip_prefix(IN_GIT)?.parse().ok()?), name));
        Ok(all.into_iter().filter_map(parse).collect())
    }

    pub(crate) fn name_in_git(&self, id: BranchId) -> Result<Option<String>> {
        Ok(self.0.get(&format!("{IN_GIT}{}", id.0))?)
    }

    pub(crate) fn set_name_in_git(&self, id: BranchId, name: Option<&str>) -> Result<()> {
        Ok(self.0.put(&format!("{IN_GIT}{}", id.0), name)?)
    }

    /// When branches go to the trash by themselves, in seconds since 1970. Some may be gone already.
    pub(crate) fn expiries(&self) -> Result<HashMap<BranchId, u64>> {
        let all = self.0.list(EXPIRES)?;
        let parse = |(key, at): (String, String)| {
            Some((BranchId(key.strip_prefix(EXPIRES)?.parse().ok()?), at.parse().ok()?))
        };
        Ok(all.into_iter().filter_map(parse).collect())
    }

    pub(crate) fn expiry(&self, id: BranchId) -> Result<Option<u64>> {
        Ok(self.0.get(&format!("{EXPIRES}{}", id.0))?.and_then(|at| at.parse().ok()))
    }

    /// Notes when a branch goes, or that it stays, and who says so.
    pub(crate) fn set_expiry(&self, id: BranchId, at: Option<u64>, by: By) -> Result<()> {
        self.0.put(&format!("{EXPIRES_BY}{}", id.0), Some(by.as_str()))?;
        Ok(self.0.put(&format!("{EXPIRES}{}", id.0), at.map(|at| at.to_string()).as_deref())?)
    }

    /// Gives a branch that takes the place of another one the expiry of that.
    pub(crate) fn keep_expiry(&self, from: BranchId, to: BranchId) -> Result<()> {
        let by = self.0.get(&format!("{EXPIRES_BY}{}", from.0))?;
        self.0.put(&format!("{EXPIRES_BY}{}", to.0), by.as_deref())?;
        let at = self.0.get(&format!("{EXPIRES}{}", from.0))?;
        Ok(self.0.put(&format!("{EXPIRES}{}", to.0), at.as_deref())?)
    }

    /// Who said when branches go, or that they stay. Nobody is known of before there were rules.
    pub(crate) fn expiries_by(&self) -> Result<HashMap<BranchId, By>> {
        let all = self.0.list(EXPIRES_BY)?;
        let parse = |(key, by): (String, String)| {
            Some((BranchId(key.strip_prefix(EXPIRES_BY)?.parse().ok()?), By::parse(&by)?))
        };
        Ok(all.into_iter().filter_map(parse).collect())
    }

    /// Whether a person trusts the commands that this stands for.
    pub(crate) fn is_trusted(&self, digest: &str) -> Result<bool> {
        Ok(self.0.get(TRUSTED)?.is_some_and(|all| all.split(' ').any(|one| one == digest)))
    }

    /// Trusts these commands, and still those that were trusted before, of which other git branches may have some: the newest of them.
    pub(crate) fn trust(&self, digest: &str) -> Result<()> {
        let before = self.0.get(TRUSTED)?.unwrap_or_default();
        let mut all: Vec<&str> = before.split(' ').filter(|one| !one.is_empty() && *one != digest).collect();
        all.push(digest);
        Ok(self.0.put(TRUSTED, Some(&all[all.len().saturating_sub(MOST_TRUSTED)..].join(" ")))?)
    }

    /// Trusts none any more.
    pub(crate) fn distrust(&self) -> Result<()> {
        Ok(self.0.put(TRUSTED, None)?)
    }

    /// Branches that are being made, by name, with when that began in milliseconds since 1970.
    pub(crate) fn preparing(&self) -> Result<Vec<(String, u64)>> {
        let all = self.0.list(PREPARING)?;
        let parse =
            |(key, at): (String, String)| Some((key.strip_prefix(PREPARING)?.to_owned(), at.parse().ok()?));
        Ok(all.into_iter().filter_map(parse).collect())
    }

    pub(crate) fn set_preparing(&self, name: &str, begun_ms: Option<u64>) -> Result<()> {
        let value = begun_ms.map(|at| at.to_string());
        Ok(self.0.put(&format!("{PREPARING}{name}"), value.as_deref())?)
    }

    /// The commits that git branches were seen at last where their databases were checked out, by their names.
    pub(crate) fn tips(&self) -> Result<HashMap<String, String>> {
        let all = self.0.list(TIP)?;
        let parse = |(key, commit): (String, String)| Some((key.strip_prefix(TIP)?.to_owned(), commit));
        Ok(all.into_iter().filter_map(parse).collect())
    }

    /// Notes where a git branch was seen; `None` forgets it.
    pub(crate) fn set_tip(&self, git_branch: &str, commit: Option<&str>) -> Result<()> {
        Ok(self.0.put(&format!("{TIP}{git_branch}"), commit)?)
    }

    /// Whether a person said that no branches are to be made by themselves.
    pub(crate) fn never(&self) -> Result<bool> {
        Ok(self.0.get(ANSWERED_NEVER)?.is_some())
    }

    pub(crate) fn set_never(&self) -> Result<()> {
        Ok(self.0.put(ANSWERED_NEVER, Some("1"))?)
    }

    /// Git branches that a person said use another one's database, with that database branch.
    pub(crate) fn parents(&self) -> Result<Vec<(String, BranchId)>> {
        let all = self.0.list(ANSWERED_PARENT)?;
        let parse = |(key, id): (String, String)| {
            Some((key.strip_prefix(ANSWERED_PARENT)?.to_owned(), BranchId(id.parse().ok()?)))
        };
        Ok(all.into_iter().filter_map(parse).collect())
    }

    pub(crate) fn parent(&self, git_branch: &str) -> Result<Option<BranchId>> {
        let id = self.0.get(&format!("{ANSWERED_PARENT}{git_branch}"))?;
        Ok(id.and_then(|id| id.parse().ok().map(BranchId)))
    }

    /// Notes whose database a git branch uses; `None` forgets it.
    pub(crate) fn set_parent(&self, git_branch: &str, parent: Option<BranchId>) -> Result<()> {
        let value = parent.map(|id| id.0.to_string());
        Ok(self.0.put(&format!("{ANSWERED_PARENT}{git_branch}"), value.as_deref())?)
    }

    /// Forgets everything that was answered.
    pub(crate) fn forget_answers(&self) -> Result<()> {
        for (git_branch, _) in self.parents()? {
            self.set_parent(&git_branch, None)?;
        }
        Ok(self.0.put(ANSWERED_NEVER, None)?)
    }

    /// Every port that belongs to something of this project.
    pub(crate) fn taken_ports(&self) -> Result<Vec<u16>> {
        let endpoints = self.endpoints()?.into_iter().map(|(_, port)| port);
        Ok(endpoints.chain(self.branch_ports()?.into_iter().map(|(_, port)| port)).collect())
    }
}

fn parse(key: &str, port: &str, prefix: &str) -> Option<(String, u16)> {
    Some((key.strip_prefix(prefix)?.to_owned(), port.parse().ok()?))
}
