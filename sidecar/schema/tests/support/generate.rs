//! Random schemas that load, and random edits of them that still load.

use std::fmt::Write;

/// A generator of numbers that is the same everywhere (splitmix64, Steele, Lea and Flood 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit.max(1) as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    kind: usize,
    not_null: bool,
    default: bool,
    indexed: usize,
    checked: bool,
    comment: bool,
    number: usize,
}

#[derive(Debug, Clone)]
struct Table {
    name: String,
    columns: Vec<Column>,
    /// How the id comes to be: plain, serial, identity always, identity by default.
    id: usize,
    keyed: bool,
    partitioned: usize,
    refers: Option<usize>,
    grants: usize,
    rls: bool,
    trigger: bool,
    unlogged: bool,
}

#[derive(Debug, Clone)]
struct View {
    name: String,
    over: usize,
    columns: usize,
    materialized: bool,
    /// Whether another view is made over it.
    stacked: bool,
}

/// A schema, from which SQL is written.
pub(crate) struct Schema {
    dice: Dice,
    next: usize,
    tables: Vec<Table>,
    views: Vec<View>,
    labels: Vec<&'static str>,
    functions: Vec<(String, usize)>,
    sequences: Vec<(String, usize)>,
    domain: usize,
    composite: usize,
    defaults: usize,
}

/// Types, a default of each, and a check; `%` is the column.
const TYPES: &[(&str, &str, &str)] = &[
    ("integer", "7", "% > -5"),
    ("bigint", "8", "% <> 0"),
    ("text", "'it''s'", "% <> ''"),
    ("varchar(20)", "'v'", "length(%) < 19"),
    ("numeric(12,2)", "1.5", "% > -1"),
    ("timestamptz", "now()", "% > '2000-01-01'"),
    ("date", "CURRENT_DATE", "% > '2000-01-01'"),
    ("boolean", "true", "% IS NOT NULL"),
    ("jsonb", "'{}'", "% IS NOT NULL"),
    ("uuid", "gen_random_uuid()", "% IS NOT NULL"),
    ("mood", "'fine'", "% <> 'none'"),
    ("mood[]", "'{fine}'", "% IS NOT NULL"),
    ("small", "3", "% < 900"),
    ("pair", "NULL", "% IS NOT NULL"),
    ("integer[]", "'{}'", "% IS NOT NULL"),
    ("double precision", "0.5", "% < 1e9"),
];
/// Those that an index can be made over without an operator class.
const INDEXABLE: &[usize] = &[0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15];
const LABELS: &[&str] = &["none", "fine", "good", "odd one", "it's"];

impl Schema {
    pub(crate) fn random(seed: u64) -> Self {
        let mut schema = Self {
            dice: Dice(seed.wrapping_mul(77)),
            next: 0,
            tables: Vec::new(),
            views: Vec::new(),
            labels: vec!["none", "fine"],
            functions: Vec::new(),
            sequences: Vec::new(),
            domain: 0,
            composite: 0,
            defaults: 0,
        };
        for _ in 0..3 + schema.dice.below(3) {
            schema.add_table();
        }
        for _ in 0..schema.dice.below(4) {
            schema.add_view();
        }
        for _ in 0..schema.dice.below(3) {
            schema.add_routine();
        }
        schema
    }

    fn name(&mut self, stem: &str) -> String {
        self.next += 1;
        let odd = ["", " X", "-é", "\"q"];
        let end = if self.dice.one_in(5) { *self.dice.pick(&odd) } else { "" };
        format!("\"{stem}{}{}\"", self.next, end.replace('"', "\"\""))
    }

    fn column(&mut self) -> Column {
        let kind = self.dice.below(TYPES.len());
        Column {
            name: self.name("c"),
            kind,
            not_null: self.dice.one_in(4),
            default: self.dice.one_in(2),
            indexed: self.dice.below(6),
            checked: self.dice.one_in(5),
            comment: self.dice.one_in(6),
            number: self.next,
        }
    }

    fn add_table(&mut self) {
        let columns = (0..=self.dice.below(4)).map(|_| self.column()).collect();
        let refers = (0..self.tables.len()).filter(|at| self.tables[*at].keyed).collect::<Vec<_>>();
        let refers = (!refers.is_empty() && self.dice.one_in(2)).then(|| *self.dice.pick(&refers));
        let table = Table {
            name: self.name("t"),
            columns,
            id: self.dice.below(4),
            keyed: !self.dice.one_in(3),
            partitioned: if self.dice.one_in(4) { 1 + self.dice.below(2) } else { 0 },
            refers,
            grants: self.dice.below(4),
            rls: self.dice.one_in(4),
            trigger: self.dice.one_in(4),
            unlogged: false,
        };
        self.tables.push(table);
    }

    fn add_view(&mut self) {
        let view = View {
            name: self.name("v"),
            over: self.dice.below(self.tables.len()),
            columns: self.dice.below(3),
            materialized: self.dice.one_in(3),
            stacked: self.dice.one_in(2),
        };
        self.views.push(view);
    }

