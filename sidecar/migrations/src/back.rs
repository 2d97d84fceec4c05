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
    /// Diesel and sqlx, `db:rollback` of Rails, `down` of golang-migrate, Knex and node-pg-migrate, `downgrade -1` of Alembic.
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
            Tool::Dbmate | Tool::Diesel | Tool::Sqlx | Tool::Rails | Tool::GolangMigrate => {
                ran.into_iter().max()
            }
            Tool::Knex | Tool::NodePgMigrate => status.last.filter(|last| ran.contains(last)),
            Tool::Alembic => {
                let parents: BTreeSet<&str> = ran
                    .iter()
                    .flat_map(|place| &self.migrations[*place].parents)
                    .map(String::as_str)
                    .collect();
                let mut heads =
                    ran.iter().filter(|place| !parents.contains(self.migrations[**place].key.as_str()));
                heads.next().copied().filter(|_| heads.next().is_none())
            }
            _ => None,
        }
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
        assert_eq!(taken_back(&knex, &rows).as_deref(), Some("migrations/1_a.js"));
    }
}
