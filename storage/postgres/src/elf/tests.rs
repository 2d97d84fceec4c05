use super::*;
use std::process::Command;

/// What the interposer covers, as far as these tests need it.
#[rustfmt::skip]
const COVERED: &[&str] = &[
    "open", "open64", "__open_2", "__open64_2", "creat", "openat", "close", "read", "__read_chk", "write", "pread",
    "pread64", "__pread_chk", "pwrite", "pwrite64", "readv", "writev", "preadv", "preadv64", "pwritev", "pwritev64",
    "lseek", "lseek64", "ftruncate", "ftruncate64", "truncate", "truncate64", "fallocate", "posix_fallocate",
    "posix_fallocate64", "posix_fadvise", "posix_fadvise64", "fsync", "fdatasync", "syncfs", "sync_file_range", "stat",
    "stat64", "lstat", "lstat64", "fstat", "fstat64", "__xstat", "__lxstat", "__fxstat", "__xstat64", "__lxstat64",
    "__fxstat64", "fstatat", "access", "unlink", "rename", "link", "symlink", "mkdir", "rmdir", "chdir", "opendir",
    "readdir", "readdir64", "closedir", "dup", "dup2", "mmap", "mmap64", "copy_file_range",
];

/// Compiles a C program, or says that it cannot and why the test is skipped.
fn compile(source: &str, flags: &[&str]) -> Option<tempfile::TempDir> {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("program.c");
    std::fs::write(&input, source).unwrap();
    let done = Command::new("cc").arg("-o").arg(dir.path().join("program")).arg(&input).args(flags).output();
    match done {
        Ok(done) if done.status.success() => Some(dir),
        other => {
            eprintln!("SKIPPED: cc cannot build the test's program: {other:?}");
            None
        }
    }
}

const USES_SENDFILE: &str = "#include <sys/sendfile.h>\n#include <fcntl.h>\n#include <stdio.h>\n\
    int main(void) { FILE *f = fopen(\"x\", \"r\"); return f && sendfile(1, open(\"x\", 0), 0, 1) == 0; }\n";

#[test]
fn uncovered_call_is_named_and_refused() {
    let Some(dir) = compile(USES_SENDFILE, &[]) else { return };
    let program = dir.path().join("program");
    let Err(ImportError::Uncovered { calls, .. }) = check_imports(&program, COVERED) else {
        panic!("accepted")
    };
    assert_eq!(calls, ["sendfile"]);
    let Err(ImportError::Uncovered { calls, .. }) = check_imports(&program, &[]) else { panic!("accepted") };
    assert_eq!(calls, ["open", "sendfile"]);
    check_imports(&program, &["open", "sendfile"]).unwrap();
}

#[test]
fn static_program_is_refused() {
    let Some(dir) = compile("int main(void) { return 0; }\n", &["-static"]) else { return };
    assert!(matches!(check_imports(&dir.path().join("program"), COVERED), Err(ImportError::Static(_))));
}

#[test]
fn musl_program_is_refused() {
    let flags = ["-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"];
    let Some(dir) = compile("int main(void) { return 0; }\n", &flags) else { return };
    assert!(matches!(check_imports(&dir.path().join("program"), COVERED), Err(ImportError::Musl { .. })));
}

#[test]
fn program_of_another_machine_is_refused() {
    let Some(dir) = compile("int main(void) { return 0; }\n", &[]) else { return };
    let program = dir.path().join("program");
    let mut bytes = std::fs::read(&program).unwrap();
    bytes[18] = 8;
    std::fs::write(&program, bytes).unwrap();
    assert!(matches!(check_imports(&program, COVERED), Err(ImportError::NotForThisMachine { .. })));
}

#[test]
fn script_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("postgres");
    std::fs::write(&script, "#!/bin/sh\nexec postgres \"$@\"\n").unwrap();
    assert!(matches!(check_imports(&script, COVERED), Err(ImportError::NotForThisMachine { .. })));
}

#[test]
fn every_allowed_call_is_a_file_call_with_a_reason() {
    for (name, reason) in ALLOWED {
        assert!(is_file_call(name), "{name} needs no permission");
        assert!(reason.len() > 20, "{name} has no reason");
        assert!(!COVERED.contains(name), "{name} is covered and needs no permission");
    }
    for name in COVERED {
        assert!(is_file_call(name), "{name} is missing in the table");
    }
}

#[test]
fn installed_postgres_is_covered() {
    let locator = crate::Locator { cache: std::env::temp_dir().join("offshoot-no-cache") };
    let found: Vec<_> = (14..=18)
        .filter_map(|major| {
            locator.find_local(&crate::Request { major: Some(major), bin_dir: None }).ok().flatten()
        })
        .collect();
    if found.is_empty() {
        eprintln!("SKIPPED: there is no Postgres on this machine");
    }
    for installation in found {
        check_imports(&installation.postgres(), COVERED).unwrap();
    }
}
