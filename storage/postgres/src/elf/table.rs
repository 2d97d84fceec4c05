//! Which functions of the C library reach files, and which of them never reach a relation file.

/// Every function that opens, reads, writes, maps, names or measures files, in whatever spelling headers give it.
///
/// The families `io_uring_*`, `aio_*` and `lio_listio*` count too, whatever their names.
#[rustfmt::skip]
pub const FILE_CALLS: &[&str] = &[
    // Opening and closing.
    "open", "open64", "openat", "openat64", "openat2", "creat", "creat64", "__open", "__open64", "__open_2", "__open64_2",
    "__openat_2", "__openat64_2", "close", "__close", "close_range", "closefrom", "open_by_handle_at", "name_to_handle_at",
    "dup", "dup2", "dup3", "__dup2", "fcntl", "fcntl64", "__fcntl", "flock", "lockf", "lockf64", "ioctl", "open_tree",
    // Reading and writing.
    "read", "__read", "__read_chk", "write", "__write", "pread", "pread64", "__pread64", "__pread_chk", "__pread64_chk",
    "pwrite", "pwrite64", "__pwrite64", "readv", "writev", "preadv", "preadv64", "preadv2", "preadv64v2", "pwritev",
    "pwritev64", "pwritev2", "pwritev64v2", "lseek", "lseek64", "__lseek", "llseek", "readahead", "io_submit", "io_setup",
    "sendfile", "sendfile64", "splice", "tee", "vmsplice", "copy_file_range", "process_vm_readv", "process_vm_writev",
    // Size and durability.
    "truncate", "truncate64", "ftruncate", "ftruncate64", "fallocate", "fallocate64", "posix_fallocate",
    "posix_fallocate64", "posix_fadvise", "posix_fadvise64", "fsync", "fdatasync", "sync", "syncfs", "sync_file_range",
    "sync_file_range2", "msync", "mmap", "mmap64", "__mmap", "remap_file_pages", "memfd_create",
    // Facts about files.
    "stat", "stat64", "lstat", "lstat64", "fstat", "fstat64", "fstatat", "fstatat64", "newfstatat", "statx", "__xstat",
    "__xstat64", "__lxstat", "__lxstat64", "__fxstat", "__fxstat64", "__fxstatat", "__fxstatat64", "access", "eaccess",
    "euidaccess", "faccessat", "faccessat2", "statfs", "statfs64", "fstatfs", "fstatfs64", "statvfs", "statvfs64",
    "fstatvfs", "fstatvfs64", "getxattr", "lgetxattr", "fgetxattr", "setxattr", "lsetxattr", "fsetxattr", "listxattr",
    "removexattr", "pathconf", "fpathconf",
    // Names.
    "unlink", "unlinkat", "remove", "rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat",
    "readlink", "readlinkat", "__readlink_chk", "__readlinkat_chk", "realpath", "__realpath_chk",
    "canonicalize_file_name", "mkdir", "mkdirat", "rmdir", "mknod", "mknodat", "__xmknod", "mkfifo", "mkfifoat",
    "chmod", "fchmod", "fchmodat", "lchmod", "chown", "fchown", "lchown", "fchownat", "utime", "utimes", "lutimes",
    "futimes", "futimesat", "utimensat", "futimens",
    // Folders.
    "chdir", "fchdir", "chroot", "getcwd", "__getcwd_chk", "get_current_dir_name", "getwd", "opendir", "fdopendir",
    "closedir", "readdir", "readdir64", "readdir_r", "readdir64_r", "rewinddir", "seekdir", "telldir", "dirfd", "scandir",
    "scandir64", "scandirat", "scandirat64", "getdents64", "getdirentries", "ftw", "ftw64", "nftw", "nftw64", "fts_open",
    "fts64_open", "glob", "glob64", "inotify_add_watch",
    // Streams.
    "fopen", "fopen64", "freopen", "freopen64", "fdopen", "fclose", "fcloseall", "fread", "__fread_chk",
    "fread_unlocked", "fwrite", "fwrite_unlocked", "fgets", "__fgets_chk", "fgetc", "getc", "_IO_getc", "getline",
    "__getdelim", "getdelim", "fputs", "fputc", "putc", "_IO_putc", "fprintf", "__fprintf_chk", "vfprintf",
    "__vfprintf_chk", "fscanf", "__isoc99_fscanf", "__isoc23_fscanf", "ungetc", "fseek", "fseeko", "fseeko64", "ftell",
    "ftello", "ftello64", "rewind", "fgetpos", "fgetpos64", "fsetpos", "fsetpos64", "fflush", "fileno", "popen", "pclose",
    "tmpfile", "tmpfile64", "tmpnam", "tempnam", "mktemp", "mkstemp", "mkstemp64", "mkostemp", "mkostemp64", "mkstemps",
    "mkstemps64", "mkdtemp",
    // Calls of any kind, other programs and shared memory.
    "syscall", "system", "execl", "execle", "execlp", "execv", "execve", "execvp", "execvpe", "fexecve", "posix_spawn",
    "posix_spawnp", "shm_open", "shm_unlink", "pipe", "pipe2", "swapon", "mount", "umount", "umount2", "quotactl",
];

