//! What settings read as, and what is said of mistakes.

use offshoot_postgres::mask::Transformer;
use offshoot_protocol::migrations::MigrationsOnCheckout;
use offshoot_storage::DriverKind;

use super::*;

fn fault(text: &str) -> String {
    let error = parse(text).unwrap_err();
    match &error.hint {
        Some(hint) => format!("{error} | {hint}"),
        None => error.to_string(),
    }
}

#[test]
fn the_template_and_an_empty_file_say_nothing() {
    assert_eq!(parse(""), Ok(Config::default()));
    assert_eq!(parse(crate::config::TEMPLATE), Ok(Config::default()));
}

#[test]
fn the_template_uncommented_is_valid() {
    let lines: Vec<_> = crate::config::TEMPLATE
        .lines()
        .map(|line| {
            line.strip_prefix("# ").filter(|rest| rest.contains(" = ") || rest.starts_with('[')).unwrap_or("")
        })
        .collect();
    let config = parse(&lines.join("\n")).unwrap();
    assert_eq!(config.postgres, [("shared_buffers".to_owned(), "64MB".to_owned())]);
}

#[test]
fn every_key_is_read() {
    let text = "on_checkout = 'ask'\non_delete = 'trash'\non_merge = 'apply'\non_leave = 'nothing'\nidle_timeout = \"1.5h\"\nswitch_grace = \"250 ms\"\n\n[postgres.settings]\n\
                work_mem = \"8MB\"\nmax_connections = 50\njit = false\nrandom_page_cost = 1.1\nAuto_Explain.Log_Analyze = true";
    let config = parse(text).unwrap();
    assert_eq!((config.on_checkout, config.on_delete), (OnCheckout::Ask, OnDelete::Trash));
    assert_eq!((config.on_merge, config.tells_leaving), (OnMerge::Apply, false));
    assert_eq!((config.idle_timeout.as_secs(), config.switch_grace.as_millis()), (5400, 250));
    let settings: Vec<_> = config.postgres.iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(
        settings,
        [
            "auto_explain.log_analyze=on",
            "jit=off",
            "max_connections=50",
            "random_page_cost=1.1",
            "work_mem=8MB"
        ]
    );
}

#[test]
fn misspelt_keys_are_recognised() {
    assert_eq!(
        fault("\n\non_chekout = 'ask'"),
        "line 3: unknown key `on_chekout` | Did you mean `on_checkout`?"
    );
    assert_eq!(
        fault("idle-timeout = '5m'"),
        "line 1: unknown key `idle-timeout` | Did you mean `idle_timeout`?"
    );
    assert_eq!(
        fault("[postgres]\nsetings = {}"),
        "line 2: unknown key `postgres.setings` | Did you mean `postgres.settings`?"
    );
    assert!(fault("colour = 1").contains("Known are on_checkout"));
    assert!(fault("storage.driver = 'zfs'").contains("one of \"layers\" and \"clone\""));
    let storage = parse("[storage]\ndriver = 'clone'").unwrap();
    assert_eq!(storage.storage_driver, Some(DriverKind::Clone));
    assert!(fault("on_checkout = 'craete'").ends_with("| Did you mean \"create\"?"));
    assert!(fault("on_delete = 'trsh'").ends_with("| Did you mean \"trash\"?"));
    assert!(
        fault("on_merge = 'no'")
            .contains("`on_merge` is \"no\", not one of \"ask\", \"apply\" and \"nothing\"")
    );
    assert!(
        fault("on_leave = 'noting'")
            .ends_with("not one of \"tell\" and \"nothing\" | Did you mean \"nothing\"?")
    );
}

#[test]
fn wrong_values_are_named_with_their_line() {
    assert_eq!(
        fault("idle_timeout = 5"),
        "line 1: `idle_timeout` is a number, not a time such as \"30s\", \"5m\", \"1h\" or \"14d\""
    );
    for bad in ["", "5", "5x", "-5s", "m", "1e9h", "99999d", "..s"] {
        assert!(fault(&format!("\nidle_timeout = '{bad}'")).starts_with("line 2: "), "{bad}");
    }
    assert!(fault("a = \n").starts_with("line 1: "));
    assert!(fault("x = 1\nx = 2").starts_with("line "));
    assert!(fault("postgres = 3").contains("not a table"));
    assert!(fault("[postgres]\nsettings = { work_mem = [1] }").contains("line 2: `work_mem` is a list"));
}

