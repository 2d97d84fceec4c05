//! Where everything is in a store.

use std::path::{Path, PathBuf};

use crate::{BranchId, DriverKind, LayerId};

/// The paths of one store and its runtime folder.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    store: PathBuf,
    runtime: PathBuf,
    driver: DriverKind,
}

impl Paths {
    /// Those of a store with page layers.
    pub(crate) fn new(store: &Path, runtime: &Path) -> Self {
        Self { store: store.to_owned(), runtime: runtime.to_owned(), driver: DriverKind::Layers }
    }

    /// The same folders with this driver.
    pub(crate) fn with_driver(self, driver: DriverKind) -> Self {
        Self { driver, ..self }
    }

    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    pub(crate) fn metadata(&self) -> PathBuf {
        self.store.join("meta.sqlite")
    }

    /// The secret on which masked values depend.
    pub(crate) fn masking_key(&self) -> PathBuf {
        self.store.join("masking.key")
    }

    /// Where a new root branch is made.
    pub(crate) fn refreshing(&self) -> PathBuf {
        self.store.join("refresh.partial")
    }

    /// The address of the source that is followed, with its password.
    pub(crate) fn followed(&self) -> PathBuf {
        self.store.join("followed")
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
        BranchPaths { folder: self.branches().join(id.to_string()), driver: self.driver }
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
pub(crate) struct BranchPaths {
    folder: PathBuf,
    driver: DriverKind,
}

impl BranchPaths {
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Postgres's data directory; with page layers, without the relation files.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("pgdata")
    }

    /// `global/pg_control`. With page layers it is kept elsewhere, so that a Postgres without the interposer cannot start.
    pub(crate) fn control_file(&self) -> PathBuf {
        match self.driver {
            DriverKind::Layers => self.folder.join("pg_control"),
            DriverKind::Clone => self.data().join("global/pg_control"),
        }
    }

    /// The control block that backends and engine share while the branch is awake.
    pub(crate) fn control_block(&self) -> PathBuf {
        self.folder.join("control")
    }

    /// What backends lock when a relation file appears or goes.
    pub(crate) fn namespace_lock(&self) -> PathBuf {
        self.folder.join("namespace.lock")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("postgres.log")
    }
}