const STREAM: &str =
    "streams carry configuration, lock and statistics files and server-side COPY; never a relation file";
const NAME: &str = "applied to configuration, lock, socket and tablespace paths; never to a relation file";
const PROGRAM: &str =
    "starts other programs (archive and restore commands, COPY ... PROGRAM), which open files themselves";

/// The file calls that Postgres imports beyond relation files, each with the reason why it reaches none.
pub const ALLOWED: &[(&str, &str)] = &[
    ("fopen", STREAM),
    ("fopen64", STREAM),
    ("freopen", "redirects the standard streams to the log"),
    ("freopen64", "redirects the standard streams to the log"),
    ("fdopen", "wraps the pipe of the log collector"),
    ("fclose", STREAM),
    ("fread", STREAM),
    ("__fread_chk", STREAM),
    ("fwrite", STREAM),
    ("fgets", STREAM),
    ("__fgets_chk", STREAM),
    ("fgetc", STREAM),
    ("getc", STREAM),
    ("_IO_getc", STREAM),
    ("ungetc", STREAM),
    ("getline", STREAM),
    ("fputs", STREAM),
    ("fputc", STREAM),
    ("putc", STREAM),
    ("_IO_putc", STREAM),
    ("fprintf", STREAM),
    ("__fprintf_chk", STREAM),
    ("vfprintf", STREAM),
    ("__vfprintf_chk", STREAM),
    ("fscanf", STREAM),
    ("__isoc99_fscanf", STREAM),
    ("__isoc23_fscanf", STREAM),
    ("fseek", STREAM),
    ("fseeko", STREAM),
    ("fseeko64", STREAM),
    ("ftell", STREAM),
    ("ftello", STREAM),
    ("ftello64", STREAM),
    ("fflush", STREAM),
    ("fileno", STREAM),
    (
        "fcntl",
        "sets flags of sockets, pipes and duplicated descriptors; takes no record locks on relation files",
    ),
    (
        "fcntl64",
        "sets flags of sockets, pipes and duplicated descriptors; takes no record locks on relation files",
    ),
    ("ioctl", "asks terminals and network interfaces"),
    ("readlink", "reads the links of pg_tblspc and pg_wal and of the program itself"),
    ("__readlink_chk", "reads the links of pg_tblspc and pg_wal and of the program itself"),
    ("realpath", NAME),
    ("__realpath_chk", NAME),
    ("chmod", NAME),
    ("fchmod", NAME),
    ("chown", NAME),
    ("utime", "keeps the lock files of sockets from being swept away"),
    ("utimes", "keeps the lock files of sockets from being swept away"),
    ("getcwd", "reads the path of the working folder"),
    ("__getcwd_chk", "reads the path of the working folder"),
    ("msync", "maps of relation files do not exist: they are read and written by calls"),
    ("shm_open", "shared memory has its own file system"),
    ("shm_unlink", "shared memory has its own file system"),
    ("pipe", "makes descriptors that are not files"),
    ("pipe2", "makes descriptors that are not files"),
    ("popen", PROGRAM),
    ("pclose", PROGRAM),
    ("system", PROGRAM),
    ("execl", PROGRAM),
    ("execv", PROGRAM),
    ("execve", PROGRAM),
];