    fn add_routine(&mut self) {
        let (function, sequence) = (self.name("f"), self.name("s"));
        self.functions.push((function, self.dice.below(4)));
        self.sequences.push((sequence, self.dice.below(4)));
    }

    /// Changes a few things, so that most of it stays.
    pub(crate) fn edit(&mut self) {
        for _ in 0..2 + self.dice.below(6) {
            let at = self.dice.below(self.tables.len());
            match self.dice.below(20) {
                0 => self.add_table(),
                1 => self.drop_table(at),
                2 | 3 => {
                    let column = self.column();
                    let place = self.dice.below(self.tables[at].columns.len() + 1);
                    self.tables[at].columns.insert(place, column);
                }
                4 | 5 => {
                    let count = self.tables[at].columns.len();
                    let place = self.dice.below(count);
                    if count > 0 {
                        self.tables[at].columns.remove(place);
                    }
                }
                6..=10 => self.edit_column(at),
                11 => self.tables[at].id = self.dice.below(4),
                12 => self.tables[at].partitioned = self.dice.below(3),
                13 => self.tables[at].grants = self.dice.below(4),
                14 => {
                    let table = &mut self.tables[at];
                    (table.rls, table.trigger) = (!table.rls, table.rls);
                }
                15 => self.add_view(),
                16 => {
                    let at = self.dice.below(self.views.len());
                    if !self.views.is_empty() {
                        self.views[at].columns += 1;
                        self.views[at].materialized = self.dice.one_in(2);
                    }
                }
                17 => {
                    let label = LABELS[2 + self.dice.below(3)];
                    if !self.labels.contains(&label) {
                        let place = self.dice.below(self.labels.len() + 1);
                        self.labels.insert(place, label);
                    } else if self.dice.one_in(2) {
                        self.labels.retain(|other| *other != label);
                    }
                }
                18 => {
                    self.add_routine();
                    let at = self.dice.below(self.functions.len());
                    self.functions[at].1 += 1;
                    self.sequences[at].1 += 1;
                }
                _ => {
                    self.domain = self.dice.below(3);
                    self.composite = self.dice.below(3);
                    self.defaults = self.dice.below(3);
                }
            }
        }
    }

    fn edit_column(&mut self, at: usize) {
        let count = self.tables[at].columns.len();
        if count == 0 {
            return;
        }
        let place = self.dice.below(count);
        let (what, kind, indexed) = (self.dice.below(6), self.dice.below(TYPES.len()), self.dice.below(6));
        let column = &mut self.tables[at].columns[place];
        match what {
            0 | 1 => column.kind = kind,
            2 => column.not_null = !column.not_null,
            3 => column.default = !column.default,
            4 => column.indexed = indexed,
            _ => (column.checked, column.comment) = (!column.checked, !column.comment),
        }
    }

    fn drop_table(&mut self, at: usize) {
        if self.tables.len() < 3 {
            return;
        }
        self.tables.remove(at);
        self.views.retain(|view| view.over != at);
        for view in &mut self.views {
            view.over -= usize::from(view.over > at);
        }
        for table in &mut self.tables {
            table.refers =
                table.refers.filter(|other| *other != at).map(|other| other - usize::from(other > at));
        }
    }

    pub(crate) fn sql(&self) -> String {
        let labels: Vec<String> =
            self.labels.iter().map(|label| format!("'{}'", label.replace('\'', "''"))).collect();
        let mut sql = format!("CREATE TYPE mood AS ENUM ({});\n", labels.join(", "));
        let check = ["VALUE < 1000", "VALUE > -9", "VALUE BETWEEN -9 AND 1000"][self.domain];
        let _ = writeln!(sql, "CREATE DOMAIN small AS integer CHECK ({check});");
        let pair = ["a integer, b text", "a integer, b text, c date", "a bigint, b text"][self.composite];
        let _ = writeln!(sql, "CREATE TYPE pair AS ({pair});");
        sql.push_str(
            "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';\n",
        );
        let privileges = ["", "GRANT SELECT ON TABLES TO reader", "REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"]
            [self.defaults];
        if !privileges.is_empty() {
            let _ = writeln!(sql, "ALTER DEFAULT PRIVILEGES {privileges};");
        }
        for (at, table) in self.tables.iter().enumerate() {
            self.table_sql(at, table, &mut sql);
        }
        for view in &self.views {
            self.view_sql(view, &mut sql);
        }
        for (name, kind) in &self.functions {
            let first = &self.tables[0];
            let body = match kind % 4 {
                0 => "(a integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT a'".to_owned(),
                1 => format!(
                    "(a integer) RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT count(*) FROM {}; END",
                    first.name
                ),
                2 => "(a integer, b text DEFAULT 'x') RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN END $$"
                    .to_owned(),
                _ => format!("(a {}) RETURNS mood LANGUAGE sql AS $$ SELECT 'fine'::mood $$", first.name),
            };
            let _ = writeln!(sql, "CREATE FUNCTION {name}{body};");
        }
        for (name, kind) in &self.sequences {
            let how = ["", " START 5 INCREMENT 2", " AS smallint CYCLE", " MINVALUE -4 MAXVALUE 90 CACHE 3"]
                [kind % 4];
            let _ = writeln!(sql, "CREATE SEQUENCE {name}{how};");
        }
        sql
    }

