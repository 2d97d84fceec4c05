//! What the keys of `offshoot.toml` mean: for hovers and completions, in the words of the file that `init` writes.

/// A key.
#[derive(Debug)]
pub(super) struct Setting {
    /// The table that it is in; empty at the top.
    pub(super) table: &'static str,
    /// Its name.
    pub(super) key: &'static str,
    /// One sentence.
    pub(super) about: &'static str,
    /// What it is without a line, as TOML; empty for tables.
    pub(super) default: &'static str,
    /// Its values, where there are few, each with its meaning.
    pub(super) values: &'static [(&'static str, &'static str)],
    /// What a completion writes after the key.
    pub(super) rest: &'static str,
}

/// Every key.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        table: "",
        key: "on_checkout",
        about: "What happens when a git branch is checked out that has no database branch yet",
        default: "\"create\"",
        values: &[
            ("create", "make one, from the database branch of the git branch that it was cut from"),
            ("switch", "stay on the present database branch"),
            ("ask", "stay, and let `offshoot status` tell how to go on"),
        ],
        rest: " = \"create\"",
    },
    Setting {
        table: "",
        key: "idle_timeout",
        about: "A branch without connections falls asleep after this time.",
        default: "\"5m\"",
        values: &[],
        rest: " = \"5m\"",
    },
    Setting {
        table: "",
        key: "switch_grace",
        about: "How long open transactions may go on after a switch, before their connections are closed.",
        default: "\"5s\"",
        values: &[],
        rest: " = \"5s\"",
    },
    Setting {
        table: "",
        key: "postgres",
        about: "Settings for Postgres.",
        default: "",
        values: &[],
        rest: ".settings = {  }",
    },
    Setting {
        table: "postgres",
        key: "settings",
        about: "Settings for Postgres.",
        default: "{}",
        values: &[],
        rest: " = { shared_buffers = \"64MB\" }",
    },
    Setting {
        table: "",
        key: "schema",
        about: "The schema in files, for `offshoot diff` and the editor.",
        default: "",
        values: &[],
        rest: ".file = \"db/schema.facts\"",
    },
    Setting {
        table: "schema",
        key: "file",
        about: "The file of facts, the SQL file or the folder of SQL files that has the schema.",
        default: "",
        values: &[],
        rest: " = \"db/schema.facts\"",
    },
    Setting {
        table: "schema",
        key: "renames",
        about: "The SQL file or the folder of SQL files whose lines `-- offshoot:rename table public.old -> new` confirm renames.",
        default: "",
        values: &[],
        rest: " = \"db/migrations\"",
    },
    Setting {
        table: "",
        key: "storage",
        about: "Room for the store; the file of the main work tree counts.",
        default: "",
        values: &[],
        rest: ".max_bytes = \"20GB\"",
    },
    Setting {
        table: "storage",
        key: "max_bytes",
        about: "What it may have on the disk. From 90 % on it is told; at the limit nothing more is made.",
        default: "",
        values: &[],
        rest: " = \"20GB\"",
    },
    Setting {
        table: "storage",
        key: "min_free_bytes",
        about: "What it leaves free on its disk.",
        default: "",
        values: &[],
        rest: " = \"1GB\"",
    },
    Setting {
        table: "",
        key: "restore",
        about: "The past of every branch, for `offshoot branch create NAME --at …`; the file of the main work tree counts.",
        default: "",
        values: &[],
        rest: ".window = \"7d\"",
    },
    Setting {
        table: "restore",
        key: "window",
        about: "How far back it goes; \"off\" keeps none.",
        default: "",
        values: &[],
        rest: " = \"7d\"",
    },
    Setting {
        table: "restore",
        key: "max_bytes",
        about: "What it may have on the disk; the oldest goes first.",
        default: "",
        values: &[],
        rest: " = \"10GB\"",
    },
];

/// The key at `word`, where the cursor is in `table`.
pub(super) fn find(table: &str, word: &str) -> Option<&'static Setting> {
    let exact = SETTINGS.iter().find(|setting| setting.table == table && setting.key == word);
    exact.or_else(|| SETTINGS.iter().find(|setting| setting.key == word))
}

impl Setting {
    /// Markdown.
    pub(super) fn help(&self) -> String {
        let mut text = match self.table {
            "" => format!("`{}`\n\n{}", self.key, self.about),
            table => format!("`{table}.{}`\n\n{}", self.key, self.about),
        };
        for (value, meaning) in self.values {
            text.extend(["\n- `\"", value, "\"`: ", meaning]);
        }
        if !self.default.is_empty() {
            text.extend(["\n\nWithout it: `", self.default, "`"]);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{TEMPLATE, parse};

    #[test]
    fn the_words_are_those_of_the_file_that_init_writes() {
        for setting in SETTINGS {
            assert!(TEMPLATE.contains(setting.about), "{}", setting.key);
            for (value, meaning) in setting.values {
                assert!(TEMPLATE.contains(&format!("\"{value}\"")) && TEMPLATE.contains(meaning), "{value}");
            }
        }
    }

    #[test]
    fn every_completion_is_a_line_that_parses() {
        for setting in SETTINGS {
            let table =
                if setting.table.is_empty() { String::new() } else { format!("[{}]\n", setting.table) };
            parse(&format!("{table}{}{}", setting.key, setting.rest)).unwrap();
        }
    }
}
