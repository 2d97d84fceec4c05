//! Which settings of Postgres a repository's file may make.
//!
//! A repository may come from anybody, so what its file may set is listed, and everything else is refused: many
//! settings of Postgres and of its extensions name libraries, programs and scripts that Postgres then runs.

use super::parse::closest;

/// Settings that only tune.
#[rustfmt::skip]
const ALLOWED: &[&str] = &[
    // Memory.
    "shared_buffers", "huge_pages", "huge_page_size", "temp_buffers", "work_mem", "hash_mem_multiplier",
    "maintenance_work_mem", "logical_decoding_work_mem", "max_stack_depth", "temp_file_limit",
    "min_dynamic_shared_memory", "shared_memory_type", "dynamic_shared_memory_type",
    // Connections, and what is reserved for each.
    "max_connections", "superuser_reserved_connections", "reserved_connections", "max_prepared_transactions",
    "max_locks_per_transaction", "max_pred_locks_per_transaction", "max_pred_locks_per_relation",
    "max_pred_locks_per_page", "max_files_per_process", "client_connection_check_interval",
    "tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout",
    // Workers.
    "max_worker_processes", "max_parallel_workers", "max_parallel_workers_per_gather",
    "max_parallel_maintenance_workers", "parallel_leader_participation", "parallel_setup_cost",
    "parallel_tuple_cost", "min_parallel_table_scan_size", "min_parallel_index_scan_size",
    "debug_parallel_query", "force_parallel_mode",
    // The planner.
    "seq_page_cost", "random_page_cost", "cpu_tuple_cost", "cpu_index_tuple_cost", "cpu_operator_cost",
    "effective_cache_size", "effective_io_concurrency", "maintenance_io_concurrency",
    "default_statistics_target", "constraint_exclusion", "cursor_tuple_fraction", "from_collapse_limit",
    "join_collapse_limit", "plan_cache_mode", "recursive_worktable_factor", "geqo", "geqo_threshold",
    "geqo_effort", "geqo_pool_size", "geqo_generations", "geqo_selection_bias", "geqo_seed",
    "jit", "jit_above_cost", "jit_inline_above_cost", "jit_optimize_above_cost", "jit_expressions",
    "jit_tuple_deforming",
    // The WAL and the writers.
    "max_wal_size", "min_wal_size", "wal_buffers", "wal_compression", "wal_log_hints", "wal_writer_delay",
    "wal_writer_flush_after", "wal_skip_threshold", "wal_keep_size", "wal_sender_timeout",
    "wal_receiver_timeout", "max_wal_senders", "max_replication_slots", "max_slot_wal_keep_size",
    "max_logical_replication_workers", "max_sync_workers_per_subscription",
    "max_parallel_apply_workers_per_subscription", "track_commit_timestamp", "checkpoint_timeout",
    "checkpoint_completion_target", "checkpoint_flush_after", "checkpoint_warning", "synchronous_commit",
    "commit_delay", "commit_siblings", "bgwriter_delay", "bgwriter_lru_maxpages", "bgwriter_lru_multiplier",
    "bgwriter_flush_after", "backend_flush_after",
    // Reading and writing.
    "io_method", "io_workers", "io_combine_limit", "io_max_combine_limit", "io_max_concurrency",
    "synchronize_seqscans", "default_toast_compression", "commit_timestamp_buffers", "multixact_member_buffers",
    "multixact_offset_buffers", "notify_buffers", "serializable_buffers", "subtransaction_buffers",
    "transaction_buffers",
    // Time limits.
    "statement_timeout", "lock_timeout", "transaction_timeout", "deadlock_timeout", "authentication_timeout",
    "idle_in_transaction_session_timeout", "idle_session_timeout",
    // What is logged: never where to.
    "log_min_messages", "log_min_error_statement", "log_min_duration_statement", "log_min_duration_sample",
    "log_statement", "log_statement_sample_rate", "log_statement_stats", "log_transaction_sample_rate",
    "log_parser_stats", "log_planner_stats", "log_executor_stats", "log_duration", "log_error_verbosity",
    "log_line_prefix", "log_connections", "log_disconnections", "log_hostname", "log_checkpoints",
    "log_lock_waits", "log_lock_failures", "log_recovery_conflict_waits", "log_temp_files", "log_timezone",
    "log_autovacuum_min_duration", "log_autoanalyze_min_duration", "log_parameter_max_length",
    "log_parameter_max_length_on_error", "log_replication_commands", "log_startup_progress_interval",
    "client_min_messages", "debug_print_parse", "debug_print_rewritten", "debug_print_plan",
    "debug_pretty_print",
    // Statistics.
    "track_activities", "track_activity_query_size", "track_counts", "track_io_timing", "track_wal_io_timing",
    "track_cost_delay_timing", "track_functions", "compute_query_id", "stats_fetch_consistency",
    "update_process_title",
    // What sessions begin with.
    "search_path", "timezone", "timezone_abbreviations", "datestyle", "intervalstyle", "lc_messages",
    "lc_monetary", "lc_numeric", "lc_time", "client_encoding", "extra_float_digits", "bytea_output",
    "xmlbinary", "xmloption", "standard_conforming_strings", "escape_string_warning", "backslash_quote",
    "quote_all_identifiers", "array_nulls", "transform_null_equals", "row_security", "check_function_bodies",
    "default_transaction_isolation", "default_transaction_read_only", "default_transaction_deferrable",
    "default_text_search_config", "default_table_access_method", "default_tablespace", "temp_tablespaces",
    "session_replication_role", "gin_fuzzy_search_limit", "gin_pending_list_limit", "exit_on_error",
    "lo_compat_privileges", "createrole_self_grant", "event_triggers", "icu_validation_level",
    // Their values are looked at too.
    "shared_preload_libraries", "wal_level",
];
/// Families that only tune, whatever Postgres adds to them.
const ALLOWED_FAMILIES: &[&str] = &["enable_", "autovacuum", "vacuum_"];
/// Extensions whose settings neither load nor run anything, and names that applications use for their own.
const ALLOWED_PREFIXES: &[&str] =
    &["auto_explain", "pg_stat_statements", "pg_trgm", "postgis", "timescaledb", "app", "myapp"];
