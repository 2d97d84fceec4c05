//! Which start of the machine this is.

/// The kernel's boot id: what was written since is in its memory; what is not synced is lost at its end.
pub(crate) fn id() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}
