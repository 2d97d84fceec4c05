//! Which settings of Postgres a repository's file may make.

/// Settings that Offshoot makes itself.
const OWNED: &[&str] = &[
    "config_file",
    "data_directory",
    "data_sync_retry",
    "event_source",
    "external_pid_file",
    "fsync",
    "full_page_writes",
    "hba_file",
    "hot_standby",
    "ident_file",
    "listen_addresses",
    "log_directory",
    "log_filename",
    "log_destination",
    "logging_collector",
    "password_encryption",
    "port",
    "promote_trigger_file",
    "stats_temp_directory",
    "synchronous_standby_names",
    "wal_init_zero",
    "wal_level",
    "wal_recycle",
    "zero_damaged_pages",
    "ignore_checksum_failure",
    "ignore_invalid_pages",
    "ignore_system_indexes",
    "allow_system_table_mods",
    "bonjour",
    "ssl",
];
/// Families of settings that Offshoot makes itself.
const OWNED_FAMILIES: &[&str] =
    &["archive_", "krb_", "primary_", "recovery_", "restore_", "ssl_", "unix_socket_", "io_uring"];
/// Settings that make Postgres run or load what a file names.
const PROGRAMS: &[&str] = &[
    "dynamic_library_path",
    "local_preload_libraries",
    "session_preload_libraries",
    "jit_provider",
    "extension_control_path",
];

/// Says why `name`, in lower case, cannot be set.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let well_formed = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.');
    if !well_formed {
        return Err(format!("`{name}` is not the name of a setting of Postgres"));
    }
    if PROGRAMS.contains(&name) || name.ends_with("_command") || name.ends_with("_library") {
        return Err(format!("`{name}` names code to run, which a repository's file cannot"));
    }
    if OWNED.contains(&name) || OWNED_FAMILIES.iter().any(|family| name.starts_with(family)) {
        return Err(format!("`{name}` is set by Offshoot itself"));
    }
    Ok(())
}

/// Says why `name` cannot have this value.
pub(super) fn check_value(name: &str, value: &str) -> Result<(), String> {
    if name == "io_method" && value.eq_ignore_ascii_case("io_uring") {
        return Err("`io_method = io_uring` goes past the page layers; use \"worker\" or \"sync\"".to_owned());
    }
    if name == "shared_preload_libraries" && value.contains(['/', '\\']) {
        return Err(
            "`shared_preload_libraries` contains a path; only libraries that come with Postgres can be named"
                .to_owned(),
        );
    }
    Ok(())
}
