//! Entering and leaving the branch's gate.

use offshoot_pages::point::{Point, pass};
use offshoot_pages::sys;

use crate::local::{active, die, is_main_thread, local, setup};

/// Inside the gate until dropped: no freeze can happen meanwhile. Nests.
pub(crate) struct Entered(bool);

/// Enters the gate; does nothing where the interposer is off, and for other threads than the main one.
pub(crate) fn enter() -> Entered {
    if setup().is_none() || !is_main_thread() {
        return Entered(false);
    }
    let local = local();
    let depth = local.gate_depth.get();
    local.gate_depth.set(depth + 1);
    if depth == 0 {
        let error = sys::errno();
        active().control.enter(slot());
        pass(Point::GateEntered);
        sys::set_errno(error);
    }
    Entered(true)
}

impl Drop for Entered {
    fn drop(&mut self) {
        if !self.0 {
            return;
        }
        let local = local();
        let depth = local.gate_depth.get() - 1;
        local.gate_depth.set(depth);
        if depth == 0 {
            active().control.leave(slot());
        }
    }
}

fn slot() -> usize {
    if let Some(slot) = local().slot.get() {
        return slot;
    }
    match active().control.claim_slot() {
        Some(slot) => {
            local().slot.set(Some(slot));
            slot
        }
        None => die("more processes write in this branch than it has slots"),
    }
}
