//! Migration tools read natively: which tool a folder belongs to, which files it has, what they have done to a branch.
//!
//! The crate is pure. Files come through a [`Source`], which may be a folder or a commit, and the rows of a tool's
//! history table through a [`History`], got by the SQL of [`Table::rows_query`]. Nothing here runs a tool or
//! talks to a server.
//!
//! ```
//! use offshoot_migrations::{History, MemorySource, Observed, Scanner, State};
//!
//! let source = MemorySource::new([("db/migrations/1_one.sql", "-- migrate:up\nselect 1;\n-- migrate:down\n")]);
//! let scan = Scanner::default().scan(&source).unwrap();
//! let project = &scan.projects[0];
//! let status = project.status(&History::Missing, &Observed::default());
//! assert_eq!(project.tool.id(), "dbmate");
//! assert_eq!(status.entries[0].state, State::Pending);
//! ```

#![allow(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "the tools compare the names of their files so, and a file that they pass over is none of theirs"
)]
#![allow(clippy::naive_bytecount, reason = "lines are counted in small texts")]

mod back;
mod checksum;
mod create;
mod diagnostic;
mod history;
mod left_out;
mod model;
mod scan;
mod script;
mod source;
pub mod sql;
mod status;
mod text;
mod tool;
mod tools;

pub use checksum::git_blob;
pub use create::{Content, NewFile};
pub use diagnostic::{Code, Diagnostic, Severity};
pub use history::{COLUMNS_QUERY, FOREIGN_QUERY, History, Rows, TABLE_QUERY};
pub use model::{Commands, Down, Late, Migration, MigrationKind, Project, Table};
pub use scan::{Scan, Scanner};
pub use script::{Direction, NotSql, Script, forward};
pub use source::{
    DiskSource, FILE_MAX, LeftOut, Listing, MemorySource, Overlay, Source, SourceError, SourceFile, Stamp,
    too_large,
};
pub use status::{BranchStatus, Entry, Next, Observed, Standing, State, Subject};
pub use tool::Tool;
