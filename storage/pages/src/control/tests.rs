use super::*;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;

fn layer(id: u64) -> StackLayer {
    StackLayer { id, durable: false }
}

fn control(layers: &[StackLayer]) -> ControlRef {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control");
    write_new(&path, layers, 0).unwrap();
    open(&CString::new(path.as_os_str().as_bytes()).unwrap()).unwrap()
}

#[test]
fn a_swap_is_seen_whole_and_changes_the_generation() {
    let control = control(&[layer(7)]);
    let mut seen = Vec::new();
    let before = control.read_stack(&mut seen);
    assert_eq!(seen, [7]);
    control.swap_stack(&[layer(8), StackLayer { id: 7, durable: true }]);
    let after = control.read_stack(&mut seen);
    assert_eq!(seen, [8, 7]);
    assert_ne!(before, after);
    assert!(!control.is_durable(after, 0));
    assert!(control.is_durable(after, 1));
}

#[test]
fn a_layer_becomes_durable_in_the_present_stack() {
    let control = control(&[layer(8), layer(7)]);
    control.set_durable(7);
    let generation = control.generation();
    assert!(!control.is_durable(generation, 0));
    assert!(control.is_durable(generation, 1));
}

#[test]
fn the_gate_waits_for_a_writer_and_gives_up_when_patience_ends() {
    let control = control(&[layer(1)]);
    let slot = control.claim_slot().unwrap();
    control.enter(slot);
    let pid = std::process::id() as i32;
    assert_eq!(control.close_gate(Duration::from_millis(20)), Err(Stalled { pid }));
    control.leave(slot);
    assert_eq!(control.close_gate(Duration::from_secs(5)), Ok(()));
    control.open_gate();
    control.enter(slot);
    control.leave(slot);
}

#[test]
fn a_writer_that_died_inside_the_gate_does_not_hold_it() {
    let control = control(&[layer(1)]);
    // SAFETY: the child calls only code that does not allocate, then exits at once.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let slot = control.claim_slot().unwrap_or(0);
        control.enter(slot);
        // SAFETY: leaves without running anything of the parent's.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: waits for our own child.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    assert_eq!(control.close_gate(Duration::from_secs(5)), Ok(()));
}

#[test]
fn a_gate_whose_closer_died_is_opened_by_the_next_writer() {
    let control = control(&[layer(1)]);
    // SAFETY: as above.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let _ = control.close_gate(Duration::from_secs(1));
        // SAFETY: as above.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: waits for our own child.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    let slot = control.claim_slot().unwrap();
    control.enter(slot);
    control.leave(slot);
}

#[test]
fn a_control_file_of_another_size_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control");
    std::fs::write(&path, [0u8; 100]).unwrap();
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    assert_eq!(open(&path).err(), Some(MapError::NotAMap));
}
