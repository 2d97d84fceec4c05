//! Where migrations of a branch are promoted to, and what has to hold there before.
//!
//! Which tiers there are the main work tree's file says, or, without any there, the one that is committed on the root's git branch. What a
//! tier wants is what both want: a branch cannot take a check of a tier away by editing its copy of the file.

use std::time::Duration;

use offshoot_protocol::error::Reason;
use offshoot_protocol::policy::PolicyPlace;

use super::Now;
use crate::config::rules::{At, Check, Tier};
use crate::config::{FILE_NAME, Rules, broken, closest};
use crate::failure::{Failure, Result};

/// What has to hold before migrations come to a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Wanted {
    /// The tier's branch.
    pub(in crate::engine) branch: String,
    /// The line that makes it a tier.
    pub(in crate::engine) place: PolicyPlace,
    /// The checks, in their order, with the lines that ask for them; [`Check::Applies`] is asked for by none.
    pub(in crate::engine) checks: Vec<(Check, Option<PolicyPlace>)>,
    /// How long a table may be closed to writers.
    pub(in crate::engine) max_lock: Option<(Duration, PolicyPlace)>,
    /// How many bytes may be written anew.
    pub(in crate::engine) max_rewrite: Option<(u64, PolicyPlace)>,
    /// The command of [`Check::Command`].
    pub(in crate::engine) command: Option<String>,
    /// The line that forbids to go past a check.
    pub(in crate::engine) strict: Option<PolicyPlace>,
}

impl Wanted {
    fn of(tier: &Tier, file: &str) -> Self {
        Self {
            branch: tier.branch.value.clone(),
            place: at(file, &tier.branch),
            checks: vec![(Check::Applies, None)],
            max_lock: None,
            max_rewrite: None,
            command: None,
            strict: None,
        }
    }

    /// Adds what a file wants.
    fn add(&mut self, tier: &Tier, command: Option<&String>, file: &str) {
        if let Some(checks) = &tier.checks {
            for check in &checks.value {
                if *check == Check::Command {
                    // What is committed was asked last.
                    self.command = command.cloned();
                }
                match self.checks.iter_mut().find(|(known, _)| known == check) {
                    Some((_, place)) => {
                        place.get_or_insert_with(|| at(file, checks));
                    }
                    None => self.checks.push((*check, Some(at(file, checks)))),
                }
            }
            self.checks.sort_by_key(|(check, _)| *check);
        }
        if let Some(most) = &tier.max_lock
            && self.max_lock.as_ref().is_none_or(|(known, _)| most.value < *known)
        {
            self.max_lock = Some((most.value, at(file, most)));
        }
        if let Some(most) = &tier.max_rewrite
            && self.max_rewrite.as_ref().is_none_or(|(known, _)| most.value < *known)
        {
            self.max_rewrite = Some((most.value, at(file, most)));
        }
        if let Some(may) = tier.may_override.as_ref().filter(|may| !may.value) {
            self.strict.get_or_insert_with(|| at(file, may));
        }
    }

    pub(in crate::engine) fn has(&self, check: Check) -> bool {
        self.checks.iter().any(|(wanted, _)| *wanted == check)
    }
}

fn at<T>(file: &str, at: &At<T>) -> PolicyPlace {
    PolicyPlace { file: file.to_owned(), line: at.line, pattern: None }
}

impl Now {
    /// The rules that have the tiers, and the file that they are of.
    fn tiers(&self) -> (&Rules, String) {
        match &self.committed {
            Some((branch, rules)) if self.file.tiers.list.is_empty() => {
                (&**rules, format!("{branch}:{FILE_NAME}"))
            }
            _ => (&*self.file, FILE_NAME.to_owned()),
        }
    }

    /// The tier that migrations of a branch go to next, and what that wants; none if there is none.
    pub(in crate::engine) fn next_tier(&self, branch: &str) -> Option<Wanted> {
        self.tiers().0.next_tier(branch).map(|at| self.wanted(at))
    }

    /// The branch of [`Now::next_tier`].
    pub(in crate::engine) fn promotes_to(&self, branch: &str) -> Option<String> {
        let (rules, _) = self.tiers();
        rules.next_tier(branch).map(|at| rules.tiers.list[at].branch.value.clone())
    }

    /// The tier of a branch, if it is one.
    pub(in crate::engine) fn tier(&self, branch: &str) -> Option<Wanted> {
        self.tiers().0.tiers.at(branch).map(|at| self.wanted(at))
    }

    fn wanted(&self, index: usize) -> Wanted {
        let (rules, file) = self.tiers();
        let tier = &rules.tiers.list[index];
        let mut wanted = Wanted::of(tier, &file);
        wanted.add(tier, rules.tiers.command.as_ref(), &file);
        if let Some((branch, rules)) = &self.committed
            && let Some(at) = rules.tiers.at(&tier.branch.value)
        {
            wanted.add(&rules.tiers.list[at], rules.tiers.command.as_ref(), &format!("{branch}:{FILE_NAME}"));
        }
        wanted
    }