#[test]
fn a_repository_cannot_choose_programs_or_break_safety() {
    assert!(fault("[postgres]\nbin_dir = '/tmp/evil'").contains("`offshoot init --bin-dir"));
    assert!(fault("[postgres]\nversion = 17").contains("--postgres"));
    for name in [
        "fsync",
        "FSYNC",
        "full_page_writes",
        "listen_addresses",
        "port",
        "unix_socket_directories",
        "archive_command",
        "archive_mode",
        "archive_library",
        "restore_command",
        "wal_recycle",
        "wal_init_zero",
        "data_directory",
        "hba_file",
        "ident_file",
        "config_file",
        "external_pid_file",
        "ssl_passphrase_command",
        "log_directory",
        "logging_collector",
        "dynamic_library_path",
        "recovery_end_command",
        "primary_conninfo",
        "synchronous_standby_names",
        "extension_destdir",
        "plperl.on_init",
        "pgsodium.getkey_script",
        "a b",
        "x=y",
        "-c",
    ] {
        let text = format!("[postgres]\nsettings = {{ \"{name}\" = \"x\" }}");
        assert!(fault(&text).starts_with("line 2: "), "{name}");
    }
    assert!(fault("[postgres]\nsettings = { io_method = 'io_uring' }").contains("io_uring"));
    assert!(
        parse(
            "[postgres]\nsettings = { io_method = 'sync', shared_preload_libraries = 'pg_stat_statements' }"
        )
        .is_ok()
    );
    assert!(
        fault("[postgres]\nsettings = { shared_preload_libraries = '/tmp/evil' }").contains("cannot load")
    );
    assert!(fault("[postgres.settings]\nplperl.on_init = 'x'").starts_with("line 2: "));
}

#[test]
fn sizes_are_bytes_or_have_a_unit() {
    let limits = |text: &str| parse(text).map(|config| (config.max_bytes, config.min_free_bytes));
    assert_eq!(limits("[storage]\nmax_bytes = 4096"), Ok((Some(4096), None)));
    let both = "[storage]\nmax_bytes = '20GB'\nmin_free_bytes = '1.5 GiB'";
    assert_eq!(limits(both), Ok((Some(20_000_000_000), Some(1_610_612_736))));
    for (value, shown) in
        [("'much'", "\"much\""), ("-1", "-1"), ("1.5", "a number"), ("true", "true or false")]
    {
        let text = fault(&format!("[storage]\nmax_bytes = {value}"));
        let expected = format!("line 2: `storage.max_bytes` is {shown}, not a number of bytes");
        assert!(text.starts_with(&expected), "{text}");
    }
    assert!(fault("storage.max_byte = 1").contains("Did you mean `storage.max_bytes`?"));
}

#[test]
fn the_past_has_a_window_and_a_cap() {
    let restore = |text: &str| parse(text).unwrap().restore().map(|kept| (kept.window, kept.max_bytes));
    let week = Duration::from_hours(7 * 24);
    assert_eq!(restore(""), Some((week, 10_000_000_000)));
    assert_eq!(restore("[restore]\nwindow = '36h'\nmax_bytes = '1GB'"), Some((week * 3 / 14, 1_000_000_000)));
    assert_eq!(restore("[restore]\nwindow = 'off'"), None);
    let text = fault("[restore]\nwindow = 'never'");
    assert!(text.starts_with("line 2: `restore.window` is \"never\", not a time such as \"7d\""), "{text}");
    assert!(fault("restore.windows = '7d'").contains("Did you mean `restore.window`?"));
    assert!(parse("snapshots.on_commit = true").unwrap().snapshots_on_commit);
    assert!(fault("snapshots.on_commit = 'yes'").contains("not true or false"));
    assert!(fault("snapshots.on_comit = true").contains("Did you mean `snapshots.on_commit`?"));
}

#[test]
fn what_migrations_ask_for_is_read() {
    let config = parse("[migrations]\non_checkout = 'apply'\ncheck_command = ' npm test '").unwrap();
    assert_eq!(config.migrations_on_checkout, MigrationsOnCheckout::Apply);
    assert_eq!(config.migrations_check.as_deref(), Some("npm test"));
    assert!(fault("[migrations]\non_checkout = 'create'").starts_with("line 2: `migrations.on_checkout` is"));
    assert!(fault("[migrations]\ncheck = 'x'").contains("unknown key `migrations.check`"));
}

