//! What keeps branches apart, why that, and what the file system can do.

use std::path::Path;

use offshoot_storage::{DriverChoice, DriverKind, choose_driver, driver_of};

use super::{Finding, fail, ok, warn};
use crate::config::ConfigFile;
use crate::failure::Failure;
use crate::paths::Paths;
use crate::project::Project;

const WHAT: &str = "storage";
const ANEW: &str = "A store keeps its driver. For another one: dump the data (`offshoot exec -- pg_dump`), move the store away, and \
                    `offshoot init --from` the dump.";

/// The driver of this project's store, or of one that `init` would make.
pub(super) fn driver(here: &Path, paths: &Paths) -> Finding {
    let stores = match paths.make_stores() {
        Ok(stores) => stores,
        Err(failure) => return fail(WHAT, failure.to_string(), failure.0.hint.unwrap_or_default()),
    };
    let project = Project::find(here, paths).ok();
    let worktree = project.as_ref().map_or(here, |project| project.worktree.path.as_path());
    let asked = ConfigFile::open(worktree).config().storage_driver;
    match project.as_ref().map(|project| driver_of(&project.store)) {
        Some(Ok(driver)) => of_store(driver, asked, choose_driver(Some(driver), &stores)),
        Some(Err(error)) => {
            let failure = Failure::from(error);
            fail(WHAT, failure.to_string(), failure.0.hint.unwrap_or_default())
        }
        None => match choose_driver(asked, &stores) {
            Ok(choice) => ok(WHAT, format!("{} for new stores: {}", name(choice.driver), choice.reason())),
            Err(error) => {
                let failure = Failure::from(error);
                fail(WHAT, failure.to_string(), failure.0.hint.unwrap_or_default())
            }
        },
    }
}

fn of_store(
    driver: DriverKind,
    asked: Option<DriverKind>,
    able: Result<DriverChoice, offshoot_storage::StorageError>,
) -> Finding {
    let found = match able {
        Ok(choice) => format!("{}: {}", name(driver), choice.reason()),
        Err(error) => {
            return fail(
                WHAT,
                format!("{}: {error}", name(driver)),
                "Move the stores back to where they were made.",
            );
        }
    };
    match asked.filter(|asked| *asked != driver) {
        Some(asked) => warn(WHAT, format!("{found}; offshoot.toml asks for \"{}\"", asked.as_str()), ANEW),
        None => ok(WHAT, found),
    }
}

fn name(driver: DriverKind) -> &'static str {
    match driver {
        DriverKind::Layers => "page layers",
        DriverKind::Clone => "clones",
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn able(driver: DriverKind, can_clone: bool) -> DriverChoice {
        DriverChoice { driver, file_system: "XFS".into(), can_clone }
    }

    #[test]
    fn a_store_of_another_driver_than_asked_for_is_a_warning_that_says_how_to_change_it() {
        let finding =
            of_store(DriverKind::Layers, Some(DriverKind::Clone), Ok(able(DriverKind::Layers, true)));
        assert_eq!(finding.verdict, Verdict::Warn);
        assert!(finding.found.contains("asks for \"clone\""), "{}", finding.found);
        assert!(finding.advice.unwrap().contains("init"));
    }

    #[test]
    fn the_driver_is_told_with_its_reason() {
        let finding = of_store(DriverKind::Layers, None, Ok(able(DriverKind::Layers, true)));
        assert_eq!(finding.verdict, Verdict::Ok);
        assert!(finding.found.starts_with("page layers: XFS could clone files"), "{}", finding.found);
    }
}
