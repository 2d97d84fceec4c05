//! The functions of libc that this library stands in for, by subject.

mod folders;
mod io;
mod names;
mod next;
mod open;
mod streams;
mod sync;
