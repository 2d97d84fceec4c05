//! Files that claim one place in the history: which of them ran.

use std::collections::{BTreeMap, HashMap};

use super::{Entry, Next, Observed, Outcome, Record, State, Subject};
use crate::model::Project;
use crate::tool::Tool;

/// The places of files whose key another file has as well.
#[derive(Debug, Default)]
pub(super) struct Doubles<'p> {
    places: HashMap<&'p str, Vec<usize>>,
}

impl<'p> Doubles<'p> {
    pub(super) fn of(project: &'p Project) -> Self {
        let mut places: HashMap<&str, Vec<usize>> = HashMap::with_capacity(project.migrations.len());
        for (place, migration) in project.migrations.iter().enumerate() {
            places.entry(&migration.key).or_default().push(place);
        }
        places.retain(|_, places| places.len() > 1);
        Self { places }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        !self.places.is_empty() && self.places.contains_key(key)
    }

    /// Corrects the entries of all such files that have a record: one of them ran, and the record is not the others'.
    pub(super) fn settle(
        &self,
        project: &Project,
        records: &HashMap<&str, &Record>,
        observed: &Observed,
        entries: &mut [Entry],
    ) {
        // By place, so that the outcome is the same each time.
        let groups: BTreeMap<usize, (&&str, &Vec<usize>)> =
            self.places.iter().map(|(key, places)| (places[0], (key, places))).collect();
        for (key, places) in groups.into_values() {
            let Some(record) = records.get(*key).filter(|record| record.outcome == Outcome::Applied) else {
                continue;
            };
            let ran = which(project, places, record, observed);
            for place in places {
                // Entries of files are in the order of the files.
                let Some(entry) = entries.get_mut(*place) else { continue };
                let path = |place: usize| project.migrations[place].path.as_str();
                match ran {
                    Some(ran) if ran == *place => {}
                    Some(ran) => {
                        // The version is taken: most tools stop at two files that have it.
                        let next = if project.tool == Tool::Dbmate { Next::Skips } else { Next::Refuses };
                        let note = format!("{} has the same version, and is the one that ran", path(ran));
                        *entry = untouched(*place, State::Pending, next, note);
                    }
                    None => {
                        let others: Vec<_> =
                            places.iter().filter(|one| *one != place).map(|one| path(*one)).collect();
                        let note = format!(
                            "{} has the same version, and nothing tells which of them ran",
                            others.join(", ")
                        );
                        *entry = untouched(*place, State::Unknown, Next::Nothing, note);
                    }
                }
            }
        }
    }
}

fn untouched(place: usize, state: State, next: Next, note: String) -> Entry {
    Entry { subject: Subject::File(place), state, at: None, took_ms: None, next, note: Some(note) }
}

/// The file that ran: the only one with the checksum, the content or the name that was recorded.
fn which(project: &Project, places: &[usize], record: &Record, observed: &Observed) -> Option<usize> {
    let only = |fits: &dyn Fn(usize) -> bool| {
        let mut found = places.iter().copied().filter(|place| fits(*place));
        found.next().filter(|_| found.next().is_none())
    };
    let file = |place: usize| &project.migrations[place];
    let by_checksum = record.checksum.as_ref().and_then(|sum| only(&|at| file(at).checksums.contains(sum)));
    let by_content = || {
        let seen = observed.blobs.get(&record.key)?;
        only(&|at| file(at).blob == *seen)
    };
    let by_name = || {
        let name = plain(record.name.as_deref()?);
        only(&|at| {
            let stem = file(at).path.rsplit('/').next().unwrap_or_default();
            plain(stem) == name
        })
    };
    by_checksum.or_else(by_content).or_else(by_name)
}

/// A file's name or title with nothing in it but letters and digits, and without its ending.
fn plain(name: &str) -> String {
    let name = name.strip_suffix(".sql").unwrap_or(name);
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use crate::{History, MemorySource, Observed, Rows, Scanner, State, git_blob};

    const ONE: &str = "-- migrate:up\nselect 1;\n-- migrate:down\n";
    const TWO: &str = "-- migrate:up\nselect 2;\n-- migrate:down\n";

    fn states(
        files: [(&'static str, &'static str); 2],
        row: &str,
        observed: &Observed,
    ) -> Vec<(State, String)> {
        let project = Scanner::default().scan(&MemorySource::new(files)).unwrap().projects.remove(0);
        let status = project.status(&History::Rows(Rows::parse([row]).unwrap()), observed);
        status.entries.into_iter().map(|entry| (entry.state, entry.note.unwrap_or_default())).collect()
    }

    #[test]
    fn of_two_files_with_one_version_the_one_that_ran_is_told_by_what_was_recorded_or_not_at_all() {
        let dbmate = [("db/migrations/001_a.sql", ONE), ("db/migrations/001_b.sql", TWO)];
        let untold = states(dbmate, r#"{"version": "001"}"#, &Observed::default());
        assert_eq!([untold[0].0, untold[1].0], [State::Unknown; 2]);
        assert!(untold[0].1.contains("001_b.sql") && untold[1].1.contains("001_a.sql"), "{untold:?}");

        let mut seen = Observed::default();
        seen.note("001", git_blob(TWO.as_bytes()));
        let told = states(dbmate, r#"{"version": "001"}"#, &seen);
        assert_eq!([told[0].0, told[1].0], [State::Pending, State::Applied]);
        assert!(told[0].1.contains("db/migrations/001_b.sql has the same version"), "{told:?}");

        let flyway = [("sql/V1__a.sql", "select 1;"), ("sql/V1__b.sql", "select 2;")];
        let row = r#"{"installed_rank": 1, "version": "1", "description": "b", "type": "SQL", "script": "V1__b.sql",
            "checksum": 7, "installed_on": "2024-01-01", "execution_time": 1, "success": true}"#;
        let told = states(flyway, row, &Observed::default());
        assert_eq!([told[0].0, told[1].0], [State::Pending, State::Changed], "{told:?}");
    }
}
