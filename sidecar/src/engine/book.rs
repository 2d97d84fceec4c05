//! What the engine remembers in the store: ports, bindings, the repository.

use std::path::{Path, PathBuf};

use offshoot_git::Worktree;
use offshoot_storage::{BranchId, Store};

use crate::failure::Result;

const COMMON_DIR: &str = "project.commonDir";
const ENDPOINT: &str = "endpoint.";
const BOUND: &str = "bound.";
const BRANCH_PORT: &str = "branchport.";

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

    /// Forgets a worktree that is gone.
    pub(crate) fn release(&self, seat: &SeatKey) -> Result<()> {
        self.0.put(&format!("{ENDPOINT}{}", seat.0), None)?;
        Ok(self.0.put(&format!("{BOUND}{}", seat.0), None)?)
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

    /// Every port that belongs to something of this project.
    pub(crate) fn taken_ports(&self) -> Result<Vec<u16>> {
        let endpoints = self.endpoints()?.into_iter().map(|(_, port)| port);
        Ok(endpoints.chain(self.branch_ports()?.into_iter().map(|(_, port)| port)).collect())
    }
}

fn parse(key: &str, port: &str, prefix: &str) -> Option<(String, u16)> {
    Some((key.strip_prefix(prefix)?.to_owned(), port.parse().ok()?))
}
