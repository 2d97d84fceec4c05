//! The page-layer format: what the engine and the interposer agree on, on disk and in shared memory.
//!
//! A layer is a folder that mirrors `base/` and `global/` of a data directory. For each relation file it
//! touches it holds `<n>.d`, a sparse file with 8 KiB pages at their natural offset, and `<n>.m`, a
//! [`map::Map`] that says which of those pages are the layer's own. A branch reads through a stack of
//! layers, the writable one on top; the stack and the gate that freezes it live in a
//! [`control::Control`] block, one per awake branch, mapped by the engine and by every backend.
//!
//! Nothing here calls a libc function that the interposer exports: the interposer would call itself.
//! All file access goes through [`sys`].

pub mod control;
pub mod fault;
pub mod map;
pub mod name;
pub mod point;
pub mod process;
pub mod sys;

/// Bytes of a Postgres page, the unit in which layers own data.
pub const PAGE_SIZE: u64 = 8192;
/// Pages of one full segment file (1 GiB), the most that one map describes.
pub const SEGMENT_PAGES: u64 = 131_072;
/// Version of the layer format. A store of another version is refused, never guessed at.
pub const FORMAT_VERSION: u32 = 1;
