//! Where everything is in a store.

use std::path::{Path, PathBuf};

use crate::{BranchId, LayerId};

/// The paths of one store and its runtime folder.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    store: PathBuf,
    runtime: PathBuf,
}

impl Paths {
    pub(crate) fn new(store: &Path, runtime: &Path) -> Self {
        Self { store: store.to_owned(), runtime: runtime.to_owned() }
    }

    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    pub(crate) fn metadata(&self) -> PathBuf {
        self.store.join("meta.sqlite")
    }

    pub(crate) fn secret(&self) -> PathBuf {
        self.store.join("secret")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.store.join("engine.lock")
    }

    /// Copies of the interposer, each named by its content.
    pub(crate) fn libraries(&self) -> PathBuf {
        self.store.join("lib")
    }

    /// Room that is given up when the disk is full and something has to be written to free more.
    pub(crate) fn ballast(&self) -> PathBuf {
        self.store.join("ballast")
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.store.join("layers")
    }

    pub(crate) fn layer(&self, id: LayerId) -> PathBuf {
        self.layers().join(id.to_string())
    }

    pub(crate) fn branches(&self) -> PathBuf {
        self.store.join("branches")
    }

    pub(crate) fn branch(&self, id: BranchId) -> BranchPaths {
        BranchPaths(self.branches().join(id.to_string()))
    }

    /// Where the branch's Postgres puts its socket. Short: a socket's path has at most 107 bytes.
    pub(crate) fn sockets(&self, id: BranchId) -> PathBuf {
        self.runtime.join(id.to_string())
    }

    pub(crate) fn runtime(&self) -> &Path {
        &self.runtime
    }
}

/// The paths of one branch.
#[derive(Clone, Debug)]
pub(crate) struct BranchPaths(PathBuf);

impl BranchPaths {
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// Postgres's data directory, without the relation files.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("pgdata")
    }

    /// `global/pg_control`, kept here so that a Postgres without the interposer cannot start.
    pub(crate) fn control_file(&self) -> PathBuf {
        self.0.join("pg_control")
    }

    /// The control block that backends and engine share while the branch is awake.
    pub(crate) fn control_block(&self) -> PathBuf {
        self.0.join("control")
    }

    /// What backends lock when a relation file appears or goes.
    pub(crate) fn namespace_lock(&self) -> PathBuf {
        self.0.join("namespace.lock")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("postgres.log")
    }
}
