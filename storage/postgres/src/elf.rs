//! Whether a `postgres` program reaches files only through calls that the interposer covers.

mod table;

use std::io;
use std::path::{Path, PathBuf};

use object::elf::{EM_AARCH64, EM_X86_64, FileHeader64};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol};

pub use table::{ALLOWED, FILE_CALLS};

/// Why a program must not run over layers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Not an ELF program for this processor.
    #[error("{program} is not an ELF program for this machine: {why}")]
    NotForThisMachine {
        /// The program.
        program: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// Linked statically: nothing can be loaded before it.
    #[error("{0} is linked statically, so its file calls cannot be redirected")]
    Static(PathBuf),
    /// Built for another C library.
    #[error("{program} is built for musl ({interpreter}), not for glibc")]
    Musl {
        /// The program.
        program: PathBuf,
        /// Its loader.
        interpreter: String,
    },
    /// It imports file calls that are neither covered nor known to be harmless.
    #[error("{program} uses file calls that the interposer does not cover: {}", calls.join(", "))]
    Uncovered {
        /// The program.
        program: PathBuf,
        /// The calls, in order of their names.
        calls: Vec<String>,
    },
    /// The program could not be read.
    #[error("read {program}: {source}")]
    Io {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ImportError {
    /// What to do next.
    pub fn hint(&self) -> String {
        "Take the packaged Postgres or one of your distribution, or a store on a file system that can clone."
            .to_owned()
    }
}

/// Checks that `postgres` is a dynamic glibc program whose file calls are all in `covered` or harmless.
///
/// [`FILE_CALLS`] lists what counts as a file call, [`ALLOWED`] what is harmless and why.
pub fn check_imports(postgres: &Path, covered: &[&str]) -> Result<(), ImportError> {
    let program = || postgres.to_owned();
    let bytes = std::fs::read(postgres).map_err(|source| ImportError::Io { program: program(), source })?;
    let foreign = |why: String| ImportError::NotForThisMachine { program: program(), why };
    let file =
        ElfFile64::<Endianness>::parse(bytes.as_slice()).map_err(|error| foreign(error.to_string()))?;
    check_machine(&file).map_err(foreign)?;
    let interpreter = interpreter(&file, &bytes).ok_or_else(|| ImportError::Static(program()))?;
    if interpreter.contains("musl") {
        return Err(ImportError::Musl { program: program(), interpreter });
    }
    let calls = uncovered(&file, covered);
    if calls.is_empty() { Ok(()) } else { Err(ImportError::Uncovered { program: program(), calls }) }
}

/// The functions that a library offers to programs that load it: what an interposer covers.
///
/// # Errors
/// [`ImportError::Io`], or [`ImportError::NotForThisMachine`] for a file that is no library for this machine.
pub fn exports(library: &Path) -> Result<Vec<String>, ImportError> {
    let program = || library.to_owned();
    let bytes = std::fs::read(library).map_err(|source| ImportError::Io { program: program(), source })?;
    let foreign = |why: String| ImportError::NotForThisMachine { program: program(), why };
    let file =
        ElfFile64::<Endianness>::parse(bytes.as_slice()).map_err(|error| foreign(error.to_string()))?;
    check_machine(&file).map_err(foreign)?;
    Ok(file
        .dynamic_symbols()
        .filter(|symbol| !symbol.is_undefined())
        .filter_map(|symbol| symbol.name().ok())
        .map(str::to_owned)
        .collect())
}

fn check_machine(file: &ElfFile64<'_, Endianness>) -> Result<(), String> {
    let machine = file.elf_header().e_machine(file.endian());
    let wanted = match std::env::consts::ARCH {
        "x86_64" => EM_X86_64,
        "aarch64" => EM_AARCH64,
        other => return Err(format!("{other} is not supported")),
    };
    if machine == wanted { Ok(()) } else { Err(format!("its machine number is {machine}")) }
}

fn interpreter(file: &ElfFile64<'_, Endianness>, bytes: &[u8]) -> Option<String> {
    let headers: &[<FileHeader64<Endianness> as FileHeader>::ProgramHeader] = file.elf_program_headers();
    let path = headers.iter().find_map(|header| header.interpreter(file.endian(), bytes).ok().flatten())?;
    Some(String::from_utf8_lossy(path).into_owned())
}

fn uncovered(file: &ElfFile64<'_, Endianness>, covered: &[&str]) -> Vec<String> {
    let harmless = |name: &str| ALLOWED.iter().any(|(allowed, _)| *allowed == name);
    let mut calls: Vec<String> = file
        .dynamic_symbols()
        .filter(ObjectSymbol::is_undefined)
        .filter_map(|symbol| symbol.name().ok())
        .filter(|name| is_file_call(name) && !covered.contains(name) && !harmless(name))
        .map(str::to_owned)
        .collect();
    calls.sort();
    calls.dedup();
    calls
}

fn is_file_call(name: &str) -> bool {
    FILE_CALLS.contains(&name)
        || ["io_uring_", "aio_", "lio_listio"].iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests;
