//! What several tools share.

use std::collections::{BTreeSet, HashMap};

use crate::diagnostic::{Code, Diagnostic};
use crate::history::Rows;
use crate::model::{Down, Migration, Project, Table};
use crate::scan::{Context, Facts, File};
use crate::status::{Reading, Record};
use crate::text::{self, Script, Setting};

/// A migration file of which only the name matters.
pub(super) fn opaque(_: &File<'_>, _: &mut Facts) {}

/// Records from a table with one row for each applied migration.
pub(super) fn keyed(project: &Project, rows: &Rows, key: &str, at: Option<&str>) -> Reading {
    if let Some(lacking) = lacks(project, rows, &[key]) {
        return Reading::untold(Some(lacking));
    }
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_key(|row| (row.int("id"), row.text(key)));
    let records = rows.into_iter().map(|row| Record {
        at: at.and_then(|at| row.text(at)),
        ..Record::applied(row.text(key).unwrap_or_default())
    });
    Reading { records: records.collect(), ..Reading::default() }
}

/// A complaint if rows lack columns that the tool's table has.
pub(super) fn lacks(project: &Project, rows: &Rows, columns: &[&str]) -> Option<Diagnostic> {
    rows.lacks(&project.history.as_ref().map_or_else(String::new, Table::sql), columns)
}

/// Sorts by the number that names start with, then by path.
pub(super) fn sort_by_number(migrations: &mut [Migration]) {
    migrations.sort_by(|a, b| {
        let number = |migration: &Migration| text::number(migration.version.as_deref().unwrap_or_default());
        number(a).cmp(&number(b)).then_with(|| a.path.cmp(&b.path))
    });
}

/// A literal setting of a script; a computed one leaves a diagnostic and the default.
pub(super) fn literal(
    found: Option<(Setting, u32)>,
    path: &str,
    name: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Vec<String>> {
    match found? {
        (Setting::Literal(texts), _) => Some(texts),
        (Setting::Computed, line) => {
            diagnostics.push(Diagnostic::warning(
                Code::ComputedSetting,
                path,
                line,
                format!("`{name}` is computed when the file is run; the default is assumed"),
                "Write it as a plain string if the default is wrong.",
            ));
            None
        }
    }
}

/// The only text of a literal setting.
pub(super) fn literal_text(
    found: Option<(Setting, u32)>,
    path: &str,
    name: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<String> {
    literal(found, path, name, diagnostics)?.into_iter().next()
}

/// A property of a script, with a default.
pub(super) fn property(script: &Script, path: &str, name: &str, project: &mut Project) -> Option<String> {
    literal_text(script.property(name), path, name, &mut project.diagnostics)
}

/// Complains about a folder that a configuration names and that has no files.
pub(super) fn check_folder(context: &Context<'_>, project: &mut Project, folder: &str) {
    if !context.has_folder(folder) {
        let path = project.config.clone().unwrap_or_default();
        project.diagnostics.push(Diagnostic::warning(
            Code::MissingFolder,
            &path,
            1,
            format!("the folder of migrations, {folder}, does not exist or is empty"),
            "Correct the configuration, or make the first migration.",
        ));
    }
}

/// Words that start a program of `node_modules` with the package manager of the folder.
pub(super) fn node_program(context: &Context<'_>, root: &str, words: &[&str]) -> Vec<String> {
    let lock = |name: &str| context.nearest(root, name).is_some();
    let runner: &[&str] = if lock("pnpm-lock.yaml") {
        &["pnpm", "exec"]
    } else if lock("yarn.lock") {
        &["yarn"]
    } else if lock("bun.lock") || lock("bun.lockb") {
        &["bunx"]
    } else {
        &["npx", "--no-install"]
    };
    words_of(&[runner, words].concat())
}

pub(super) fn words_of(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The variable that most tools take the address from.
pub(super) fn database_url() -> Vec<(String, String)> {
    vec![("DATABASE_URL".to_owned(), "{url}".to_owned())]
}

/// Adds the files of a folder whose names pass, with the version being the digits in front, and in the key's form.
pub(super) fn numbered_files(
    context: &mut Context<'_>,
    project: &mut Project,
    folder: &str,
    passes: fn(&str) -> bool,
    parse: fn(&File<'_>, &mut Facts),
) {
    for path in context.children(folder) {
        let name = text::split_path(&path).1.to_owned();
        if !passes(&name) {
            continue;
        }
        let (mut migration, _) = context.migration(project, &path, parse);
        let (digits, rest) = text::leading_digits(&name);
        if !digits.is_empty() {
            migration.version = Some(digits.to_owned());
        }
        let title = text::stem(rest).trim_end_matches(".up").trim_start_matches(['_', '-', '.']);
        title.clone_into(&mut migration.name);
        project.migrations.push(migration);
    }
}

/// `name.up.sql` and `name.down.sql` in a folder: the ups become migrations. Gives back whether there were any.
pub(super) fn up_and_down(context: &mut Context<'_>, project: &mut Project, folder: &str) {
    numbered_files(context, project, folder, |name| name.ends_with(".up.sql"), opaque);
    for migration in &mut project.migrations {
        let down = migration.path.replace(".up.sql", ".down.sql");
        if down != migration.path && context.exists(&down) {
            migration.down = Down::File(down);
        }
    }
}

/// Sorts so that parents come first; among those that could come next, the given order decides.
///
/// Migrations of a circle keep their order at the end and get a diagnostic.
pub(super) fn sort_by_parents(project: &mut Project) {
    let places: HashMap<&str, usize> = project
        .migrations
        .iter()
        .enumerate()
        .map(|(place, migration)| (migration.key.as_str(), place))
        .collect();
    let count = project.migrations.len();
    let mut waits_for = vec![0_usize; count];
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (place, migration) in project.migrations.iter().enumerate() {
        let parents: BTreeSet<usize> =
            migration.parents.iter().filter_map(|key| places.get(key.as_str()).copied()).collect();
        waits_for[place] = parents.len();
        for parent in parents {
            children[parent].push(place);
        }
    }
    let mut ready: BTreeSet<usize> = (0..count).filter(|place| waits_for[*place] == 0).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(place) = ready.pop_first() {
        order.push(place);
        for child in &children[place] {
            waits_for[*child] -= 1;
            if waits_for[*child] == 0 {
                ready.insert(*child);
            }
        }
    }
    let circle: Vec<usize> = (0..count).filter(|place| waits_for[*place] > 0).collect();
    for place in &circle {
        let migration = &project.migrations[*place];
        let message = format!("{} and its parents wait for each other", migration.key);
        let hint = "Correct what the files name as their parents.";
        project.diagnostics.push(Diagnostic::error(
            Code::Cycle,
            &migration.path,
            migration.line,
            message,
            hint,
        ));
    }
    order.extend(circle);
    let mut all: Vec<Option<Migration>> =
        std::mem::take(&mut project.migrations).into_iter().map(Some).collect();
    project.migrations = order.into_iter().filter_map(|place| all[place].take()).collect();
}

/// Milliseconds between two times as Postgres writes them in JSON.
pub(super) fn millis_between(from: &str, to: &str) -> Option<f64> {
    Some((seconds(to)? - seconds(from)?) * 1000.0)
}

fn seconds(time: &str) -> Option<f64> {
    let (date, clock) = time.split_once(['T', ' '])?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    // The days since the start of March of the year 0, as a civil calendar counts them.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day;
    let (clock, zone) = clock.split_at(clock.find(['+', '-', 'Z']).unwrap_or(clock.len()));
    let mut clock = clock.splitn(3, ':').map(str::parse::<f64>);
    let (hours, minutes, seconds) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    let sign = if zone.starts_with('-') { -1.0 } else { 1.0 };
    let mut zone = zone
        .trim_start_matches(['+', '-', 'Z'])
        .splitn(2, ':')
        .map(|part| part.parse::<f64>().unwrap_or(0.0));
    let offset = zone.next().unwrap_or(0.0) * 3600.0 + zone.next().unwrap_or(0.0) * 60.0;
    Some(days as f64 * 86400.0 + hours * 3600.0 + minutes * 60.0 + seconds - sign * offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_subtracted_over_zones_and_days() {
        let took = |from, to| millis_between(from, to).unwrap().round();
        assert!((took("2024-02-28T23:59:59.5+00:00", "2024-02-29T00:00:00+00:00") - 500.0).abs() < 1.0);
        assert!((took("2024-12-31T23:59:59", "2025-01-01T00:00:01") - 2000.0).abs() < 1.0);
        assert!((took("2024-01-01T01:00:00+01:00", "2024-01-01T00:00:00+00:00")).abs() < 1.0);
        assert_eq!(millis_between("x", "2024"), None);
    }
}
