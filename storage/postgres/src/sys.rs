//! The system calls that the standard library does not offer. All of this crate's `unsafe` is here.

use std::ffi::{CStr, CString};
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::FromRawFd as _;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use crate::account::Account;

/// The effective user of this process.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: geteuid takes no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

/// The password file's entry of user `name`, if there is one.
pub(crate) fn account_named(name: &str) -> io::Result<Option<Account>> {
    let wanted = CString::new(name)?;
    let mut buffer = vec![0 as libc::c_char; 16 * 1024];
    // SAFETY: passwd is plain data for which all-zero bytes are a valid value.
    let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
    let mut found: *mut libc::passwd = std::ptr::null_mut();
    // SAFETY: every pointer is to a live local; the buffer's true length is passed.
    let code = unsafe {
        libc::getpwnam_r(wanted.as_ptr(), &raw mut entry, buffer.as_mut_ptr(), buffer.len(), &raw mut found)
    };
    if code != 0 && code != libc::ENOENT {
        return Err(io::Error::from_raw_os_error(code));
    }
    if found.is_null() {
        return Ok(None);
    }
    // SAFETY: on success pw_name points to a terminated string inside `buffer`, which is still alive.
    let name = unsafe { CStr::from_ptr(entry.pw_name) }.to_string_lossy().into_owned();
    Ok(Some(Account { uid: entry.pw_uid, gid: entry.pw_gid, name }))
}

/// Sends `signal` to `pid`; a negative `pid` means a process group. Signal 0 only asks whether it exists.
pub(crate) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill takes two integers; it touches no memory of ours.
    check(unsafe { libc::kill(pid, signal) }.into()).map(drop)
}

/// Whether `child` has ended; it is not waited for, so that its number stays its own.
pub(crate) fn has_ended(child: &std::process::Child) -> io::Result<bool> {
    // SAFETY: a siginfo of zeros is a valid one.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOWAIT | libc::WNOHANG;
    // SAFETY: waitid writes into `info`, which lives until it returns.
    check(unsafe { libc::waitid(libc::P_PID, child.id(), &raw mut info, flags) }.into())?;
    // SAFETY: with WNOHANG the field is 0 if nothing has ended, else the child's number; waitid has set it.
    Ok(unsafe { info.si_pid() } != 0)
}

/// A descriptor that stands for process `pid` and becomes readable when it ends. Linux 5.3 and later.
#[cfg(target_os = "linux")]
pub(crate) fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and returns a new descriptor or -1.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) })?;
    // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Elsewhere there is no such descriptor.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pidfd_open(_pid: u32) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Sends `signal` to the very process that `pidfd` stands for, even if its number has been reused.
#[cfg(target_os = "linux")]
pub(crate) fn pidfd_kill(pidfd: &OwnedFd, signal: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open; a null siginfo is allowed.
    let code = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    check(code).map(drop)
}

/// Elsewhere there is no such descriptor.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pidfd_kill(_pidfd: &OwnedFd, _signal: i32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Waits until `fd` is readable; `false` when `timeout` passed first. Rounds up to whole milliseconds.
pub(crate) fn wait_readable(fd: &OwnedFd, timeout: Duration) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let timeout_ms = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    // SAFETY: one pollfd that lives for the whole call.
    let ready = unsafe { libc::poll(&raw mut poll, 1, timeout_ms) };
    match check(ready.into()) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        other => other.map(|count| count > 0),
    }
}

/// Makes `command` start its own session and receive SIGINT when this process ends.
///
/// On Linux the signal is tied to the *thread* that spawns, so that thread must live as long as the process.
pub(crate) fn detach_but_die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    // SAFETY: the closure only makes async-signal-safe system calls and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            if libc::setsid() == -1 {
                return Err(io::Error::last_os_error());
            }
            #[cfg(target_os = "linux")]
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGINT) == -1 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the line above: then no signal would ever come.
            if libc::getppid() as u32 != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}

/// Makes `command` be killed when the *thread* that spawns it ends, and so when this process does.
pub(crate) fn die_with_parent(command: &mut Command) {
    let parent = std::process::id();
    // SAFETY: the closure only makes async-signal-safe system calls and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            #[cfg(target_os = "linux")]
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == -1 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the line above: then no signal would ever come.
            if libc::getppid() as u32 != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}

/// Lets the calling thread alone look at files and processes as `account` does, for the rest of its life.
///
/// Root in a container often may not look into other users' `/proc` entries; their owner may.
#[cfg(target_os = "linux")]
pub(crate) fn look_as(account: &Account) {
    // SAFETY: both calls take an integer, touch no memory and change only this thread.
    unsafe {
        libc::setfsgid(account.gid);
        libc::setfsuid(account.uid);
    }
}

/// Elsewhere threads have no identity of their own.
#[cfg(not(target_os = "linux"))]
pub(crate) fn look_as(_account: &Account) {}

/// Clock ticks a second, the unit of start times in `/proc`.
pub(crate) fn clock_ticks_per_second() -> u64 {
    // SAFETY: sysconf takes an integer and touches no memory of ours.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100).max(1)
}

/// Lets the system find out by itself, within two minutes, that the other end of a connection is gone.
pub(crate) fn keep_alive(stream: &std::net::TcpStream) -> io::Result<()> {
    set_option(stream, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    #[cfg(target_os = "linux")]
    for (option, value) in [(libc::TCP_KEEPIDLE, 30), (libc::TCP_KEEPINTVL, 10), (libc::TCP_KEEPCNT, 6)] {
        set_option(stream, libc::IPPROTO_TCP, option, value)?;
    }
    Ok(())
}

fn set_option(stream: &std::net::TcpStream, level: i32, option: i32, value: libc::c_int) -> io::Result<()> {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: an open descriptor, and an integer of the size that is given.
    let code =
        unsafe { libc::setsockopt(stream.as_raw_fd(), level, option, (&raw const value).cast(), size) };
    check(code.into()).map(drop)
}

/// Lets the disk begin to write a part of a file. It says nothing about when that is done, so that a failure is none.
#[cfg(target_os = "linux")]
pub(crate) fn begin_write_back(file: &std::fs::File, offset: u64, bytes: u64) {
    // SAFETY: an open descriptor and three numbers; no memory of ours is touched.
    unsafe {
        libc::sync_file_range(file.as_raw_fd(), offset as i64, bytes as i64, libc::SYNC_FILE_RANGE_WRITE);
    }
}

/// Elsewhere the system begins when it likes.
#[cfg(not(target_os = "linux"))]
pub(crate) fn begin_write_back(_file: &std::fs::File, _offset: u64, _bytes: u64) {}

/// Whether the C library of this machine has a locale.
pub(crate) fn has_locale(name: &str) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    let mask = libc::LC_COLLATE_MASK | libc::LC_CTYPE_MASK;
    // SAFETY: a terminated name; no locale is given to be changed.
    let locale = unsafe { libc::newlocale(mask, name.as_ptr(), std::ptr::null_mut()) };
    if locale.is_null() {
        return false;
    }
    // SAFETY: it was just made, and nobody uses it.
    unsafe { libc::freelocale(locale) };
    true
}

fn check(code: libc::c_long) -> io::Result<libc::c_long> {
    if code == -1 { Err(io::Error::last_os_error()) } else { Ok(code) }
}
