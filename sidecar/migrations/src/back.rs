//! Which migration a tool's way back takes first.

use std::collections::BTreeSet;

use crate::model::Project;
use crate::status::{BranchStatus, State, Subject};
use crate::tool::Tool;

impl Project {
    /// The command that takes the newest of `applied` migrations back; empty if the tool cannot.
    ///
    /// Sqitch has no name for what was before the first change: without a target it takes all back, which is that one.
    pub fn down_command(&self, applied: usize) -> Vec<String> {
        let words = self.commands.down.iter();
        match (self.tool, applied) {
            (Tool::Sqitch, 1) => {
                words.filter(|word| !["--to", "@HEAD^"].contains(&word.as_str())).cloned().collect()
            }
            _ => words.cloned().collect(),
        }
    }

    /// The place of the file that the tool's command for the way back takes next, where that can be told.
    ///
    /// That is the highest version of those that ran, or the one that ran last. Sources: `rollback` of dbmate, `revert` of
    /// Diesel and sqlx, `db:rollback` of Rails, `down` of golang-migrate, Knex (3.3 takes the last by name, whatever ran
    /// last) and node-pg-migrate, `downgrade -1` of Alembic.
    pub fn taken_back(&self, status: &BranchStatus) -> Option<usize> {
        let ran: Vec<usize> = status
            .entries
            .iter()
            .filter(|entry| matches!(entry.state, State::Applied | State::Changed))
            .filter_map(|entry| match entry.subject {
                Subject::File(place) => Some(place),
                Subject::Row(_) => None,
            })
            .collect();
        match self.tool {
            Tool::Dbmate | Tool::Diesel | Tool::Sqlx | Tool::Rails | Tool::GolangMigrate | Tool::Knex => {
                ran.into_iter().max()
            }
            Tool::NodePgMigrate => status.last.filter(|last| ran.contains(last)),
            Tool::Alembic => self.only_head(&ran),
            _ => None,
        }
    }

    /// The command that applies `files`, given by their places, where others are not to run; nothing where the tool cannot be
    /// told so. `alembic upgrade` takes the revision to go to.
    pub fn apply_only(&self, files: &[usize]) -> Option<Vec<String>> {
        let head = &self.migrations[self.only_head(files).filter(|_| self.tool == Tool::Alembic)?].key;
        let (_, words) = self.commands.apply.split_last()?;
        // It would take another word for a name, or count from it.
        let is_plain = head.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_plain.then(|| words.iter().chain([head]).cloned().collect())
    }

    /// Of some files the one that no other of them builds on, if there is one alone.
    fn only_head(&self, files: &[usize]) -> Option<usize> {
        let parents: BTreeSet<&str> =
            files.iter().flat_map(|place| &self.migrations[*place].parents).map(String::as_str).collect();
        let mut heads = files.iter().filter(|place| !parents.contains(self.migrations[**place].key.as_str()));
        heads.next().copied().filter(|_| heads.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use crate::{History, MemorySource, Observed, Rows, Scanner};

    fn taken_back<'f>(files: &[(&'f str, &'f str)], rows: &[&str]) -> Option<String> {
        let project =
            Scanner::default().scan(&MemorySource::new(files.iter().copied())).unwrap().projects.remove(0);
        let history = History::Rows(Rows::parse(rows.iter().copied()).unwrap());
        let place = project.taken_back(&project.status(&history, &Observed::default()))?;
        Some(project.migrations[place].path.clone())
    }

    #[test]
    fn the_only_change_of_sqitch_is_taken_back_without_a_target() {
        let files = [
            ("sqitch.conf", "[core]\nengine = pg\n"),
            ("sqitch.plan", "%syntax-version=1.0.0\n%project=shop\n\n"),
        ];
        let project = Scanner::default().scan(&MemorySource::new(files)).unwrap().projects.remove(0);
        assert!(project.down_command(2).join(" ").contains("revert --to @HEAD^ -y"));
        let only = project.down_command(1).join(" ");
        assert!(only.contains("revert -y") && !only.contains("@HEAD^"), "{only}");
    }

    #[test]
    fn alembic_is_told_how_far_to_go_where_one_revision_says_it() {
        let files = [
            ("alembic.ini", "[alembic]\nscript_location = db\n"),
            ("db/versions/1.py", "revision = 'a1'\ndown_revision = None\n"),
            ("db/versions/2.py", "revision = 'b2'\ndown_revision = 'a1'\n"),
            ("db/versions/3.py", "revision = 'c3'\ndown_revision = 'a1'\n"),
        ];
        let project = Scanner::default().scan(&MemorySource::new(files)).unwrap().projects.remove(0);
        let place = |key: &str| project.migrations.iter().position(|one| one.key == key).unwrap();
        let to = |keys: &[&str]| {
            let places: Vec<usize> = keys.iter().map(|key| place(key)).collect();
            project.apply_only(&places).map(|words| words.join(" "))
        };
        assert_eq!(to(&["a1", "c3"]).as_deref(), Some("alembic upgrade c3"));
        assert_eq!(to(&["a1"]).as_deref(), Some("alembic upgrade a1"));
        assert_eq!(to(&["a1", "b2", "c3"]), None, "two heads are no one revision");
    }

    #[test]
    fn the_highest_version_or_the_last_run_is_taken_back() {
        let sql = "-- migrate:up\nselect 1;\n-- migrate:down\n";
        let dbmate = [("db/migrations/1_a.sql", sql), ("db/migrations/2_b.sql", sql)];
        let both = [r#"{"version": "2"}"#, r#"{"version": "1"}"#];
        assert_eq!(taken_back(&dbmate, &both).as_deref(), Some("db/migrations/2_b.sql"));
        assert_eq!(taken_back(&dbmate, &both[1..]).as_deref(), Some("db/migrations/1_a.sql"));
        assert_eq!(taken_back(&dbmate, &[]), None);

        let knex =
            [("knexfile.js", "module.exports = {}"), ("migrations/1_a.js", ""), ("migrations/2_b.js", "")];
        let rows =
            [r#"{"id": 1, "name": "2_b.js", "batch": 1}"#, r#"{"id": 2, "name": "1_a.js", "batch": 2}"#];
        assert_eq!(taken_back(&knex, &rows).as_deref(), Some("migrations/2_b.js"));
    }
}