#[test]
fn the_schema_file_stays_within_the_repository() {
    let file = |text: &str| parse(text).map(|config| config.schema_file);
    assert_eq!(file("[schema]\nfile = './db/x.facts'").unwrap().as_deref(), Some("db/x.facts"));
    for path in ["/etc/x.sql", "../x.sql", "a/../../x", ""] {
        assert!(fault(&format!("schema.file = '{path}'")).contains("not a path from the top"), "{path}");
    }
    assert!(fault("schema.files = 'x'").contains("Did you mean `schema.file`?"));
    let renames = |text: &str| parse(text).map(|config| config.schema_renames);
    assert_eq!(renames("schema.renames = './db/'").unwrap().as_deref(), Some("db/"));
    assert_eq!(renames("").unwrap(), None);
    assert!(fault("schema.renames = '../db'").contains("`schema.renames` is \"../db\", not a path"));
    assert!(fault("schema.rename = 'x'").contains("Did you mean `schema.renames`?"));
}

#[test]
fn rules_of_masking_are_read_and_mistakes_are_named() {
    let text =
        "[masking.columns]\n\"public.users.email\" = 'fake-email'\n'public.users.note' = { fixed = 'gone' }";
    let rules = parse(text).unwrap().masking;
    let shown: Vec<_> = rules.iter().map(|rule| (rule.column.to_string(), rule.with.clone())).collect();
    assert_eq!(
        shown,
        [
            ("public.users.email".to_owned(), Transformer::FakeEmail),
            ("public.users.note".to_owned(), Transformer::Fixed("gone".to_owned()))
        ]
    );
    let rule = |text: &str| fault(&format!("[masking.columns]\n{text}"));
    assert!(rule("'public.users.email' = 'fake-mail'").ends_with("| Did you mean \"fake-email\"?"));
    assert!(rule("'public.users.email' = 'sql'").contains("{ sql = \"left(name, 1)\" }"));
    assert!(rule("'public.users.email' = { sql = 'a', fixed = 'b' }").contains("several keys"));
    assert!(parse("[masking.columns]\n'a.b.c' = 'shuffle'\n'a.b.d' = { sql = 'left(d, 1)' }").is_ok());
    assert!(rule("'users.email' = 'null'").contains("as in \"public.users.email\""));
    assert!(rule("public.users.email = 'null'").contains("whole name in quotes"));
    assert!(rule("'a.b.c' = { fix = 'x' }").contains("unknown key"));
    assert!(rule("'a.b.c' = 3").starts_with("line 2: `masking.columns.\"a.b.c\"` is a number, not one of"));
    assert!(fault("[masking]\ncolumn = {}").contains("Did you mean `masking.columns`?"));
}

#[test]
fn seed_files_are_a_list_of_paths_within_the_repository() {
    let files = |text: &str| parse(text).unwrap().seed_files;
    assert_eq!(files("[seed]\nfiles = ['db/a.sql', './b.sql']"), ["db/a.sql", "b.sql"]);
    assert!(fault("[seed]\nfiles = 'a.sql'").contains("is text, not a list of SQL files"));
    assert!(fault("[seed]\nfiles = ['../a.sql']").contains("`seed.files` is \"../a.sql\""));
    let command = |text: &str| parse(text).unwrap().seed_command;
    assert_eq!(command("[seed]\ncommand = ' npm run seed '").as_deref(), Some("npm run seed"));
    assert!(fault("[seed]\ncommand = ['a']").contains("is a list, not a command"));
    let inputs = |text: &str| parse(text).unwrap().seed_inputs;
    assert_eq!((inputs("[seed]"), inputs("[seed]\ninputs = []")), (None, Some(Vec::new())));
    assert_eq!(inputs("[seed]\ninputs = ['./db', 'a.json']").unwrap(), ["db", "a.json"]);
    assert!(fault("[seed]\ninputs = ['/etc']").contains("`seed.inputs` is \"/etc\""));
    let cache = |text: &str| parse(text).unwrap().seed_cache;
    assert_eq!((cache(""), cache("[seed]\ncache = 'off'")), (Some(2_000_000_000), None));
    assert_eq!(cache("[seed]\ncache = '300MB'"), Some(300_000_000));
    assert!(fault("[seed]\ncache = true").contains("`seed.cache` is true or false, not a number of bytes"));
}
