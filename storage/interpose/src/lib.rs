//! The interposer: puts page layers under an unmodified Postgres.
//!
//! Postgres loads this library with `LD_PRELOAD`. It redirects the relation files of one data directory
//! (`base/<db>/<n>`, `global/<n>`, all forks and segments) to the layers of one branch, and `global/pg_control`
//! to the branch's folder; every other call goes to the kernel as it came. It is switched on by two
//! environment variables, [`local::DATA_DIR`] and [`local::LAYERS_DIR`], which it removes together with its own
//! `LD_PRELOAD`, so that programs that Postgres starts run without it.
//!
//! # Invariants
//! The crate is unsafe throughout: it stands in for libc. What must hold, and what holds it to that:
//!
//! 1. **No call of libc's file functions from here.** They are this library's own exports. All goes through
//!    [`offshoot_pages::sys`]; only folders' and streams' functions are taken from the next library.
//! 2. **One thread.** A Postgres process works on files in its main thread. State of the process is in cells
//!    ([`local::Local`]) which other threads never touch: they see no relation descriptor, and [`gate::Entered`]
//!    lets them pass. A relation file opened by another thread is refused with `ENOTSUP`.
//! 3. **A bit is set after its page is written**, and a map is durable only after the data is
//!    (`offshoot_pages::map`, its tests, and the crash tests of the engine).
//! 4. **Everything that changes a branch happens inside the gate**, so that a freeze sees no half operation.
//!    The tests of the engine hash frozen layers under load.
//! 5. **`errno` is what the caller would have seen** from the kernel; bookkeeping restores it.
// Elsewhere nothing runs under Postgres, and the library is empty.
#![cfg(target_os = "linux")]
#![expect(clippy::undocumented_unsafe_blocks, reason = "the invariants above cover the whole crate")]
#![expect(unreachable_pub, reason = "exports are reached by the dynamic linker")]

mod exports;
#[cfg(debug_assertions)]
mod fault;
mod file;
mod file_io;
mod gate;
mod local;
mod namespace;
mod paths;
mod power;
mod table;