/// Endings that tell of files and code, even below an allowed prefix.
#[rustfmt::skip]
const CODE_WORDS: &[&str] = &["librar", "command", "script", "path", "file", "dir", "init", "program", "gdal"];
/// Libraries that only watch or plan.
const ALLOWED_LIBRARIES: &[&str] =
    &["auto_explain", "pg_stat_statements", "timescaledb", "pgaudit", "pg_hint_plan"];

/// Settings that Offshoot makes itself.
#[rustfmt::skip]
const OWNED: &[&str] = &[
    "config_file", "data_directory", "data_sync_retry", "fsync", "full_page_writes", "hba_file", "ident_file",
    "listen_addresses", "log_destination", "logging_collector", "password_encryption", "port", "ssl",
    "wal_init_zero", "wal_recycle", "zero_damaged_pages", "ignore_checksum_failure", "cluster_name",
];
const OWNED_FAMILIES: &[&str] = &["archive_", "primary_", "recovery_", "restore_", "ssl_", "unix_socket_"];

/// Why a setting is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Refusal {
    fn new(message: String, hint: impl Into<Option<String>>) -> Self {
        Self { message, hint: hint.into() }
    }
}

/// Says why `name`, in lower case, cannot be set.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let well_formed = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.');
    if !well_formed {
        return Err(Refusal::new(format!("`{name}` is not the name of a setting of Postgres"), None));
    }
    if is_allowed(name) {
        return Ok(());
    }
    if OWNED.contains(&name) || OWNED_FAMILIES.iter().any(|family| name.starts_with(family)) {
        return Err(Refusal::new(format!("`{name}` is set by Offshoot itself"), None));
    }
    let other_way =
        "Settings that could run code are left out. On one branch, `ALTER SYSTEM SET …` sets any.";
    let hint = match closest(name, ALLOWED) {
        Some(near) => format!("Did you mean `{near}`? {other_way}"),
        None => other_way.to_owned(),
    };
    Err(Refusal::new(format!("`{name}` is not among the settings that a repository's file can make"), hint))
}

