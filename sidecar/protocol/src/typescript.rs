//! Writes `extension/src/protocol/`: the types and a typed client in TypeScript.
//!
//! `OFFSHOOT_UPDATE=1 cargo test -p offshoot-protocol typescript` writes the files; without it a stale file fails the test.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ts_rs::{Config, TS, TypeVisitor};

use crate::bundle as bu;
use crate::editor as e;
use crate::explorer as x;
use crate::method::{EDITOR_METHODS, EDITOR_NOTIFICATIONS, MethodRow};
use crate::migrations as g;
use crate::past as p;
use crate::promote as pr;

const HEADER: &str =
    "// Generated from `sidecar/protocol`: do not edit. `npm run generate` writes it anew.\n\n";

/// Collects the declarations of a type and of all that it names.
struct Declarations<'c> {
    config: &'c Config,
    found: std::collections::BTreeMap<String, String>,
}

impl TypeVisitor for Declarations<'_> {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        if T::output_path().is_none() {
            return;
        }
        let name = T::ident(self.config);
        if self.found.contains_key(&name) {
            return;
        }
        let docs = T::docs().map(|docs| format_docs(&docs)).unwrap_or_default();
        self.found.insert(name, format!("{docs}export {}\n", T::decl(self.config)));
        T::visit_dependencies(self);
    }
}

fn format_docs(docs: &str) -> String {
    docs.lines().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{}", line.trim_end());
        text
    })
}

fn types() -> String {
    let config = Config::new().with_large_int("number");
    let mut all = Declarations { config: &config, found: std::collections::BTreeMap::new() };
    macro_rules! visit {
        ($($ty:ty),* $(,)?) => { $(all.visit::<$ty>();)* };
    }
    visit!(
        e::EditorOptions,
        e::EditorStatus,
        e::EditorInitParams,
        e::EditorInitResult,
        e::PostgresVersions,
        e::EditorCreateParams,
        e::EditorBranchParams,
        e::EditorRenameParams,
        e::EditorProtectParams,
        e::EditorExpireParams,
        e::EditorAnswerParams,
        e::EditorDefinitionParams,
        e::EditorUrlParams,
        e::EditorUrl,
        e::EditorUndoParams,
        e::EditorLogParams,
        p::Log,
        e::FolderParams,
        e::EditorOutput,
        e::LogFiles,
        e::LogFilesParams,
        e::Diagnostics,
        e::TrustParams,
        x::EditorObjectsParams,
        x::SchemaObjects,
        x::EditorPartsParams,
        x::ObjectParts,
        x::EditorSummaryParams,
        x::SchemaSummary,
        x::ComparedFacts,
        g::MigrationsStatusParams,
        g::MigrationsStatus,
        g::MigrationsApplyParams,
        g::MigrationsApplied,
        g::MigrationsRanParams,
        g::MigrationsRan,
        g::MigrationsUndoParams,
        g::MigrationsUndone,
        g::MigrationsConnection,
        g::MigrationsCheckParams,
        g::MigrationsReport,
        g::MigrationsDriftParams,
        g::MigrationsDrift,
        g::MigrationsRehearseParams,
        g::MigrationsRehearsal,
        g::MigrationsNewParams,
        pr::PromoteParams,
        pr::Promoted,
        bu::EditorBundleCreateParams,
        bu::BundleCreated,
        bu::EditorBundleParams,
        bu::Bundle,
        bu::EditorBundleApplyParams,
        bu::BundleApplied,
        g::MigrationsNew,
        crate::types::Nothing,
        crate::types::UndoResult,
        crate::types::Definition,
    );
    for row in EDITOR_METHODS.iter().chain(EDITOR_NOTIFICATIONS) {
        for name in std::iter::once(row.params).chain(row.result) {
            assert!(all.found.contains_key(name), "`{name}` of {} is not among the types above", row.name);
        }
    }
    let mut text = HEADER.to_owned();
    for declaration in all.found.values() {
        text.push_str(declaration);
        text.push('\n');
    }
    // An absent option is left out, never null.
    let lines = text.lines().map(|line| line.trim_end().replace(" | null,", ","));
    lines.collect::<Vec<_>>().join("\n")
}

/// `offshoot/branch/create` is called `branchCreate`.
fn function(name: &str) -> String {
    let words = name.trim_start_matches("offshoot/").split('/');
    words.enumerate().fold(String::new(), |mut text, (i, word)| {
        let (first, rest) = word.split_at(1);
        text.push_str(&if i == 0 { first.to_owned() } else { first.to_uppercase() });
        text.push_str(rest);
        text
    })
}

fn methods() -> String {
    // The types that the client names.
    let names = |rows: &[MethodRow]| -> Vec<&'static str> {
        rows.iter().flat_map(|row| std::iter::once(row.params).chain(row.result)).collect()
    };
    let mut used: Vec<_> = [names(EDITOR_METHODS), names(EDITOR_NOTIFICATIONS)].concat();
    used.sort_unstable();
    used.dedup();
    let mut text = HEADER.to_owned();
    text.push_str("import type { CancellationToken } from 'vscode';\nimport type {\n");
    for name in used {
        let _ = writeln!(text, "  {name},");
    }
    text.push_str("} from './types.js';\n\n");
    text.push_str("/** Sends a request to the language server. */\n");
    text.push_str(
        "export type Send = <P, R>(method: string, params: P, cancel?: CancellationToken) => Promise<R>;\n\n",
    );
    text.push_str("/** Every request of the editor, typed. */\nexport class ServerRequests {\n");
    text.push_str(
        "  private readonly send: Send;\n\n  constructor(send: Send) {\n    this.send = send;\n  }\n",
    );
    for row in EDITOR_METHODS {
        let (function, doc) = (function(row.name), row.doc.trim());
        let (params, result) = (row.params, row.result.expect("a request has a result"));
        let _ = write!(
            text,
            "\n  /** {doc} */\n  {function}(params: {params}, cancel?: CancellationToken): Promise<{result}> {{\n    \
             return this.send('{}', params, cancel);\n  }}\n",
            row.name
        );
    }
    text.push_str("}\n");
    for row in EDITOR_NOTIFICATIONS {
        let short = function(row.name);
        let _ = write!(
            text,
            "\n/** {} */\nexport const {short}Notification = '{}';\nexport type {}Payload = {};\n",
            row.doc.trim(),
            row.name,
            short[..1].to_uppercase() + &short[1..],
            row.params
        );
    }
    text
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../extension/src/protocol")
}

#[test]
fn the_typescript_files_are_those_that_would_be_written_now() {
    for (name, text) in [("types.ts", types()), ("methods.ts", methods())] {
        let path = folder().join(name);
        if std::env::var_os("OFFSHOOT_UPDATE").is_some() {
            std::fs::create_dir_all(folder()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(there == text, "{} is stale: run `npm run generate`", path.display());
    }
}
