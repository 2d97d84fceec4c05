//! What one process knows: where its branch is, its stack of layers, its slot.

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::{CStr, CString};

use libc::{c_char, c_int};
use offshoot_pages::control::{self, ControlRef};
use offshoot_pages::point::{Point, pass};
use offshoot_pages::sys;

use crate::table;

/// Environment variable: the branch's data directory, absolute and without symbolic links.
/// The folder above it holds `control`, `pg_control` and `namespace.lock`.
pub(crate) const DATA_DIR: &CStr = c"OFFSHOOT_DATA_DIR";
/// Environment variable: the folder that holds all layers of the store.
pub(crate) const LAYERS_DIR: &CStr = c"OFFSHOOT_LAYERS_DIR";
const PRELOAD: &CStr = c"LD_PRELOAD";
/// Folders that a process remembers; a checkpoint touches a few databases in a few layers.
const MAX_DURABLE_FOLDERS: usize = 64;
/// Exit code of a process that cannot reach its branch (`EX_CONFIG`).
const EXIT_CONFIG: c_int = 78;

/// Where the branch is; set once, before `main`.
pub(crate) struct Setup {
    pub(crate) control: ControlRef,
    /// Without trailing slash.
    pub(crate) data_dir: Vec<u8>,
    /// With trailing slash.
    pub(crate) layers_dir: Vec<u8>,
    pub(crate) control_file: CString,
    lock_file: CString,
}

/// The state of the process; only its main thread touches it.
pub(crate) struct Local {
    setup: OnceCell<Setup>,
    /// Whether the working directory is the data directory.
    pub(crate) in_data_dir: Cell<bool>,
    generation: Cell<u64>,
    stack: RefCell<Vec<u64>>,
    pub(crate) slot: Cell<Option<usize>>,
    pub(crate) gate_depth: Cell<u32>,
    lock_fd: Cell<c_int>,
    /// The folder of a layer whose way from the top is durable, as last synced by this process.
    durable_folders: RefCell<Vec<(u64, Vec<u8>)>>,
}

struct MainThreadOnly(Local);
// SAFETY: invariant 2 of the crate.
unsafe impl Sync for MainThreadOnly {}

static LOCAL: MainThreadOnly = MainThreadOnly(Local {
    setup: OnceCell::new(),
    in_data_dir: Cell::new(false),
    generation: Cell::new(u64::MAX),
    stack: RefCell::new(Vec::new()),
    slot: Cell::new(None),
    gate_depth: Cell::new(0),
    lock_fd: Cell::new(-1),
    durable_folders: RefCell::new(Vec::new()),
});

thread_local! {
    static IS_MAIN: Cell<bool> = const { Cell::new(false) };
}

/// The state of the process.
pub(crate) fn local() -> &'static Local {
    &LOCAL.0
}

/// Whether the calling thread is the one that owns [`local`].
pub(crate) fn is_main_thread() -> bool {
    IS_MAIN.with(Cell::get)
}

/// Where the branch is; `None` when the interposer is off in this process.
pub(crate) fn setup() -> Option<&'static Setup> {
    LOCAL.0.setup.get()
}