    fn table_sql(&self, at: usize, table: &Table, sql: &mut String) {
        let name = &table.name;
        let id = match table.id {
            1 if table.partitioned == 0 => "serial",
            2 if table.partitioned == 0 => "integer GENERATED ALWAYS AS IDENTITY",
            3 if table.partitioned == 0 => "bigint GENERATED BY DEFAULT AS IDENTITY (START 9)",
            _ => "integer NOT NULL",
        };
        let mut lines = vec![format!("id {id}")];
        for column in &table.columns {
            let (kind, default, check) = TYPES[column.kind];
            let mut line = format!("{} {kind}", column.name);
            if column.default {
                let _ = write!(line, " DEFAULT {default}");
            }
            if column.not_null {
                line.push_str(" NOT NULL");
            }
            if column.checked {
                let _ = write!(
                    line,
                    " CONSTRAINT k{} CHECK ({})",
                    column.number,
                    check.replace('%', &column.name)
                );
            }
            lines.push(line);
        }
        if table.keyed {
            lines.push("PRIMARY KEY (id)".to_owned());
        }
        if let Some(other) = table.refers {
            lines.push("ref integer".to_owned());
            lines.push(format!(
                "CONSTRAINT fk{at} FOREIGN KEY (ref) REFERENCES {} (id) ON DELETE CASCADE",
                self.tables[other].name
            ));
        }
        let by = ["", " PARTITION BY RANGE (id)", " PARTITION BY HASH (id)"][table.partitioned];
        let _ = writeln!(sql, "CREATE TABLE {name} (\n  {}\n){by};", lines.join(",\n  "));
        let child = |end: &str| format!("{}{end}\"", &name[..name.len() - 1]);
        match table.partitioned {
            1 => {
                let _ = writeln!(
                    sql,
                    "CREATE TABLE {} PARTITION OF {name} FOR VALUES FROM (0) TO (1000);",
                    child("_a")
                );
                let _ = writeln!(sql, "CREATE TABLE {} PARTITION OF {name} DEFAULT;", child("_d"));
            }
            2 => {
                for part in 0..2 {
                    let child = child(&format!("_{part}"));
                    let _ = writeln!(
                        sql,
                        "CREATE TABLE {child} PARTITION OF {name} FOR VALUES WITH (MODULUS 2, REMAINDER {part});"
                    );
                }
            }
            _ => {}
        }
        for column in &table.columns {
            let index = format!("i{}", column.number);
            let (column_name, can) = (&column.name, INDEXABLE.contains(&column.kind));
            match column.indexed {
                1 if can => {
                    let _ = writeln!(sql, "CREATE INDEX {index} ON {name} ({column_name});");
                }
                2 if can => {
                    let _ = writeln!(
                        sql,
                        "CREATE INDEX {index} ON {name} ({column_name} DESC, id) WHERE {column_name} IS NOT NULL;"
                    );
                }
                3 if can && table.partitioned == 0 => {
                    let _ = writeln!(sql, "CREATE UNIQUE INDEX {index} ON {name} ({column_name}, id);");
                }
                4 if can && table.partitioned == 0 => {
                    let _ = writeln!(
                        sql,
                        "ALTER TABLE {name} ADD CONSTRAINT {index} UNIQUE ({column_name}, id);"
                    );
                }
                _ => {}
            }
            if column.comment {
                let _ = writeln!(sql, "COMMENT ON COLUMN {name}.{column_name} IS 'c''{}';", column.number);
            }
        }
        let grant = ["", "GRANT SELECT ON", "GRANT INSERT, UPDATE ON", "GRANT ALL ON"][table.grants];
        if !grant.is_empty() {
            let _ = writeln!(sql, "{grant} {name} TO reader;");
        }
        if table.rls {
            let _ = writeln!(
                sql,
                "ALTER TABLE {name} ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON {name} USING (id > 0);"
            );
        }
        if table.trigger {
            let _ = writeln!(
                sql,
                "CREATE TRIGGER touched BEFORE UPDATE ON {name} FOR EACH ROW EXECUTE FUNCTION touch();"
            );
        }
        let _ = table.unlogged;
    }

    fn view_sql(&self, view: &View, sql: &mut String) {
        let table = &self.tables[view.over];
        let columns: Vec<&str> =
            table.columns.iter().take(view.columns).map(|column| column.name.as_str()).collect();
        let list = ["id"].into_iter().chain(columns).collect::<Vec<_>>().join(", ");
        let kind = if view.materialized { "MATERIALIZED VIEW" } else { "VIEW" };
        let (name, over) = (&view.name, &table.name);
        let _ =
            writeln!(sql, "CREATE {kind} {name} AS SELECT {list} FROM {over} WHERE id > {};", view.columns);
        if view.stacked {
            let other = format!("{}_s\"", &name[..name.len() - 1]);
            let _ = writeln!(sql, "CREATE VIEW {other} AS SELECT x.*, x.id + 1 AS more FROM {name} x;");
        }
    }
}
