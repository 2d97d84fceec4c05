//! Processes by pid and start time, so that a recycled pid is never taken for its predecessor.

use std::ffi::CStr;

use crate::sys;

const PID_MASK: u64 = (1 << 22) - 1;

/// One process: its pid and when it started, in clock ticks since boot (`/proc/<pid>/stat`, field 22).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessId {
    /// The pid.
    pub pid: i32,
    /// Start time in clock ticks since boot; 0 when it could not be read.
    pub started: u64,
}

impl ProcessId {
    /// The calling process.
    pub fn current() -> Self {
        let pid = sys::getpid();
        Self { pid, started: start_time(pid).unwrap_or(0) }
    }

    /// The process in one word: the pid in the lower 22 bits (the kernel's limit), the start time above.
    pub fn packed(self) -> u64 {
        self.started << 22 | (self.pid as u64 & PID_MASK)
    }

    /// The reverse of [`ProcessId::packed`].
    pub fn unpacked(word: u64) -> Self {
        Self { pid: (word & PID_MASK) as i32, started: word >> 22 }
    }

    /// Whether this very process still runs. A zombie does not; one that cannot be looked at, because `/proc` is
    /// hidden or this process is out of descriptors, does: who is in doubt must wait.
    pub fn is_alive(self) -> bool {
        if sys::kill_none(self.pid) == -1 && sys::errno() == libc::ESRCH {
            return false;
        }
        match read_stat(self.pid) {
            Some((b'Z' | b'X', _)) => false,
            Some((_, started)) => self.started == 0 || started == self.started,
            None => true,
        }
    }
}

/// When process `pid` started, in clock ticks since boot; `None` when there is none.
pub fn start_time(pid: i32) -> Option<u64> {
    read_stat(pid).map(|(_, started)| started)
}

fn read_stat(pid: i32) -> Option<(u8, u64)> {
    let mut path = [0u8; 32];
    let mut end = 6;
    path[..6].copy_from_slice(b"/proc/");
    let mut digits = [0u8; 10];
    let mut count = 0;
    let mut rest = u32::try_from(pid).ok()?;
    loop {
        digits[count] = b'0' + (rest % 10) as u8;
        count += 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    for digit in digits[..count].iter().rev() {
        path[end] = *digit;
        end += 1;
    }
    path[end..end + 5].copy_from_slice(b"/stat");
    let path = CStr::from_bytes_until_nul(&path).ok()?;
    let mut buffer = [0u8; 1024];
    // SAFETY: the path is NUL-terminated, the buffer is ours, the descriptor is closed once.
    let length = unsafe {
        let fd = sys::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC, 0);
        if fd < 0 {
            return None;
        }
        let length = sys::read(fd, buffer.as_mut_ptr().cast(), buffer.len());
        sys::close(fd);
        length
    };
    parse_stat(&buffer[..usize::try_from(length).ok()?])
}

/// State letter and start time out of a line of `/proc/<pid>/stat`. The command name may hold anything,
/// so fields are counted from its last closing parenthesis.
fn parse_stat(line: &[u8]) -> Option<(u8, u64)> {
    let close = line.iter().rposition(|&byte| byte == b')')?;
    let mut fields = line[close + 1..].split(|&byte| byte == b' ').filter(|field| !field.is_empty());
    let state = *fields.next()?.first()?;
    let started = fields.nth(18)?;
    let started = std::str::from_utf8(started).ok()?.trim().parse().ok()?;
    Some((state, started))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_process_is_alive_and_a_recycled_pid_is_not() {
        let me = ProcessId::current();
        assert!(me.started > 0);
        assert!(me.is_alive());
        assert!(!ProcessId { started: me.started + 1, ..me }.is_alive());
    }

    #[test]
    fn a_command_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let line = b"7 (a) b) c) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 0 0\n";
        assert_eq!(parse_stat(line), Some((b'S', 4242)));
    }

    #[test]
    fn an_exited_child_that_nobody_reaped_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id() as i32;
        let id = ProcessId { pid, started: start_time(pid).unwrap_or(0) };
        // SAFETY: waits for our own child without reaping it.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            libc::waitid(libc::P_PID, pid as u32, &raw mut info, libc::WEXITED | libc::WNOWAIT);
        }
        assert!(!id.is_alive());
        child.wait().unwrap();
    }
}
