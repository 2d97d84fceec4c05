//! Flyway: `V1__name.sql`, `R__name.sql`, `U1__name.sql` and `B1__name.sql`.

use std::collections::HashMap;

use super::Adapter;
use super::common::{check_folder, lacks, words_of};
use crate::checksum;
use crate::history::Rows;
use crate::model::{Down, Late, Migration, MigrationKind, Project, Table};
use crate::scan::{Context, Facts, File};
use crate::status::{Next, Outcome, Reading, Record, State};
use crate::text;
use crate::tool::Tool;

pub(crate) struct Flyway;

fn parse(file: &File<'_>, facts: &mut Facts) {
    facts.checksums = checksum::flyway(file.bytes);
    if file.text.contains("${") {
        facts.extra.push(("placeholders", String::new()));
    }
}

struct Settings {
    locations: Vec<String>,
    table: Option<String>,
    schema: Option<String>,
    out_of_order: bool,
    mixed: bool,
    versioned: String,
    repeatable: String,
    separator: String,
    suffixes: Vec<String>,
}

impl Settings {
    /// From a look-up by the names of the configuration, without `flyway.`.
    fn new(get: impl Fn(&str) -> Option<String>) -> Self {
        let list = |name: &str| -> Option<Vec<String>> {
            let text = get(name)?;
            Some(text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect())
        };
        Self {
            locations: list("locations").unwrap_or_default(),
            table: get("table"),
            schema: get("defaultSchema").or_else(|| list("schemas")?.into_iter().next()),
            out_of_order: get("outOfOrder").is_some_and(|value| value == "true"),
            mixed: get("mixed").is_some_and(|value| value == "true"),
            versioned: get("sqlMigrationPrefix").unwrap_or_else(|| "V".to_owned()),
            repeatable: get("repeatableSqlMigrationPrefix").unwrap_or_else(|| "R".to_owned()),
            separator: get("sqlMigrationSeparator").unwrap_or_else(|| "__".to_owned()),
            suffixes: list("sqlMigrationSuffixes").unwrap_or_else(|| vec![".sql".to_owned()]),
        }
    }
}

impl Adapter for Flyway {
    fn detect(&self, context: &mut Context<'_>) -> Vec<Project> {
        let mut projects = Vec::new();
        for config in context.named(&["flyway.toml", "flyway.conf"]) {
            let folder = text::split_path(&config).0;
            // The command line's own layout keeps the file in `conf`.
            let root =
                folder.strip_suffix("conf").map_or(folder, |rest| rest.trim_end_matches('/')).to_owned();
            let mut project = Project::new(Tool::Flyway, &root);
            let settings = configured(context, &config, &mut project);
            project.config = Some(config.clone());
            let locations = if settings.locations.is_empty() {
                vec!["sql".to_owned()]
            } else {
                settings.locations.clone()
            };
            for location in &locations {
                if let Some(folder) = folder_of(context, &root, location) {
                    project.folders.push(folder);
                }
            }
            finish(context, project, &settings, &mut projects);
        }
        // Without a configuration of its own: the place where Java programs keep them.
        let name_fits = |name: &str| {
            Name::of(name, &Settings::new(|_| None)).is_some_and(|name| name.kind != Kind::Repeatable)
        };
        for folder in context.folders_with(name_fits) {
            let taken = projects.iter().any(|project| {
                project.folders.iter().any(|other| *other == folder || text::is_under(&folder, other))
            });
            let top = folder
                .find("/db/migration")
                .map_or(folder.as_str(), |at| &folder[..at + "/db/migration".len()]);
            let taken =
                taken || projects.iter().any(|project| project.folders.iter().any(|other| other == top));
            if taken || context.is_claimed(&folder) || context.depends(&folder, "Cargo.toml", "refinery") {
                continue;
            }
            let root = root_of(context, top);
            let mut project = Project::new(Tool::Flyway, &root);
            project.folders = vec![top.to_owned()];
            let settings = spring(context, &root, &mut project);
            finish(context, project, &settings, &mut projects);
        }
        projects
    }

