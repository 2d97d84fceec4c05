//! Which Postgres a new database can run on.

use offshoot_postgres::{Locator, Request, install};
use offshoot_protocol::editor::{FolderParams, PostgresMajor, PostgresVersions};
use tower_lsp_server::jsonrpc;

use super::job::{self, About};
use super::server::Backend;
use crate::failure::Result;
use crate::paths::Paths;

impl Backend {
    /// Runs `postgres --version` of what lies on this machine; fetches nothing.
    pub(super) async fn postgres(&self, params: FolderParams) -> jsonrpc::Result<PostgresVersions> {
        let about = About { folder: params.folder, ..About::default() };
        job::run(&self.shared, about, |_| versions()).await
    }
}

fn versions() -> Result<PostgresVersions> {
    let locator = Locator { cache: Paths::from_env()?.cache() };
    let here = |major| {
        let request = Request { major: Some(major), bin_dir: None };
        // One that is broken is no use to a new database: another one is fetched.
        locator.find_local(&request).ok().flatten().map(|found| found.version.to_string())
    };
    let majors = install::MAJORS.rev().map(|major| PostgresMajor { major, version: here(major) }).collect();
    Ok(PostgresVersions { majors, default: install::DEFAULT_MAJOR })
}