/// Whether `name` can begin the name of a setting with a dot in it.
pub(super) fn is_prefix(name: &str) -> bool {
    ALLOWED_PREFIXES.contains(&name)
}

fn is_allowed(name: &str) -> bool {
    match name.split_once('.') {
        None => ALLOWED.contains(&name) || ALLOWED_FAMILIES.iter().any(|family| name.starts_with(family)),
        Some((prefix, rest)) => {
            let own = matches!(prefix, "app" | "myapp");
            is_prefix(prefix)
                && !rest.is_empty()
                && !rest.contains('.')
                && (own || !CODE_WORDS.iter().any(|word| rest.contains(word)))
        }
    }
}

/// Says why `name` cannot have this value.
pub(super) fn check_value(name: &str, value: &str) -> Result<(), Refusal> {
    if name == "io_method" && value.eq_ignore_ascii_case("io_uring") {
        let text = "`io_method = io_uring` goes past the page layers; use \"worker\" or \"sync\"";
        return Err(Refusal::new(text.to_owned(), None));
    }
    if name == "wal_level" && !["replica", "logical"].iter().any(|level| value.eq_ignore_ascii_case(level)) {
        let text = format!("`wal_level` is {value:?}; a branch needs \"replica\" or \"logical\"");
        return Err(Refusal::new(text, None));
    }
    if name == "shared_preload_libraries"
        && let Some(other) = libraries(value).find(|library| !ALLOWED_LIBRARIES.contains(library))
    {
        return Err(Refusal::new(
            format!("`shared_preload_libraries` names {other:?}, which a repository's file cannot load"),
            format!("It can load {}.", ALLOWED_LIBRARIES.join(", ")),
        ));
    }
    Ok(())
}

/// Names between commas. Quotes are Postgres's business: a name with one is none that is allowed.
fn libraries(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|library| !library.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuning_is_allowed() {
        for name in [
            "work_mem",
            "enable_seqscan",
            "autovacuum",
            "autovacuum_naptime",
            "vacuum_cost_delay",
            "max_wal_size",
            "lc_messages",
            "timezone",
            "auto_explain.log_min_duration",
            "pg_stat_statements.track",
            "app.tenant_id",
            "app.init",
        ] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn whatever_may_run_code_is_refused() {
        for name in [
            "extension_destdir",
            "extension_control_path",
            "dynamic_library_path",
            "session_preload_libraries",
            "local_preload_libraries",
            "oauth_validator_libraries",
            "jit_provider",
            "event_source",
            "krb_server_keyfile",
            "plperl.on_init",
            "plperl.on_plperlu_init",
            "pltcl.start_proc",
            "plv8.start_proc",
            "pljava.libjvm_location",
            "pgsodium.getkey_script",
            "timescaledb.loader_path",
            "postgis.gdal_datapath",
            "app.a.b",
            "app.",
            ".app",
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
        for value in ["/tmp/evil", "pg_cron", "auto_explain, $libdir/x", "\"../x\"", "plperl"] {
            assert!(check_value("shared_preload_libraries", value).is_err(), "{value}");
        }
        for value in ["", "pg_stat_statements", "auto_explain,pg_stat_statements , pgaudit"] {
            assert_eq!(check_value("shared_preload_libraries", value), Ok(()), "{value}");
        }
    }

    #[test]
    fn a_misspelt_setting_is_recognised_and_another_way_is_told() {
        let hint = |name: &str| check_name(name).unwrap_err().hint.unwrap();
        assert!(hint("wrok_mem").starts_with("Did you mean `work_mem`?"));
        assert!(hint("plperl.on_init").contains("ALTER SYSTEM"));
    }

    #[test]
    fn no_setting_is_both_allowed_and_offshoots_own() {
        for name in OWNED {
            assert!(!is_allowed(name), "{name}");
        }
    }
}
