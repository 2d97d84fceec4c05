//! The functions of libc that this library stands in for, by subject.

mod folders;
mod io;
mod names;
mod next;
mod open;
mod shared_wal;
mod streams;
mod sync;