    /// Where migrations of `from` go: to the next tier, or to the one that is named.
    ///
    /// # Errors
    /// If there is no such tier; if another one comes before it, and nobody says that this is meant.
    pub(in crate::engine) fn route(&self, from: &str, to: Option<&str>, overridden: bool) -> Result<Wanted> {
        if let Some(error) = &self.broken {
            return Err(broken(error));
        }
        let (rules, file) = self.tiers();
        let tiers = &rules.tiers;
        let names: Vec<&str> = tiers.list.iter().map(|tier| tier.branch.value.as_str()).collect();
        if names.is_empty() {
            return Err(Failure::configuration(format!("there is no tier to promote to: {FILE_NAME} has no `[[tiers]]`"))
                .hint("Name the branches that migrations go to, from the first to the last: `[[tiers]]` and `branch = \"main\"`."));
        }
        let order = || format!("The tiers of {file} are {}, in this order.", names.join(", "));
        let next = rules.next_tier(from);
        let Some(to) = to.filter(|to| next.is_none_or(|next| names[next] != *to)) else {
            return next.map(|at| self.wanted(at)).ok_or_else(|| {
                Failure::user(format!("`{from}` is the last tier: there is none above it")).hint(order())
            });
        };
        let Some(wanted) = tiers.at(to) else {
            let near = closest(to, &names).map(|near| format!("Did you mean `{near}`? ")).unwrap_or_default();
            return Err(Failure::user(format!("`{to}` is no tier")).hint(format!("{near}{}", order())));
        };
        if tiers.at(from).is_some_and(|own| wanted <= own) {
            let what = if to == from { "itself".to_owned() } else { format!("`{to}`, which is below it") };
            return Err(Failure::user(format!("`{from}` is not promoted to {what}")).hint(order()));
        }
        if let Some(next) = next.filter(|next| wanted > *next && !overridden) {
            let first = &tiers.list[next].branch;
            return Err(Failure::user(format!(
                "`{from}` goes to `{}` before `{to}` ({file}, line {})",
                first.value, first.line
            ))
            .reason(Reason::Ruled)
            .hint(format!(
                "`offshoot promote {from}`, then `offshoot promote {}`; `offshoot promote {from} --to {to} --override` goes there at once.",
                first.value
            )));
        }
        Ok(self.wanted(wanted))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{parse, parse_all};

    fn now(file: &str, committed: &str) -> Now {
        Now {
            file: parse(file).unwrap().rules,
            committed: (!committed.is_empty())
                .then(|| ("main".to_owned(), Arc::clone(&parse_all(committed).0.rules))),
            broken: None,
        }
    }

    const TIERS: &str = "[[branches]]\npattern = 'hotfix/*'\nparent = 'main'\n[[tiers]]\nbranch = 'dev'\n[[tiers]]\nbranch = 'staging'\n\
                         [[tiers]]\nbranch = 'main'";

    #[test]
    fn migrations_go_to_the_next_tier_and_past_one_only_if_it_is_meant() {
        let rules = now(TIERS, "");
        let to = |from: &str, to: Option<&str>, over: bool| {
            rules
                .route(from, to, over)
                .map(|wanted| wanted.branch)
                .map_err(|failure| format!("{failure} | {}", failure.0.hint.clone().unwrap_or_default()))
        };
        assert_eq!(to("feature/x", None, false).unwrap(), "dev");
        assert_eq!(rules.promotes_to("hotfix/1").as_deref(), Some("main"));
        assert_eq!(rules.promotes_to("main"), None);
        assert_eq!(to("feature/x", Some("dev"), false).unwrap(), "dev");
        assert_eq!(to("dev", None, false).unwrap(), "staging");
        assert_eq!(to("hotfix/1", None, false).unwrap(), "main");
        assert_eq!(to("hotfix/1", Some("dev"), false).unwrap(), "dev", "to one below its own");
        let skips = to("feature/x", Some("main"), false).unwrap_err();
        assert!(
            skips.starts_with("`feature/x` goes to `dev` before `main` (offshoot.toml, line 5)"),
            "{skips}"
        );
        assert_eq!(to("feature/x", Some("main"), true).unwrap(), "main");
        assert!(to("main", None, false).unwrap_err().starts_with("`main` is the last tier"));
        assert!(to("x", Some("stagin"), true).unwrap_err().contains("| Did you mean `staging`? The tiers"));
        assert!(to("staging", Some("dev"), true).unwrap_err().contains("`dev`, which is below it"));
        assert!(to("dev", Some("dev"), true).unwrap_err().contains("promoted to itself"));
        let none = now("", "").route("x", None, false).unwrap_err();
        assert!(none.to_string().contains("has no `[[tiers]]`"));
    }

    #[test]
    fn a_copy_of_the_file_takes_no_check_away_that_is_committed() {
        let committed = "[migrations]\ncheck_command = 'npm test'\n[[tiers]]\nbranch = 'main'\nchecks = ['no-drift', 'command']\n\
                         max_lock = '1s'\nmax_rewrite = '10MB'\noverride = false";
        let copy = "[migrations]\ncheck_command = 'true'\n[[tiers]]\nbranch = 'main'\nchecks = ['reversible', 'command']\nmax_lock = '9s'\n\
                    max_rewrite = '1MB'";
        let wanted = now(copy, committed).route("x", None, false).unwrap();
        let checks: Vec<_> = wanted.checks.iter().map(|(check, _)| check.as_str()).collect();
        assert_eq!(checks, ["applies", "reversible", "no-drift", "command"]);
        assert_eq!(wanted.command.as_deref(), Some("npm test"));
        assert_eq!(
            wanted.max_lock.as_ref().map(|(most, at)| (most.as_secs(), at.file.as_str())),
            Some((1, "main:offshoot.toml"))
        );
        assert_eq!(wanted.max_rewrite.as_ref().map(|(most, _)| *most), Some(1_000_000));
        assert_eq!(wanted.strict.map(|at| at.line), Some(8));
        assert!(!now(copy, "").route("x", None, false).unwrap().has(Check::NoDrift));
        // Where the copy has no tiers at all.
        let wanted = now("", committed).route("x", None, false).unwrap();
        assert_eq!((wanted.place.file.as_str(), wanted.has(Check::NoDrift)), ("main:offshoot.toml", true));
    }
}
