//! The control block of an awake branch: its stack of layers, and the gate that holds writers still.
//!
//! One file per awake branch, mapped by the engine and by every backend. Writers mark themselves active
//! around an operation. The engine closes the gate, waits for the active ones to leave, swaps the stack and
//! opens the gate again. The stack is kept twice and the generation says which copy holds, so that an engine
//! that dies at any point leaves either the old stack or the new one.

use std::ffi::CStr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

use crate::map::MapError;
use crate::process::ProcessId;
use crate::{FORMAT_VERSION, sys};

/// Most layers a stack can have.
pub const MAX_LAYERS: usize = 512;
/// Most processes that can write in one branch at a time.
pub const MAX_PROCESSES: usize = 1024;
const FILE_COUNTERS: usize = 4096;
const MAGIC: u64 = u64::from_le_bytes(*b"OFFSCTL\x01");

#[repr(C, align(64))]
struct Slot {
    /// Who holds the slot, packed so that it is taken in one step; 0 when free.
    holder: AtomicU64,
    active: AtomicU32,
}

#[repr(C)]
struct Stack {
    count: AtomicU32,
    unused: u32,
    layers: [AtomicU64; MAX_LAYERS],
    durable: [AtomicU8; MAX_LAYERS],
}

/// The shared block itself; see the module.
#[repr(C)]
pub struct Control {
    magic: AtomicU64,
    format: AtomicU32,
    /// Pid of the postmaster in which the interposer is active; 0 until then.
    attached: AtomicI32,
    generation: AtomicU64,
    /// 0 when open; else a number that no earlier closing had.
    gate: AtomicU32,
    closings: AtomicU32,
    closer: AtomicU64,
    incarnations: AtomicU64,
    stacks: [Stack; 2],
    /// Counted up when a file of the writable layer appears or goes, by hash of its path.
    file_versions: [AtomicU32; FILE_COUNTERS],
    slots: [Slot; MAX_PROCESSES],
}

/// Bytes of the control file.
pub const CONTROL_SIZE: usize = size_of::<Control>();

/// One layer of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackLayer {
    /// Number of the layer.
    pub id: u64,
    /// Whether all of it is known to be on disk.
    pub durable: bool,
}

/// A writer stayed inside one operation for longer than the caller had patience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stalled {
    /// The process that stayed.
    pub pid: i32,
}

/// Shared access to a mapped control block, for as long as the process lives.
#[derive(Clone, Copy)]
pub struct ControlRef(&'static Control);

impl std::ops::Deref for ControlRef {
    type Target = Control;
    fn deref(&self) -> &Control {
        self.0
    }
}

/// Writes a new control file at `path` with the given stack, top first; it has room on disk throughout.
///
/// # Errors
/// The system call's error.
///
/// # Panics
/// When `layers` does not hold 1 to [`MAX_LAYERS`] entries.
pub fn write_new(path: &std::path::Path, layers: &[StackLayer], incarnation: u64) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    assert!((1..=MAX_LAYERS).contains(&layers.len()), "a stack has 1 to {MAX_LAYERS} layers");
    // Never through a link or into a file that somebody put there.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // SAFETY: our own descriptor, of a file that is empty yet.
    if unsafe { sys::keep_blocks(std::os::fd::AsRawFd::as_raw_fd(&file), 0, CONTROL_SIZE as i64) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    file.write_all(&vec![0u8; CONTROL_SIZE])?;
    drop(file);
    let cpath = std::ffi::CString::new(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))?;
    let control = map(&cpath).map_err(|error| match error {
        MapError::Os(code) => std::io::Error::from_raw_os_error(code),
        MapError::NotAMap => std::io::Error::from(std::io::ErrorKind::InvalidData),
    })?;
    control.stacks[0].store(layers);
    control.incarnations.store(incarnation, Relaxed);
    control.format.store(FORMAT_VERSION, Relaxed);
    control.magic.store(MAGIC, Release);
    // SAFETY: nobody else has seen this mapping; the file stays.
    unsafe { sys::munmap(std::ptr::from_ref(control.0).cast_mut().cast(), CONTROL_SIZE) };
    Ok(())
}