    fn read(&self, project: &Project, rows: &Rows) -> Reading {
        if let Some(lacking) =
            lacks(project, rows, &["installed_rank", "version", "type", "script", "checksum", "success"])
        {
            return Reading::untold(Some(lacking));
        }
        let mut reading = Reading::default();
        let mut baseline: Option<Vec<u128>> = None;
        let placeholders = project.options.get("placeholders").map(String::as_str).unwrap_or_default();
        for row in rows.by_number("installed_rank") {
            let kind = row.text("type").unwrap_or_default();
            let version = row.text("version");
            let description = row.text("description").unwrap_or_default();
            let key = version.as_deref().map_or_else(|| format!("R {description}"), version_key);
            let mut record = Record::applied(key.clone());
            record.name = row.text("script");
            record.at = row.text("installed_on");
            record.took_ms = row.float("execution_time");
            record.checksum = row.text("checksum");
            match kind.as_str() {
                "SCHEMA" => continue,
                "BASELINE" => {
                    record.outcome = Outcome::Baseline;
                    record.name = Some(format!("baseline {}", version.as_deref().unwrap_or_default()));
                    record.checksum = None;
                    baseline = version.as_deref().map(numbers);
                }
                kind if kind.starts_with("UNDO") || kind == "DELETE" => record.outcome = Outcome::RolledBack,
                kind if kind.contains("BASELINE") => baseline = version.as_deref().map(numbers),
                _ if row.truth("success") == Some(false) => record.outcome = Outcome::Failed,
                _ => {}
            }
            // Flyway may count a repeatable script after filling in placeholders, whose values we do not know.
            if placeholders.split('\n').any(|other| other == key) {
                record.checksum = None;
            }
            reading.records.push(record);
        }
        if let Some(baseline) = baseline {
            let known: HashMap<&str, ()> =
                reading.records.iter().map(|record| (record.key.as_str(), ())).collect();
            for (place, migration) in project.migrations.iter().enumerate() {
                let older = migration.version.as_deref().is_some_and(|version| numbers(version) <= baseline);
                if older && !known.contains_key(migration.key.as_str()) {
                    reading.overrides.insert(place, (State::Baseline, Next::Nothing));
                }
            }
        }
        reading
    }
}

fn configured(context: &mut Context<'_>, config: &str, project: &mut Project) -> Settings {
    if config.ends_with(".toml") {
        let table = context.toml(config, &mut project.diagnostics).unwrap_or_default();
        let flyway = table.get("flyway").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        return Settings::new(|name| match flyway.get(name)? {
            toml::Value::String(text) => Some(text.clone()),
            toml::Value::Array(list) => {
                Some(list.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(","))
            }
            other => Some(other.to_string()),
        });
    }
    let ini = context.ini(config, &mut project.diagnostics).unwrap_or_default();
    Settings::new(|name| ini.get("", &format!("flyway.{name}")).map(str::to_owned))
}

/// The settings of Spring Boot, as far as they are in a properties file.
fn spring(context: &mut Context<'_>, root: &str, project: &mut Project) -> Settings {
    let path = text::join(root, "src/main/resources/application.properties");
    let Some(ini) = context.ini(&path, &mut Vec::new()) else { return Settings::new(|_| None) };
    project.config = Some(path);
    Settings::new(|name| {
        let mut dashed = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() {
                dashed.push('-');
            }
            dashed.push(letter.to_ascii_lowercase());
        }
        let get = |name: &str| ini.get("", &format!("spring.flyway.{name}")).map(str::to_owned);
        if name == "locations" { None } else { get(&dashed).or_else(|| get(name)) }
    })
}

fn root_of(context: &Context<'_>, folder: &str) -> String {
    let marks = ["pom.xml", "build.gradle", "build.gradle.kts"];
    let found = marks.iter().filter_map(|mark| context.nearest(folder, mark)).max_by_key(String::len);
    found.map_or_else(
        || folder.split_once("/src/main/").map_or_else(String::new, |(root, _)| root.to_owned()),
        |path| text::split_path(&path).0.to_owned(),
    )
}

fn folder_of(context: &Context<'_>, root: &str, location: &str) -> Option<String> {
    if let Some(path) = location.strip_prefix("filesystem:") {
        return Some(text::join(root, path));
    }
    if location.contains(':') && !location.starts_with("classpath:") {
        return None;
    }
    let path = location.strip_prefix("classpath:").unwrap_or(location);
    let resources = text::join(root, &format!("src/main/resources/{path}"));
    Some(if context.has_folder(&resources) { resources } else { text::join(root, path) })
}

