//! The system calls that the standard library has no name for. The only unsafe code of this crate.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// The effective user id of this process.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// Makes `command` start in a session of its own, with no file of ours open but the three standard ones.
pub(crate) fn detach(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec and calls only functions that are safe there; it allocates
    // nothing and touches no lock.
    unsafe {
        command.pre_exec(|| {
            if libc::setsid() < 0 {
                return Err(io::Error::last_os_error());
            }
            // Closing outright would take the pipe by which the standard library reports a failing exec.
            for fd in 3..1024 {
                let flags = libc::fcntl(fd, libc::F_GETFD);
                if flags >= 0 {
                    libc::fcntl(fd, libc::F_SETFD, flags | libc::FD_CLOEXEC);
                }
            }
            Ok(())
        });
    }
}

/// Leaves a file open to the programs that this process becomes or starts.
pub(crate) fn inherit(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as it is borrowed; only its flag changes.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Keeps glibc from making an arena a thread: the engine idles in a few megabytes. Call before any thread starts.
pub(crate) fn keep_memory_small() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: only sets tunables of the allocator.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 256 * 1024);
    }
}

/// Makes standard output and standard error go to `file`.
pub(crate) fn redirect_output(file: &File) -> io::Result<()> {
    for fd in [libc::STDOUT_FILENO, libc::STDERR_FILENO] {
        // SAFETY: both descriptors are open for as long as the call takes; nobody owns 1 and 2 exclusively.
        if unsafe { libc::dup2(file.as_raw_fd(), fd) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Whether standard error is `file` (same device and inode).
pub(crate) fn output_is(file: &File) -> bool {
    // SAFETY: `fstat` writes the whole structure when it returns 0, and any bytes are a valid `stat`.
    unsafe {
        let mut ours: libc::stat = std::mem::zeroed();
        let mut theirs: libc::stat = std::mem::zeroed();
        libc::fstat(libc::STDERR_FILENO, &raw mut ours) == 0
            && libc::fstat(file.as_raw_fd(), &raw mut theirs) == 0
            && (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)
    }
}

/// A file system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disk {
    /// Bytes that an unprivileged user may still write.
    pub(crate) free_bytes: u64,
    /// Bytes of all of it.
    pub(crate) total_bytes: u64,
}

/// Bytes that an unprivileged user may still write to the file system of `path`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    Ok(disk(path)?.free_bytes)
}

/// What is kept free of a disk where nothing else was said: 1 %, at least 256 MB and at most 5 GB.
pub(crate) fn reserve(disk_bytes: u64) -> u64 {
    (disk_bytes / 100).clamp(256_000_000, 5_000_000_000)
}

/// The file system of `path`.
pub(crate) fn disk(path: &Path) -> io::Result<Disk> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path is a C string; `statvfs` writes the whole structure when it returns 0.
    unsafe {
        let mut facts: libc::statvfs = std::mem::zeroed();
        if libc::statvfs(path.as_ptr(), &raw mut facts) != 0 {
            return Err(io::Error::last_os_error());
        }
        #[allow(clippy::unnecessary_cast, reason = "they are narrower on macOS")]
        let bytes = |blocks: libc::fsblkcnt_t| blocks as u64 * facts.f_frsize as u64;
        Ok(Disk { free_bytes: bytes(facts.f_bavail), total_bytes: bytes(facts.f_blocks) })
    }
}