#[expect(clippy::cast_ptr_alignment, reason = "mappings begin on a page boundary")]
fn map(path: &CStr) -> Result<ControlRef, MapError> {
    // SAFETY: the path is NUL-terminated; the size is checked before the mapping is touched; the block holds
    // only atomics, for which any bytes are valid; the mapping lasts as long as the process.
    unsafe {
        let fd = sys::open(path.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC | libc::O_NOFOLLOW, 0);
        if fd < 0 {
            return Err(MapError::Os(sys::errno()));
        }
        let size = sys::length(fd);
        if size != CONTROL_SIZE as libc::off_t {
            sys::close(fd);
            return Err(MapError::NotAMap);
        }
        let address = sys::mmap(CONTROL_SIZE, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, fd);
        let error = sys::errno();
        sys::close(fd);
        if address.is_null() {
            return Err(MapError::Os(error));
        }
        Ok(ControlRef(&*address.cast::<Control>()))
    }
}

/// Maps the control file at `path`. The mapping stays until the process ends or [`ControlRef::unmap`].
///
/// # Errors
/// [`MapError::NotAMap`] for a file of another size, magic number or format version, or without a stack.
pub fn open(path: &CStr) -> Result<ControlRef, MapError> {
    let control = map(path)?;
    if control.magic.load(Acquire) != MAGIC || control.format.load(Relaxed) != FORMAT_VERSION {
        return Err(MapError::NotAMap);
    }
    let layers = control.stack(control.generation()).count.load(Acquire) as usize;
    if (1..=MAX_LAYERS).contains(&layers) { Ok(control) } else { Err(MapError::NotAMap) }
}

impl ControlRef {
    /// Ends the mapping.
    ///
    /// # Safety
    /// No copy of this reference, nor anything borrowed from it, may be used afterwards.
    pub unsafe fn unmap(self) {
        // SAFETY: made by `map` with this size; the caller gives up all copies.
        unsafe { sys::munmap(std::ptr::from_ref(self.0).cast_mut().cast(), CONTROL_SIZE) };
    }
}

impl Stack {
    fn store(&self, layers: &[StackLayer]) {
        for (index, layer) in layers.iter().enumerate() {
            self.layers[index].store(layer.id, Relaxed);
            self.durable[index].store(u8::from(layer.durable), Relaxed);
        }
        self.count.store(layers.len() as u32, Release);
    }
}

impl Control {
    /// The stack's generation; it changes with every swap.
    pub fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    fn stack(&self, generation: u64) -> &Stack {
        &self.stacks[(generation % 2) as usize]
    }

    /// The present stack, top first, with its generation. `into` receives the layers' numbers.
    pub fn read_stack(&self, into: &mut Vec<u64>) -> u64 {
        loop {
            let generation = self.generation();
            let stack = self.stack(generation);
            let count = (stack.count.load(Acquire) as usize).min(MAX_LAYERS);
            into.clear();
            into.extend(stack.layers[..count].iter().map(|layer| layer.load(Relaxed)));
            if self.generation.load(SeqCst) == generation {
                return generation;
            }
        }
    }

    /// Whether layer `index` of the stack of `generation` is known to be on disk; not if another stack holds by now.
    pub fn is_durable(&self, generation: u64, index: usize) -> bool {
        let durable = self.stack(generation).durable[index].load(Acquire) != 0;
        // The place of that stack may have been taken by one two swaps later.
        durable && self.generation.load(SeqCst) == generation
    }

    /// Marks `layer` as being on disk, wherever it stands in the present stack. Engine only.
    pub fn set_durable(&self, layer: u64) {
        let stack = self.stack(self.generation());
        let count = (stack.count.load(Acquire) as usize).min(MAX_LAYERS);
        for index in 0..count {
            if stack.layers[index].load(Relaxed) == layer {
                stack.durable[index].store(1, Release);
            }
        }
    }

    /// The present stack with what is known of its layers. Engine only, which alone swaps it.
    pub fn layers(&self) -> Vec<StackLayer> {
        let generation = self.generation();
        let mut ids = Vec::new();
        self.read_stack(&mut ids);
        let layer =
            |(index, id): (usize, &u64)| StackLayer { id: *id, durable: self.is_durable(generation, index) };
        ids.iter().enumerate().map(layer).collect()
    }

    /// Puts another stack in place. Engine only, one call at a time; with the gate closed if the writable layer is
    /// another one. Who is in the middle of an operation ends it on the old stack.
    ///
    /// # Panics
    /// When `layers` does not hold 1 to [`MAX_LAYERS`] entries.
    pub fn swap_stack(&self, layers: &[StackLayer]) {
        assert!((1..=MAX_LAYERS).contains(&layers.len()), "a stack has 1 to {MAX_LAYERS} layers");
        let next = self.generation() + 1;
        self.stack(next).store(layers);
        self.generation.store(next, SeqCst);
    }