/// As [`setup`], where a relation file is at hand and the interposer therefore is on.
pub(crate) fn active() -> &'static Setup {
    match setup() {
        Some(setup) => setup,
        None => die("a relation file is open although the interposer is off"),
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static INIT: extern "C" fn() = init;

extern "C" fn init() {
    IS_MAIN.with(|main| main.set(true));
    let (Some(data_dir), Some(layers_dir)) = (variable(DATA_DIR), variable(LAYERS_DIR)) else { return };
    let preload = variable(PRELOAD);
    unsafe {
        libc::unsetenv(DATA_DIR.as_ptr());
        libc::unsetenv(LAYERS_DIR.as_ptr());
    }
    drop_own_preload(preload.as_deref());
    let Some(end) = data_dir.iter().rposition(|&byte| byte == b'/') else {
        die("OFFSHOOT_DATA_DIR is not an absolute path");
    };
    let beside = |name: &str| {
        CString::new([&data_dir[..=end], name.as_bytes()].concat())
            .unwrap_or_else(|_| die("OFFSHOOT_DATA_DIR holds a NUL byte"))
    };
    let Ok(control) = control::open(&beside("control")) else {
        die("the branch's control file is missing or of another version");
    };
    #[cfg(debug_assertions)]
    crate::power::start(&beside("power-journal"));
    #[cfg(debug_assertions)]
    crate::fault::start(&beside("faults"));
    let setup = Setup {
        control,
        control_file: beside("pg_control"),
        lock_file: beside("namespace.lock"),
        layers_dir: [&layers_dir[..], b"/"].concat(),
        data_dir,
    };
    table::limit_descriptors();
    unsafe { libc::pthread_atfork(None, None, Some(after_fork)) };
    control.attach(unsafe { libc::getpid() });
    let _ = LOCAL.0.setup.set(setup);
    LOCAL.0.note_working_directory();
}

#[used]
#[unsafe(link_section = ".fini_array")]
static FINISH: extern "C" fn() = finish;

/// Gives the slot back. A process that is killed keeps its slot until another one needs it.
extern "C" fn finish() {
    if let (Some(setup), Some(slot)) = (setup(), LOCAL.0.slot.take()) {
        setup.control.release_slot(slot);
    }
}

extern "C" fn after_fork() {
    LOCAL.0.slot.set(None);
    LOCAL.0.lock_fd.set(-1);
}

fn variable(name: &CStr) -> Option<Vec<u8>> {
    let value = unsafe { libc::getenv(name.as_ptr()) };
    if value.is_null() { None } else { Some(unsafe { CStr::from_ptr(value) }.to_bytes().to_vec()) }
}

/// Takes this library, which the engine puts first, out of `LD_PRELOAD`.
fn drop_own_preload(preload: Option<&[u8]>) {
    let rest =
        preload.and_then(|list| list.iter().position(|&byte| byte == b':').map(|end| &list[end + 1..]));
    match rest.and_then(|rest| CString::new(rest).ok()) {
        Some(rest) if !rest.is_empty() => unsafe {
            libc::setenv(PRELOAD.as_ptr(), rest.as_ptr(), 1);
        },
        _ => unsafe {
            libc::unsetenv(PRELOAD.as_ptr());
        },
    }
}

/// Ends the process: going on would read or write the wrong data.
pub(crate) fn die(reason: &str) -> ! {
    complain(&[reason]);
    unsafe { libc::_exit(EXIT_CONFIG) }
}

/// Writes a line to Postgres's log.
pub(crate) fn complain(parts: &[&str]) {
    for part in ["offshoot: "].iter().chain(parts).chain(&["\n"]) {
        unsafe { libc::syscall(libc::SYS_write, 2, part.as_ptr(), part.len()) };
    }
}

impl Local {
    /// Looks up whether the working directory is the data directory.
    pub(crate) fn note_working_directory(&self) {
        let Some(setup) = setup() else { return };
        let mut buffer = [0u8; 4096];
        let length = unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) };
        let here = usize::try_from(length).ok().and_then(|length| buffer.get(..length.saturating_sub(1)));
        self.in_data_dir.set(here == Some(&setup.data_dir[..]));
    }

    /// The generation of the stack this process goes by, after catching up with the branch.
    pub(crate) fn catch_up(&self) -> u64 {
        let control = active().control;
        if control.generation() != self.generation.get() {
            self.generation.set(control.read_stack(&mut self.stack.borrow_mut()));
            pass(Point::StackRead);
        }
        self.generation.get()
    }

    /// Number of layers in the stack.
    pub(crate) fn depth(&self) -> usize {
        self.stack.borrow().len()
    }

    /// The layer at `index` of the stack, 0 being the writable one.
    pub(crate) fn layer(&self, index: usize) -> u64 {
        self.stack.borrow()[index]
    }

    /// Whether the layer at `index` is known to be on disk.
    pub(crate) fn is_durable(&self, index: usize) -> bool {
        active().control.is_durable(self.generation.get(), index)
    }

    /// Whether this process has made the folders above a layer's folder durable.
    pub(crate) fn folder_is_known_durable(&self, layer: u64, folder: &[u8]) -> bool {
        self.durable_folders.borrow().iter().any(|known| known.0 == layer && known.1 == folder)
    }

    /// Remembers a folder of [`Local::folder_is_known_durable`]; few at a time.
    pub(crate) fn note_durable_folder(&self, layer: u64, folder: &[u8]) {
        let mut known = self.durable_folders.borrow_mut();
        if known.len() >= MAX_DURABLE_FOLDERS {
            known.clear();
        }
        known.push((layer, folder.to_vec()));
    }

    /// Locks the branch's names against other processes until the guard goes.
    ///
    /// A record lock: owned by the process, unlike one of an open file, which forked backends would share.
    pub(crate) fn lock_names(&self) -> NamesLocked {
        if self.lock_fd.get() < 0 {
            let flags = libc::O_RDWR | libc::O_CREAT | libc::O_CLOEXEC;
            let fd = unsafe { sys::open(active().lock_file.as_ptr(), flags, 0o600) };
            if fd < 0 {
                die("cannot open the branch's namespace.lock");
            }
            self.lock_fd.set(fd);
        }
        loop {
            if record_lock(self.lock_fd.get(), libc::F_SETLKW, libc::F_WRLCK) {
                return NamesLocked(self.lock_fd.get());
            }
            if sys::errno() != libc::EINTR {
                die("cannot lock the branch's namespace.lock");
            }
        }
    }
}

/// Holds the lock of [`Local::lock_names`].
pub(crate) struct NamesLocked(c_int);

impl Drop for NamesLocked {
    fn drop(&mut self) {
        let error = sys::errno();
        record_lock(self.0, libc::F_SETLK, libc::F_UNLCK);
        sys::set_errno(error);
    }
}

fn record_lock(fd: c_int, command: c_int, kind: c_int) -> bool {
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as i16;
    unsafe { libc::syscall(libc::SYS_fcntl, fd, command, &raw const lock) == 0 }
}

/// Fails with `code` in `errno`.
pub(crate) fn fail(code: c_int) -> c_int {
    sys::set_errno(code);
    -1
}

/// The path of a relation file's part in a layer: `<layers>/<layer>/<relation><suffix>`.
pub(crate) fn layer_path(layer: u64, relation: &[u8], suffix: &[u8]) -> CString {
    let mut path = Vec::with_capacity(active().layers_dir.len() + 18 + relation.len() + suffix.len());
    path.extend_from_slice(&active().layers_dir);
    for shift in (0..16).rev() {
        path.push(b"0123456789abcdef"[(layer >> (shift * 4)) as usize & 15]);
    }
    path.push(b'/');
    path.extend_from_slice(relation);
    path.extend_from_slice(suffix);
    // SAFETY: built from paths that were C strings.
    unsafe { CString::from_vec_unchecked(path) }
}

/// Borrows a C path as bytes.
pub(crate) unsafe fn bytes<'a>(path: *const c_char) -> &'a [u8] {
    unsafe { CStr::from_ptr(path) }.to_bytes()
}