fn finish(context: &mut Context<'_>, mut project: Project, settings: &Settings, projects: &mut Vec<Project>) {
    project.history = Some(Table::new(
        settings.schema.as_deref(),
        settings.table.as_deref().unwrap_or("flyway_schema_history"),
    ));
    project.late = if settings.out_of_order { Late::Runs } else { Late::Refuses };
    let (mut undo, mut placeholders) = (HashMap::new(), Vec::new());
    for folder in project.folders.clone() {
        check_folder(context, &mut project, &folder);
        for path in context.below(&folder) {
            let Some(name) = Name::of(text::split_path(&path).1, settings) else { continue };
            if name.kind == Kind::Undo {
                undo.insert(version_key(&name.version), path);
                continue;
            }
            let (mut migration, facts) = context.migration(&mut project, &path, parse);
            name.fill(&mut migration);
            if migration.kind == MigrationKind::Repeatable && facts.extra("placeholders").is_some() {
                placeholders.push(migration.key.clone());
            }
            project.migrations.push(migration);
        }
    }
    for migration in &mut project.migrations {
        if let Some(path) = undo.remove(&migration.key) {
            migration.down = Down::File(path);
        }
    }
    // Baselines share their version with the script that they replace, so that they are told apart by their key.
    project.migrations.sort_by_cached_key(|migration| {
        let repeatable = migration.kind == MigrationKind::Repeatable;
        (repeatable, migration.version.as_deref().map(numbers), migration.name.clone())
    });
    project.options.insert("placeholders".to_owned(), placeholders.join("\n"));
    if settings.mixed {
        project.options.insert("mixed".to_owned(), "true".to_owned());
    }
    // Beside options of the command line: https://documentation.red-gate.com/fd/environment-variables-224003081.html.
    project.commands.env = vec![("FLYWAY_PASSWORD".to_owned(), "{password}".to_owned())];
    let with = |verb: &str| words_of(&["flyway", "-url={jdbc_url}", "-user={user}", verb]);
    project.commands.apply = with("migrate");
    project.commands.status = with("info");
    projects.push(project);
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Kind {
    Versioned,
    Repeatable,
    Undo,
    Baseline,
}

struct Name {
    kind: Kind,
    version: String,
    description: String,
}

impl Name {
    fn of(name: &str, settings: &Settings) -> Option<Self> {
        let stem = settings.suffixes.iter().find_map(|suffix| name.strip_suffix(suffix.as_str()))?;
        let describe = |text: &str| text.replace('_', " ");
        let repeatable = stem.strip_prefix(settings.repeatable.as_str());
        if let Some(rest) = repeatable.and_then(|rest| rest.strip_prefix(settings.separator.as_str())) {
            return Some(Self {
                kind: Kind::Repeatable,
                version: String::new(),
                description: describe(rest),
            });
        }
        let prefixes =
            [(settings.versioned.as_str(), Kind::Versioned), ("U", Kind::Undo), ("B", Kind::Baseline)];
        for (prefix, kind) in prefixes {
            let Some(rest) = stem.strip_prefix(prefix) else { continue };
            let (version, description) = rest.split_once(settings.separator.as_str()).unwrap_or((rest, ""));
            let valid = version.starts_with(|letter: char| letter.is_ascii_digit())
                && version.chars().all(|letter| letter.is_ascii_digit() || matches!(letter, '.' | '_'));
            if valid {
                return Some(Self {
                    kind,
                    version: version.replace('_', "."),
                    description: describe(description),
                });
            }
        }
        None
    }

    fn fill(&self, migration: &mut Migration) {
        self.description.clone_into(&mut migration.name);
        match self.kind {
            Kind::Repeatable => {
                migration.kind = MigrationKind::Repeatable;
                migration.key = format!("R {}", self.description);
            }
            Kind::Baseline => {
                migration.kind = MigrationKind::Baseline;
                migration.version = Some(self.version.clone());
                migration.key = format!("B {}", version_key(&self.version));
            }
            Kind::Versioned | Kind::Undo => {
                migration.version = Some(self.version.clone());
                migration.key = version_key(&self.version);
            }
        }
    }
}

/// The numbers of a version, without zeros at the end, which do not count.
fn numbers(version: &str) -> Vec<u128> {
    let mut numbers: Vec<u128> =
        version.split(['.', '_']).map(|part| part.parse().unwrap_or(u128::MAX)).collect();
    while numbers.len() > 1 && numbers.last() == Some(&0) {
        numbers.pop();
    }
    numbers
}

/// A version in one form: `1`, `01` and `1.0` are the same.
fn version_key(version: &str) -> String {
    numbers(version).iter().map(u128::to_string).collect::<Vec<_>>().join(".")
}