    /// The counter for files whose path hashes to `hash`.
    pub fn file_version(&self, hash: usize) -> u32 {
        self.file_versions[hash % FILE_COUNTERS].load(Acquire)
    }

    /// Tells other processes that a file whose path hashes to `hash` appeared or went.
    pub fn bump_file_version(&self, hash: usize) {
        self.file_versions[hash % FILE_COUNTERS].fetch_add(1, AcqRel);
    }

    /// A number that no other creation of a file in this branch has had since the branch was made.
    pub fn next_incarnation(&self) -> u64 {
        self.incarnations.fetch_add(1, AcqRel) + 1
    }

    /// Records that the interposer is active in the calling process. Only the first call counts.
    pub fn attach(&self, pid: i32) {
        let _ = self.attached.compare_exchange(0, pid, AcqRel, Relaxed);
    }

    /// The pid of the postmaster in which the interposer is active.
    pub fn attached(&self) -> Option<i32> {
        match self.attached.load(Acquire) {
            0 => None,
            pid => Some(pid),
        }
    }

    /// Takes a slot for the calling process; `None` when [`MAX_PROCESSES`] live ones hold them all.
    pub fn claim_slot(&self) -> Option<usize> {
        let me = ProcessId::current().packed();
        for take_over in [false, true] {
            for (index, slot) in self.slots.iter().enumerate() {
                let holder = slot.holder.load(Acquire);
                let free =
                    holder == 0 || holder == me || (take_over && !ProcessId::unpacked(holder).is_alive());
                if free && slot.holder.compare_exchange(holder, me, SeqCst, Relaxed).is_ok() {
                    slot.active.store(0, SeqCst);
                    return Some(index);
                }
            }
        }
        None
    }

    /// Gives a slot back at the end of its process.
    pub fn release_slot(&self, slot: usize) {
        self.slots[slot].active.store(0, SeqCst);
        self.slots[slot].holder.store(0, SeqCst);
    }

    /// Enters the gate with `slot`: waits while it is closed by a living closer.
    pub fn enter(&self, slot: usize) {
        let active = &self.slots[slot].active;
        loop {
            active.store(1, SeqCst);
            let gate = self.gate.load(SeqCst);
            if gate == 0 {
                return;
            }
            active.store(0, SeqCst);
            sys::futex_wait(&self.gate, gate, 200);
            self.open_if_abandoned(gate);
        }
    }

    /// Leaves the gate.
    pub fn leave(&self, slot: usize) {
        self.slots[slot].active.store(0, Release);
    }

    fn open_if_abandoned(&self, gate: u32) {
        if self.gate.load(SeqCst) != gate {
            return;
        }
        let closer = ProcessId::unpacked(self.closer.load(SeqCst));
        if !closer.is_alive() && self.gate.compare_exchange(gate, 0, SeqCst, SeqCst).is_ok() {
            sys::futex_wake_all(&self.gate);
        }
    }

    /// Closes the gate and waits until no live process is inside. Engine only, one closer at a time.
    ///
    /// # Errors
    /// [`Stalled`], with the gate open again, when a live writer stays inside for longer than `patience`.
    pub fn close_gate(&self, patience: Duration) -> Result<(), Stalled> {
        self.closer.store(ProcessId::current().packed(), SeqCst);
        let number = self.closings.fetch_add(1, SeqCst).wrapping_add(1).max(1);
        self.gate.store(number, SeqCst);
        let deadline = Instant::now() + patience;
        for slot in &self.slots {
            let mut looks = 0u32;
            while slot.active.load(SeqCst) != 0 {
                let holder = ProcessId::unpacked(slot.holder.load(SeqCst));
                looks += 1;
                if holder.pid == 0 || (looks.is_multiple_of(64) && !holder.is_alive()) {
                    break;
                }
                if Instant::now() > deadline {
                    self.open_gate();
                    return Err(Stalled { pid: holder.pid });
                }
                if looks > 100 {
                    std::thread::sleep(Duration::from_micros(50));
                } else {
                    std::hint::spin_loop();
                }
            }
        }
        Ok(())
    }

    /// Opens the gate.
    pub fn open_gate(&self) {
        self.gate.store(0, SeqCst);
        sys::futex_wake_all(&self.gate);
    }
}

/// Hash of a relation path, for [`Control::file_version`] (FNV-1a).
pub fn path_hash(path: &[u8]) -> usize {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for &byte in path {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (hash >> 20) as usize % FILE_COUNTERS
}

#[cfg(test)]
mod tests;