/// Two files of one file system take each other's names, at once.
///
/// # Errors
/// `EINVAL`, `ENOSYS` or `ENOTSUP` where the system or the file system cannot.
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let name = |path: &Path| std::ffi::CString::new(path.as_os_str().as_bytes());
    let (one, other) = (name(one)?, name(other)?);
    #[cfg(target_os = "linux")]
    // SAFETY: both paths are C strings for as long as the call takes.
    let result = unsafe {
        let (here, swap) = (libc::AT_FDCWD, libc::RENAME_EXCHANGE);
        libc::syscall(libc::SYS_renameat2, here, one.as_ptr(), here, other.as_ptr(), swap)
    };
    #[cfg(target_os = "macos")]
    // SAFETY: as above.
    let result = unsafe { libc::renamex_np(one.as_ptr(), other.as_ptr(), libc::RENAME_SWAP) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// This very program: on Linux by the kernel's own name, as an update may have put another file in its place.
pub(crate) fn own_program() -> io::Result<std::path::PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

/// Resident memory of this process in bytes, where the system tells.
pub(crate) fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    // SAFETY: asks for a constant of the system.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    Some(pages * page)
}

/// Reads a line from a terminal that does not show what is typed; `None` after Ctrl-C or at the end. The line is without its end.
///
/// # Errors
/// If it is no terminal, or cannot be read.
pub(crate) fn read_hidden(terminal: &mut File) -> io::Result<Option<String>> {
    use std::io::{Read as _, Write as _};
    catch_ctrl_c();
    let fd = terminal.as_raw_fd();
    // SAFETY: `tcgetattr` writes the whole structure when it returns 0, and any bytes are a valid one; the descriptor is open.
    let before = unsafe {
        let mut before: libc::termios = std::mem::zeroed();
        if libc::tcgetattr(fd, &raw mut before) != 0 {
            return Err(io::Error::last_os_error());
        }
        before
    };
    let mut hidden = before;
    hidden.c_lflag &= !libc::ECHO;
    // SAFETY: the structure is the terminal's own but for one flag.
    if unsafe { libc::tcsetattr(fd, libc::TCSAFLUSH, &raw const hidden) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let (mut line, mut byte) = (Vec::new(), [0]);
    let read = loop {
        match terminal.read(&mut byte) {
            Ok(0) if line.is_empty() => break Ok(false),
            Ok(1) if byte[0] != b'\n' => line.push(byte[0]),
            Ok(_) => break Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted && interrupted() => break Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    // SAFETY: the structure is what the terminal had.
    unsafe { libc::tcsetattr(fd, libc::TCSAFLUSH, &raw const before) };
    // The end of the line was not shown either.
    terminal.write_all(b"\n")?;
    if !read? {
        return Ok(None);
    }
    let text =
        String::from_utf8(line).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))?;
    Ok(Some(text.trim_end_matches('\r').to_owned()))
}

/// Whether another process holds a lock on `file`.
pub(crate) fn is_locked(file: &File) -> io::Result<bool> {
    // SAFETY: locks on a descriptor that is open for as long as the calls take; no memory is touched.
    unsafe {
        if libc::flock(file.as_raw_fd(), libc::LOCK_SH | libc::LOCK_NB) == 0 {
            libc::flock(file.as_raw_fd(), libc::LOCK_UN);
            return Ok(false);
        }
    }
    let error = io::Error::last_os_error();
    if error.kind() == io::ErrorKind::WouldBlock { Ok(true) } else { Err(error) }
}

/// Whether there is a process with this number.
pub(crate) fn is_alive(pid: u32) -> bool {
    let Some(pid) = libc::pid_t::try_from(pid).ok().filter(|&pid| pid > 0) else { return false };
    // SAFETY: touches no memory; no signal is sent.
    let told = unsafe { libc::kill(pid, 0) } == 0;
    told || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

/// Whether a process is on its way out: its memory, and with that its command line, goes before its files and locks do. One that only
/// waits for its parent has ended. Where the system does not tell, no process is.
pub(crate) fn is_ending(pid: u32) -> bool {
    /// `PF_EXITING` of Linux's `sched.h`.
    const EXITING: u64 = 0x4;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before it is in brackets, and may have any character.
    let Some((_, rest)) = stat.rsplit_once(") ") else { return false };
    let mut fields = rest.split(' ');
    let state = fields.next().unwrap_or_default();
    // State, parent, group, session, terminal, its group, flags.
    let flags = fields.nth(5).and_then(|flags| flags.parse::<u64>().ok()).unwrap_or(0);
    !matches!(state, "Z" | "X") && flags & EXITING != 0
}

/// Asks a process to end.
pub(crate) fn terminate(pid: u32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).ok().filter(|&pid| pid > 0).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: touches no memory. The number is positive: one process, not a group.
    if unsafe { libc::kill(pid, libc::SIGTERM) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends a signal to a group of processes, which we started. One that is gone needs none.
pub(crate) fn signal_group(leader: u32, signal: libc::c_int) {
    if let Some(pid) = libc::pid_t::try_from(leader).ok().filter(|&pid| pid > 1) {
        // SAFETY: touches no memory. The number is that of a group whose leader has not been waited for.
        unsafe { libc::kill(-pid, signal) };
    }
}

/// Ends this process by a signal, as a program was ended that it stands for.
pub(crate) fn end_by(signal: libc::c_int) {
    // SAFETY: restores the default action of a signal and sends it to this process; no memory is touched.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn on_interrupt(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// From now on Ctrl-C and SIGTERM only set the flag that [`interrupted`] reads. A second one ends the process as usual.
pub(crate) fn catch_interrupts() {
    catch(&[libc::SIGINT, libc::SIGTERM]);
}

/// The same for Ctrl-C alone; SIGTERM goes on ending the process.
pub(crate) fn catch_ctrl_c() {
    catch(&[libc::SIGINT]);
}

fn catch(signals: &[libc::c_int]) {
    for &signal in signals {
        // SAFETY: the handler only stores to an atomic. SA_RESETHAND brings the default action back after the first
        // signal; without SA_RESTART, blocked reads return.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_interrupt as *const () as usize;
            action.sa_flags = libc::SA_RESETHAND;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

/// Whether such a signal came since then.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Forgets a Ctrl-C that was dealt with, and catches the next.
pub(crate) fn clear_interrupt() {
    INTERRUPTED.store(false, Ordering::Relaxed);
    catch_ctrl_c();
}

/// Lets a closed pipe end this process quietly, as other programs of the command line do.
pub(crate) fn end_on_broken_pipe() {
    // SAFETY: restores the default action of a signal.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// Year, month from 1, day, hour, minute and second of this machine's zone.
pub(crate) type Civil = [i32; 6];

/// A time since 1970 in this machine's zone.
pub(crate) fn local_time(seconds: i64) -> Civil {
    let time: libc::time_t = seconds;
    // SAFETY: any bytes are valid for the structure, which is ours, as is the time.
    let parts = unsafe {
        let mut parts: libc::tm = std::mem::zeroed();
        libc::localtime_r(&raw const time, &raw mut parts);
        parts
    };
    [parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec]
}

/// Seconds since 1970 of a time in this machine's zone; `None` for none, such as the 30th of February.
pub(crate) fn from_local_time(civil: Civil) -> Option<i64> {
    let [year, month, day, hour, minute, second] = civil;
    // SAFETY: any bytes are valid for the structure, which is ours.
    let seconds = unsafe {
        let mut parts: libc::tm = std::mem::zeroed();
        parts.tm_year = year.checked_sub(1900)?;
        parts.tm_mon = month.checked_sub(1)?;
        (parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec) = (day, hour, minute, second);
        // Whether it is summer time is for the zone to say.
        parts.tm_isdst = -1;
        libc::mktime(&raw mut parts)
    };
    // What does not exist was moved to what does.
    (local_time(seconds)[..3] == civil[..3]).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_runs_or_waits_for_its_parent_is_not_on_its_way_out() {
        assert!(!is_ending(std::process::id()));
        let mut child = Command::new("true").spawn().unwrap();
        let stat = || std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
        // Nobody has waited for it: its number stays.
        while cfg!(target_os = "linux") && !stat().contains(") Z ") {
            std::thread::yield_now();
        }
        assert!(!is_ending(child.id()));
        child.wait().unwrap();
        assert!(!is_ending(child.id()));
    }
}
