//! Test builds only: refuses or shortens chosen system calls, as a bad or full disk does, and ends a process at a chosen point, as
//! a kill does.
//!
//! On when the branch's folder has a file `faults` of [`WORDS`] numbers of 64 bits in the byte order of the machine. All processes
//! of the branch share it, and the test writes it:
//!
//! | word | what |
//! | --- | --- |
//! | 0 | calls that may fail, a bit for each [`Call`]; 0 is off |
//! | 1 | targets whose calls may fail, a bit for each [`Target`] |
//! | 2 | which of those calls fails: 1 is the next one. Counted down |
//! | 3 | the `errno`, or 0 for a write that is done in part |
//! | 4 | whether all of those calls that follow fail too |
//! | 5 | calls that have failed |
//! | 6 | one more than the number of the [`Point`] at which a process ends itself; 0 is off |
//! | 7 | at which pass of it: 1 is the next one. Counted down |
//! | 8 | the process that has ended itself, as a packed [`ProcessId`] |
//!
//! In a release build nothing of this is left.

use std::ffi::CStr;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use libc::{c_int, c_long};
use offshoot_pages::fault::{Call, On, set_hook};
use offshoot_pages::point::{self, Point};
use offshoot_pages::process::ProcessId;

use crate::local::{Setup, setup};

const WORDS: usize = 9;
/// Bytes of a block of a disk: what is written in part ends at one.
const BLOCK: usize = 512;

/// What a call works on. Others than these never fail here.
#[derive(Clone, Copy)]
#[repr(usize)]
enum Target {
    /// The pages of a relation file in a layer.
    Data,
    /// A page map.
    PageMap,
    /// A folder of a layer.
    LayerFolder,
    /// A file of the WAL.
    Wal,
    /// `pg_control`.
    ControlFile,
    /// Any other file of the data directory.
    Other,
}

static PLAN: AtomicPtr<AtomicU64> = AtomicPtr::new(std::ptr::null_mut());

/// Takes up the plan at `path`, if there is one.
pub(crate) fn start(path: &CStr) {
    let size = WORDS * size_of::<AtomicU64>();
    let (access, protection) = (libc::O_RDWR | libc::O_CLOEXEC, libc::PROT_READ | libc::PROT_WRITE);
    unsafe {
        let fd = libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), access, 0);
        if fd < 0 || libc::syscall(libc::SYS_lseek, fd, 0 as c_long, libc::SEEK_END) < size as c_long {
            return;
        }
        let plan =
            libc::syscall(libc::SYS_mmap, 0 as c_long, size, protection, libc::MAP_SHARED, fd, 0 as c_long);
        libc::syscall(libc::SYS_close, fd);
        if plan != -1 {
            PLAN.store(plan as *mut AtomicU64, Relaxed);
            set_hook(ask);
            point::set_hook(pass);
        }
    }
}

fn ask(call: Call, on: On, length: usize) -> Result<usize, c_int> {
    let plan = PLAN.load(Relaxed);
    // SAFETY: `start` has mapped so many words for the life of the process.
    let word = |index: usize| unsafe { &*plan.add(index) };
    if word(0).load(Acquire) & (1 << call as usize) == 0 {
        return Ok(length);
    }
    if target(on).is_none_or(|target| word(1).load(Acquire) & (1 << target as usize) == 0) {
        return Ok(length);
    }
    let error = word(3).load(Acquire);
    if call == Call::Write && error == 0 && length <= 1 {
        return Ok(length);
    }
    let before = word(2).fetch_update(AcqRel, Acquire, |left| left.checked_sub(1)).unwrap_or(0);
    if before != 1 && !(before == 0 && word(4).load(Acquire) != 0) {
        return Ok(length);
    }
    word(5).fetch_add(1, AcqRel);
    match error {
        // Of a vector, the number of its pieces.
        0 if length < BLOCK => Ok(length / 2),
        0 => Ok(length / 2 / BLOCK * BLOCK),
        error => Err(error as c_int),
    }
}

fn pass(point: Point) {
    let plan = PLAN.load(Relaxed);
    // SAFETY: as in `ask`.
    let word = |index: usize| unsafe { &*plan.add(index) };
    if word(6).load(Acquire) != point as u64 + 1 {
        return;
    }
    let before = word(7).fetch_update(AcqRel, Acquire, |left| left.checked_sub(1)).unwrap_or(0);
    if before == 1 {
        word(8).store(ProcessId::current().packed(), Relaxed);
        // Those that clear up after this one go on.
        word(6).store(0, Release);
        // SAFETY: ends this process.
        unsafe { libc::syscall(libc::SYS_kill, libc::syscall(libc::SYS_getpid), libc::SIGKILL) };
    }
}

fn target(on: On) -> Option<Target> {
    let setup = setup()?;
    let mut buffer = [0u8; 4096];
    match on {
        On::MapMemory => Some(Target::PageMap),
        On::Path(path) => target_of_path(setup, unsafe { CStr::from_ptr(path) }.to_bytes()),
        On::Descriptor(fd) => {
            let link = format!("/proc/self/fd/{fd}\0");
            let length = unsafe {
                let (to, room) = (buffer.as_mut_ptr(), buffer.len());
                libc::syscall(libc::SYS_readlinkat, libc::AT_FDCWD, link.as_ptr(), to, room)
            };
            target_of_path(setup, &buffer[..usize::try_from(length).ok()?])
        }
    }
}

fn target_of_path(setup: &Setup, path: &[u8]) -> Option<Target> {
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    if let Some(of_layer) = path.strip_prefix(&setup.layers_dir[..]) {
        let is_map = of_layer.ends_with(b".m") || of_layer.ends_with(b".m.tmp");
        return Some(match () {
            () if is_map => Target::PageMap,
            () if of_layer.ends_with(b".d") => Target::Data,
            () => Target::LayerFolder,
        });
    }
    if path == setup.control_file.as_bytes() {
        return Some(Target::ControlFile);
    }
    let own = match path.strip_prefix(&setup.data_dir[..]) {
        Some(own) => own.strip_prefix(b"/")?,
        None if path.first() == Some(&b'/') => return None,
        None => path,
    };
    Some(if own.starts_with(b"pg_wal/") { Target::Wal } else { Target::Other })
}
